"""The files about the package agree with it: citation, CI, checks of the wheel."""

import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import skfm

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]


def test_the_citation_has_the_version_and_licence_of_the_package():
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.+)$", text, re.M) == [skfm.__version__]
    assert re.findall(r"^license: (.+)$", text, re.M) == [PROJECT["license"]]


def test_the_ci_tests_every_supported_version_of_python():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    prefix = "Programming Language :: Python :: "
    supported = [c.removeprefix(prefix) for c in PROJECT["classifiers"] if prefix in c]
    supported = [version for version in supported if re.fullmatch(r"3\.\d+", version)]
    matrices = re.findall(r"^ +python: \[(.+)\]$", text, re.M)
    assert matrices
    for matrix in matrices:
        assert re.findall(r"[\d.]+", matrix) == supported


def test_the_ci_installs_the_extras_of_users():
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (extras,) = re.findall(r"^ +extra: \[(.+)\]$", text, re.M)
    of_users = PROJECT["optional-dependencies"].keys() - {"dev", "docs"}
    assert set(extras.split(", ")) == of_users


def test_the_lowest_versions_are_those_of_pyproject():
    check = runpy.run_path(str(ROOT / ".ci" / "check_package.py"))
    expected = [
        d.partition(",")[0].replace(">=", "==") for d in PROJECT["dependencies"]
    ]
    assert check["lowest_versions"]() == expected


def test_libraries_whose_private_parts_are_used_are_bounded_above():
    bounded = {d.partition(">")[0] for d in PROJECT["dependencies"] if "<" in d}
    assert bounded == {"scikit-learn", "torch", "numba", "llvmlite"}


def test_the_hashes_are_of_the_pinned_versions():
    pin = re.compile(r"^([\w.-]+)==([\w.]+)", re.M)
    files = (ROOT / "constraints.txt", ROOT / ".ci" / "constraints-build.txt")
    texts = [file.read_text(encoding="utf-8") for file in files]
    pinned = dict(pin.findall("\n".join(texts)))
    text = (ROOT / ".ci" / "constraints-hashed.txt").read_text(encoding="utf-8")
    hashed = dict(pin.findall(text))
    assert {name.lower().replace("_", "-") for name in pinned} - {"torch"} == set(
        hashed
    )
    for name, version in pinned.items():
        assert hashed.get(name.lower().replace("_", "-"), version) == version
    requirements = re.split(r"\n(?=\w)", text.strip())
    assert len(requirements) == len(hashed)
    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_public_modules_are_imported_when_they_are_used():
    code = """
import sys, skfm
before = set(sys.modules)
skfm.plotting.LossCurveDisplay, skfm.inspection.explain
skfm.model_selection.compare, skfm.exceptions.ConvergenceWarning
skfm.metrics, skfm.recommendation
assert {"skfm.plotting", "skfm.model_selection"}.isdisjoint(before)
assert "plotting" in dir(skfm)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'skfm' has no attribute 'plot'"):
        skfm.__getattr__("plot")
