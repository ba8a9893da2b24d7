"""Collective fits over a network of limited bandwidth.

    sudo python benchmarks/network.py 100000 --megabits 50 200

makes two network namespaces on this machine, with a link of limited bandwidth between
them, and fits the models of `benchmarks/distributed.py` by a process in each. It prints
the rows per second of the last epoch beside those that the formula of
`benchmarks/scaling.py` gives for the measured processor time and bytes, and whether the
weights are those of two processes without the link. Processes have to have a core each
for the rates to mean something. It needs root, ``ip`` and ``tc``.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distributed import MODELS, start
from scaling import LATENCY
from streams import write

NAMES = ("skfm-0", "skfm-1")
ADDRESSES = ("10.77.0.1", "10.77.0.2")


def call(*command: str) -> None:
    """Run a command, and raise an error if it fails."""
    subprocess.run(command, check=True)


@contextmanager
def link(megabits: int) -> Iterator[list[list[str]]]:
    """Make namespaces with a link, and yield the beginnings of commands in them."""
    try:
        for name in NAMES:
            call("ip", "netns", "add", name)
        call("ip", "link", "add", "skfm0", "type", "veth", "peer", "name", "skfm1")
        for number, (name, address) in enumerate(zip(NAMES, ADDRESSES, strict=True)):
            device, inside = f"skfm{number}", ("ip", "-n", name)
            call("ip", "link", "set", device, "netns", name)
            call(*inside, "addr", "add", f"{address}/24", "dev", device)
            call(*inside, "link", "set", device, "up")
            call(*inside, "link", "set", "lo", "up")
            limit = ("rate", f"{megabits}mbit", "burst", "64kb", "latency", "50ms")
            shape = ("tc", "qdisc", "add", "dev", device, "root", "tbf", *limit)
            call("ip", "netns", "exec", name, *shape)
        yield [
            ["ip", "netns", "exec", name, "env", f"GLOO_SOCKET_IFNAME=skfm{number}"]
            for number, name in enumerate(NAMES)
        ]
    finally:
        for name in NAMES:
            subprocess.run(["ip", "netns", "del", name], check=False)


def expected_seconds(found: list[dict[str, Any]], megabits: int) -> float:
    """Return the seconds of an epoch by the formula."""
    steps = found[0]["steps"]
    cpu = max(one["cpu"] for one in found)
    sent = max(one["bytes"] for one in found)
    return cpu + sent * 8e-6 / megabits + 7 * LATENCY * steps


def compare(n_rows: int, names: list[str], rates: list[int]) -> None:
    """Print measured and expected rates."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        write(folder / "data", n_rows)
        for name in names:
            weights = start(folder, name, 2, grouped=True)[0]["digest"]
            for megabits in rates:
                with link(megabits) as places:
                    how = {"address": ADDRESSES[0], "places": places}
                    found = start(folder, name, 2, grouped=True, **how)
                same = all(one["digest"] == weights for one in found)
                measured = max(one["wall"] for one in found)
                paper = expected_seconds(found, megabits)
                rows = found[0]["rows"]
                print(
                    f"{name:18} {megabits:5} Mb/s {rows / measured:9,.0f} rows/s, "
                    f"{paper / measured:.2f} of {rows / paper:,.0f}; the weights are "
                    f"{'the same' if same else 'OTHERS'}",
                    flush=True,
                )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int)
    parser.add_argument("--model", choices=MODELS)
    parser.add_argument("--megabits", type=int, nargs="+", default=[100, 1000])
    given = parser.parse_args()
    compare(given.rows, [given.model] if given.model else list(MODELS), given.megabits)
