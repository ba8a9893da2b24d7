"""Modes of torch that a caller may have switched on, and that fits must switch off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from .lazy import is_loaded, torch

_DEVICES = ("cpu", "cuda")


@contextmanager
def default_modes() -> Iterator[None]:
    """Run torch outside of its inference mode and without autocast.

    Inference mode would forbid gradients, and autocast would silently round deep models
    to 16 bits. Whether gradients are recorded is left as the caller has set it.
    """
    if not is_loaded("torch"):
        yield
        return
    entered: list[AbstractContextManager[Any]] = []
    if torch.is_inference_mode_enabled():
        entered.append(torch.inference_mode(False))
    for device in _DEVICES:
        if torch.is_autocast_enabled(device):
            entered.append(torch.autocast(device, enabled=False))
    if not entered:
        # A stack would take a tenth of the time of the scores of a row.
        yield
        return
    with ExitStack() as stack:
        for context in entered:
            stack.enter_context(context)
        yield
