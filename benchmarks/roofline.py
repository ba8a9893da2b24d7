"""Limits of the machine: copying memory, random rows, matrix products."""

from __future__ import annotations

import platform
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from workloads import median_seconds

#: Flags of Linux for operations that change what is fast.
_WIDE = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def copy_bandwidth() -> float:
    """GB/s read and written by a copy of 256 MiB, on all threads of torch."""
    source = torch.ones(64 << 20)
    target = torch.empty_like(source)
    return 2 * source.nbytes / median_seconds(lambda: target.copy_(source)) / 1e9


def random_rows(n_columns: int = 1_000_000, width: int = 16) -> float:
    """Nanoseconds of one thread to read a random cache line, many in flight."""
    memory = np.ones(n_columns * width + width, np.float32)
    start = -(memory.ctypes.data // 4) % width
    table = memory[start : start + n_columns * width].reshape(n_columns, width)
    rows = np.random.default_rng(0).integers(n_columns, size=1_000_000)
    return median_seconds(lambda: table.take(rows, axis=0)) / len(rows) * 1e9


def matrix_rate(dtype: torch.dtype, size: int = 1024) -> float:
    """GFLOP/s of square matrix products."""
    a, b = (torch.randn(size, size).to(dtype) for _ in range(2))
    return 2 * size**3 / median_seconds(lambda: a @ b, 9) / 1e9


def processor() -> str:
    """Name of the processor, and which of the wide operations it has."""
    known, wide = platform.processor() or platform.machine(), []
    lines: list[str] = []
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            known = value.strip()
        if key.strip() == "flags":
            wide = [name for name in _WIDE if name in value.split()]
    return f"{known} ({', '.join(wide) or 'no wide operations known'})"


class BareMLP(torch.nn.Module):
    """The network of a deep model without its table: what arithmetic alone costs."""

    def __init__(self, n_inputs: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for fan_in, fan_out in zip((n_inputs, *sizes), sizes, strict=False):
            layers += [torch.nn.Linear(fan_in, fan_out), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def mlp_rate(
    n_inputs: int, sizes: tuple[int, ...], *, batch: int = 8192, bfloat16: bool = False
) -> float:
    """Rows per second of forward, backward (to the inputs too) and fused Adam."""
    network = BareMLP(n_inputs, sizes)
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    x, target = torch.randn(batch, n_inputs, requires_grad=True), torch.rand(batch, 1)
    loss = torch.nn.BCEWithLogitsLoss()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            scores = network(x)
        optimizer.zero_grad()
        loss(scores.float(), target).backward()
        optimizer.step()

    return batch / median_seconds(step, 5)
