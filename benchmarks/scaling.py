"""Rows per second of collective fits of more workers than are at hand, on paper.

    python benchmarks/scaling.py

computes the time of a step of W workers, one core each on a machine of its own, as the
sum of the time of its rows, of its bytes over the network, and of its messages:

    rows * seconds_per_row + bytes / bandwidth + 7 * (W - 1) * latency
    bytes = ((4 + 8 (k + 1)) * columns + 8 * dense) * (W - 1) / W

The seconds, and the distinct columns of a step, are those that
`benchmarks/distributed.py` measures for two workers on one machine; nothing is sent
while something is computed. The latency is an assumption. The memory is that of
Adagrad: weights, state and best epoch by shares, and the whole weights at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

ROWS = 8192
FACTORS = 16
#: Seconds of a message to another machine.
LATENCY = 30e-6


@dataclass(frozen=True)
class Model:
    """What a fit costs on one machine.

    Attributes
    ----------
    name : str
    seconds_per_row : float
        Processor time of a group of two workers.
    columns : int
        Distinct columns of a step of one worker.
    dense : int
        Dense weights.
    """

    name: str
    seconds_per_row: float
    columns: int
    dense: int

    def step(self, n_workers: int, gigabits: float) -> tuple[float, float, float]:
        """Return the seconds of the rows, the bytes and the messages of a step."""
        share = (n_workers - 1) / n_workers
        sent = (4 + 8 * (FACTORS + 1)) * self.columns + 8 * self.dense
        messages = 7 * (n_workers - 1) * LATENCY
        return ROWS * self.seconds_per_row, sent * share * 8e-9 / gigabits, messages


MODELS = [
    Model("FM", 8.0e-6, 58_000, 1),
    Model("DeepFM (400, 400, 400)", 73.5e-6, 58_000, 820_000),
]


def memory(n_columns: float, n_workers: int) -> float:
    """Return the gigabytes of the tables of one worker."""
    table = n_columns * (FACTORS + 1) * 4e-9
    return table + 3 * table / n_workers


def report() -> None:
    """Print rates for numbers of workers and networks, and the memory of tables."""
    for model in MODELS:
        print(f"{model.name}: thousands of rows/s (share of a core's time in rows)")
        for n_workers in (1, 2, 8, 64, 1000):
            line = f"  {n_workers:5} workers"
            for gigabits in (10, 25, 100):
                parts = model.step(n_workers, gigabits)
                rate = n_workers * ROWS / sum(parts) / 1e3
                line += (
                    f"  {gigabits:4} Gb/s {rate:9,.0f} ({parts[0] / sum(parts):4.0%})"
                )
            print(line)
    print("GB of tables of a worker")
    for n_columns in (1e7, 1e8, 1e9):
        sizes = [f"{memory(n_columns, n):8.1f} ({n})" for n in (1, 8, 64, 1000)]
        print(f"  {n_columns:.0e} columns {' '.join(sizes)}")


if __name__ == "__main__":
    report()
