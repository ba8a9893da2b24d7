"""Build the package, install it in a fresh environment, and fit a model there.

    python .ci/check_package.py                 the newest versions of all dependencies
    python .ci/check_package.py --lowest        the lowest that pyproject.toml allows
    python .ci/check_package.py --constraint F  further constraints for pip

The wheel is built from the sdist, so that both are known to be complete. The fit runs
without the development extras, with an unwritable home directory and, where the system
has file permissions, read-only site-packages. Needs the package `build`.
"""

from __future__ import annotations

import argparse
import os
import re
import stat
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

#: Runs in the fresh environment, in a directory that is not the repository.
SMOKE_TEST = """
import os, sys, tempfile
import pandas as pd
import skfm

assert "site-packages" in skfm.__file__, skfm.__file__
for name in ("matplotlib", "onnx", "rich", "skops"):
    assert name not in sys.modules, f"import skfm imports {name}"
X = pd.DataFrame({"user": list("aabb") * 20, "item": list("xyxy") * 20})
y = [0, 1, 1, 0] * 20
for architecture in ("FM", "NFM", "DeepFM", "AFM"):
    model = getattr(skfm, architecture + "Classifier")(random_state=0, max_iter=100)
    model.fit(X, y)
    assert model.score(X, y) > 0.9, architecture
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.skfm")
        skfm.save(model, path)
        same = skfm.load(path)
    assert (same.predict_proba(X) == model.predict_proba(X)).all(), architecture
print("skfm", skfm.__version__, "fits in a fresh environment")
"""

#: A dependency of pyproject.toml: "name>=version", perhaps with an upper bound.
BOUND = re.compile(r"^([\w.-]+)>=([\w.]+)(?:,<[\w.]+)?$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lowest", action="store_true")
    parser.add_argument("--constraint", action="append", default=[])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check(Path(folder), lowest=options.lowest, constraints=options.constraint)


def check(folder: Path, *, lowest: bool, constraints: list[str]) -> None:
    """Build, install and fit in ``folder``."""
    run(sys.executable, "-m", "build", "--outdir", str(folder / "dist"), str(ROOT))
    (wheel,) = (folder / "dist").glob("*.whl")
    python = make_environment(folder / "env")
    bounds = lowest_versions() if lowest else []
    pip_options = [option for file in constraints for option in ("-c", file)]
    run(python, "-m", "pip", "install", *pip_options, str(wheel), *bounds)
    run(python, "-m", "pip", "check")
    smoke_test(folder, python)


def make_environment(path: Path) -> str:
    """Make an environment with pip alone; return its interpreter."""
    venv.create(path, with_pip=True)
    windows = os.name == "nt"
    return str(path / ("Scripts/python.exe" if windows else "bin/python"))


def lowest_versions() -> list[str]:
    """Return "name==version" for each dependency, at its lower bound."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = tomllib.load(file)["project"]["dependencies"]
    bounds = [BOUND.match(dependency) for dependency in dependencies]
    if None in bounds:
        raise SystemExit(f"Expected dependencies of the form name>=version: {bounds}.")
    return [f"{name}=={version}" for name, version in (b.groups() for b in bounds if b)]


def smoke_test(folder: Path, python: str) -> None:
    """Fit where neither the home directory nor site-packages can be written to."""
    home = folder / "home"
    home.mkdir()
    set_writable(home, writable=False)
    set_writable(folder / "env", writable=False)
    environment = os.environ | {"HOME": str(home), "USERPROFILE": str(home)}
    for name in ("PYTHONPATH", "NUMBA_CACHE_DIR", "XDG_CACHE_HOME"):
        environment.pop(name, None)
    try:
        run(python, "-c", SMOKE_TEST, cwd=folder, env=environment)
    finally:
        set_writable(home, writable=True)
        set_writable(folder / "env", writable=True)


def set_writable(path: Path, *, writable: bool) -> None:
    """Give or take the owner's permission to write to the directories below a path."""
    if os.name == "nt":  # directories have no such permission there
        return
    for directory in [path, *(p for p in path.rglob("*") if p.is_dir())]:
        if not directory.is_symlink():
            mode = directory.stat().st_mode
            bit = stat.S_IWUSR
            directory.chmod(mode | bit if writable else mode & ~bit)


def run(*command: str, **options: object) -> None:
    print("+", " ".join(command[:4]).partition("\n")[0], flush=True)
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


if __name__ == "__main__":
    main()
