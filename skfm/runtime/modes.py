"""Modes of torch that a caller may have switched on, and that fits must switch off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_DEVICES = ("cpu", "cuda")


@contextmanager
def default_modes() -> Iterator[None]:
    """Run torch outside of its inference mode and without autocast.

    Inference mode would forbid gradients, and autocast would silently round deep models
    to 16 bits. Whether gradients are recorded is left as the caller has set it.
    """
    with ExitStack() as stack:
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        for device in _DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield
