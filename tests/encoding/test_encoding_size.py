"""Memory of FieldEncoder on many rows of strings."""

import subprocess
import sys

import pytest

#: Ten columns of a million strings, half of them distinct in all.
SCRIPT = """
import numpy as np
import pandas as pd
from skfm.encoding import FieldEncoder

def memory(what):
    with open("/proc/self/status") as lines:
        kilobytes = next(line.split()[1] for line in lines if line.startswith(what))
    return int(kilobytes) * 1e3

rng = np.random.default_rng(0)
sizes = [3, 100, 1_000, 10_000, 100_000, *[1_000_000] * 5]
table = pd.DataFrame(
    {f"c{j}": [f"v{i}" for i in rng.integers(size, size=1_000_000)]
    for j, size in enumerate(sizes)}
)
before = memory("VmRSS")
encoder = FieldEncoder()
encoder.{call}
print(memory("VmHWM") - before, len(encoder.fields_))
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
@pytest.mark.parametrize(
    "call", ["fit_transform(table)", "fit(table).transform(table)"]
)
def test_a_million_rows_of_ten_strings(call):
    script = SCRIPT.replace("{call}", call)
    output = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=True, text=True
    ).stdout
    growth, n_columns = map(float, output.split())
    assert n_columns > 3_000_000
    assert growth < 1e9
