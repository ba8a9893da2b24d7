"""The hostile tests at length: mutated files, random inputs, forks under load.

    python tests/hostile/long_run.py [n_files n_inputs n_forks [seed]]

prints the outcomes of 10,000 files, 10,000 inputs and 1,000 forks, and exits with 1 if
one of them is wrong. Each part is a process of its own, so that a crash ends one only.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SIZES = ("10000", "10000", "1000")


def run_inputs(n_inputs, seed):
    import test_random_inputs

    outcomes = test_random_inputs.run(n_inputs, seed)
    print(dict(outcomes), flush=True)
    return "wrong" not in outcomes


def run_files(n_files, seed):
    command = [sys.executable, str(HERE / "test_fuzzed_files.py"), str(n_files)]
    ran = subprocess.run([*command, str(seed)], capture_output=True, text=True)
    print(ran.stdout.strip(), flush=True)
    if ran.returncode:
        print(ran.stderr.splitlines()[-3:], flush=True)
    return ran.returncode == 0 and "wrong" not in ran.stdout


def run_forks(n_forks, seed):
    import test_forks

    import skfm

    right = True
    for cls in (skfm.FMClassifier, skfm.DeepFMRegressor):
        found = test_forks.fork_under_load(cls, n_forks // 2)
        outcomes = {outcome: found.count(outcome) for outcome in set(found)}
        print(cls.__name__, outcomes, flush=True)
        right = right and outcomes == {0: n_forks // 2}
    return right


PARTS = {"files": run_files, "inputs": run_inputs, "forks": run_forks}


def main(*arguments):
    if arguments and arguments[0] in PARTS:
        name, size, seed = arguments
        sys.path[:0] = [str(HERE), str(HERE.parent / "cases")]
        raise SystemExit(not PARTS[name](int(size), int(seed)))
    sizes, seed = arguments[:3] or SIZES, arguments[3] if len(arguments) > 3 else "0"
    failed = []
    for name, size in zip(PARTS, sizes, strict=True):
        started = time.perf_counter()
        print(f"{size} {name}, seed {seed}:", flush=True)
        command = [sys.executable, __file__, name, size, seed]
        if subprocess.call(command, env={**os.environ, "PYTHONWARNINGS": "ignore"}):
            failed.append(name)
        print(f"  {time.perf_counter() - started:.0f} s", flush=True)
    print(f"wrong: {', '.join(failed)}" if failed else "none is wrong", flush=True)
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main(*sys.argv[1:])
