"""Shared by the tests of layers."""

import torch


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def randomize(module, seed=0):
    """Give all parameters and statistics values away from zero and one."""
    module.double()
    rng = generator(seed)
    for tensor in [*module.parameters(), *module.buffers()]:
        if tensor.is_floating_point():
            tensor.uniform_(0.3, 1.5, generator=rng)
            sign = torch.empty_like(tensor).bernoulli_(0.5, generator=rng)
            if isinstance(tensor, torch.nn.Parameter):
                tensor.mul_(2 * sign - 1)
    return module
