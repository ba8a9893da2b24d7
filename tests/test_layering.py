"""Every module of skfm imports only what its level of the design allows."""

import ast
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1] / "skfm"


class Rule(NamedTuple):
    first_party: frozenset[str]
    banned: frozenset[str]


def may_import(*first_party: str, never: str = "") -> Rule:
    return Rule(frozenset(first_party), frozenset(never.split()))


LEVEL_0 = (
    "_params",
    "checks",
    "parameters",
    "optimization",
    "fields",
    "encoding",
    "datasets",
)
LEVEL_1 = ("jit", "vectors", "threads", "queries", "structure", "batches", "devices")
LEVEL_2 = ("sparse", "layers", "losses", "dense")
LEVEL_3 = ("network", "replicas", "learner", "training")
LEVEL_3 += ("choices", "callbacks", "frames", "fitted", "inputs")
LEVEL_3 += ("factorization", "feeding", "fixing", "pairwise", "pretraining", "serving")
LEVEL_3 += ("checkpoints", "frequencies", "persistence", "shuffling")
LEVELS_1_2 = LEVEL_1 + LEVEL_2
LEVELS_0_3 = LEVEL_0 + LEVELS_1_2 + LEVEL_3
LEVELS_4_7 = ("base", "tasks", "models", "inspection", "persistence", "plotting")
LEVELS_4_7 += ("onnx_graphs",)

INSPECTED = ("_params", "batches", "fields", "frequencies", "layers", "network")
INSPECTED += ("pairwise", "threads", "warn")

# What each module may import of skfm, and which third parties it never may.
# A module may always import its own submodules; a new module needs a line here.
# "skfm" and "models" are the packages' __init__, "models.*" the files beside it.
MODULES = {
    "_params": may_import(never="torch"),
    "checks": may_import("_params", never="torch"),
    "parameters": may_import("_params", never="torch"),
    "optimization": may_import("_params", "parameters", never="torch"),
    "fields": may_import("_params", never="torch"),
    "warn": may_import(never="torch"),
    "encoding": may_import("_params", "fields", "warn", never="torch"),
    "datasets": may_import("_params", "jit", never="torch"),
    "jit": may_import(never="torch sklearn"),
    "vectors": may_import("jit", never="torch sklearn"),
    "threads": may_import(),
    "queries": may_import(never="torch sklearn"),
    "structure": may_import("jit", "threads", never="sklearn"),
    "batches": may_import(*LEVEL_0, "jit", "queries", "structure", "threads"),
    "devices": may_import("batches", "queries", never="sklearn"),
    "sparse": may_import(*LEVEL_1, never="sklearn"),
    "layers": may_import("jit", "vectors", never="sklearn"),
    "losses": may_import("queries", never="sklearn"),
    "dense": may_import("jit", "threads", never="sklearn"),
    "network": may_import(*LEVELS_1_2, never="sklearn"),
    "replicas": may_import(*LEVELS_1_2, "network", never="sklearn"),
    "fixing": may_import(*LEVELS_1_2, "network", never="sklearn"),
    "learner": may_import(
        *(*LEVELS_1_2, "fixing", "network", "replicas"), never="sklearn"
    ),
    "schedules": may_import(never="torch sklearn"),
    "shuffling": may_import("batches", "queries", never="torch sklearn"),
    "feeding": may_import(*LEVELS_1_2, "network", "shuffling", never="sklearn"),
    "training": may_import(
        *(*LEVELS_1_2, "feeding", "network", "learner", "schedules", "shuffling"),
        never="sklearn",
    ),
    "choices": may_import(),
    "callbacks": may_import("training"),
    "checkpoints": may_import("layers", "persistence", "training"),
    "frames": may_import("encoding", "fields", never="torch"),
    "fitted": may_import("encoding", "frequencies", "learner", "network"),
    "frequencies": may_import("batches", "jit", "network", never="sklearn"),
    "inputs": may_import(*LEVEL_0, "batches", "network", "fitted", "frames", "threads"),
    "pairwise": may_import("batches", "network", never="sklearn"),
    "factorization": may_import(*LEVELS_1_2, "network", "pairwise", never="sklearn"),
    "pretraining": may_import("fitted", "persistence"),
    "serving": may_import(*LEVEL_1, "checks", "encoding", "frames"),
    "base": may_import(*LEVELS_0_3),
    "tasks": may_import(*LEVELS_0_3, "base"),
    "models.*": may_import(*LEVELS_0_3, "base", "tasks"),
    "models": may_import(),
    "inspection": may_import(*INSPECTED, "models"),
    "persistence": may_import(
        *("encoding", "fitted", "frequencies", "learner", "network", "pipeline")
    ),
    "onnx_graphs": may_import("fitted", "network", "persistence", "sparse"),
    "plotting": may_import("inspection", never="torch numba"),
    "model_selection": may_import("_params", "plotting", "warn", never="torch numba"),
    "pipeline": may_import("fields", never="torch"),
    "skfm": may_import(*LEVELS_0_3, *LEVELS_4_7, "pipeline"),
}
MAY_USE_PRIVATE_SKLEARN = {"_params"}
INSIDE_FUNCTIONS_ONLY = {"matplotlib"}


class Import(NamedTuple):
    line: int
    name: str  # dotted and absolute, with the imported name: "skfm.layers.MLP"
    deferred: bool  # inside a function, or for type checkers only


def key_of(path: PurePosixPath) -> str:
    """The line of MODULES for a file given relative to skfm/."""
    parts = [part for part in path.with_suffix("").parts if part != "__init__"]
    if not parts:
        return "skfm"
    if parts[0] == "models" and len(parts) > 1:
        return "models.*"
    return parts[0]


def imports_of(path: PurePosixPath, source: str) -> Iterator[Import]:
    tree = ast.parse(source)
    package = ("skfm", *path.parent.parts)
    deferred = {id(inner) for node in _deferring(tree) for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            base = ""
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else []), ""])
        else:
            continue
        for alias in node.names:
            yield Import(node.lineno, base + alias.name, id(node) in deferred)


def _deferring(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from node.body


def violation(key: str, imported: Import) -> str | None:
    """What is wrong with one import, or None."""
    top, *rest = imported.name.split(".")
    if top == "skfm":
        # `from skfm import FMClassifier` reaches into the package's own __init__.
        target = rest[0] if rest and (len(rest) > 1 or rest[0] in MODULES) else "skfm"
        if target != key and target not in MODULES[key].first_party:
            return f"{key} may not import {target}"
    if top in MODULES[key].banned:
        return f"{key} never imports {top}"
    if top in INSIDE_FUNCTIONS_ONLY and not imported.deferred:
        return f"{top} is imported inside functions only"
    private = [part for part in rest if part.startswith("_") and part[-2:] != "__"]
    if top == "sklearn" and private and key not in MAY_USE_PRIVATE_SKLEARN:
        return f"only _params imports private names of scikit-learn ({imported.name})"
    return None


def violations(path: PurePosixPath, source: str) -> list[str]:
    key = key_of(path)
    if key not in MODULES:
        return [f"{path}: {key} has no line in MODULES"]
    found = [(imp.line, violation(key, imp)) for imp in imports_of(path, source)]
    return [f"{path}:{line}: {text}" for line, text in found if text]


@pytest.mark.parametrize(
    "path", sorted(p.relative_to(ROOT).as_posix() for p in ROOT.rglob("*.py"))
)
def test_imports_stay_within_their_level(path):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert violations(PurePosixPath(path), source) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("fields.py", "import torch", "fields never imports torch"),
        ("fields.py", "def f():\n    from torch import nn", "never imports torch"),
        ("encoding.py", "from .batches import Batch", "may not import batches"),
        ("layers.py", "from sklearn.utils import check_array", "never imports sklearn"),
        ("layers.py", "from skfm import losses", "may not import losses"),
        ("losses.py", "import skfm.layers as layers", "may not import layers"),
        ("sparse/table.py", "from ..layers import MLP", "may not import layers"),
        ("sparse/table.py", "from .. import base", "may not import base"),
        ("sparse/__init__.py", "from ..losses import x", "may not import losses"),
        ("network.py", "from .training import fit", "may not import training"),
        ("base.py", "from .tasks import Task", "may not import tasks"),
        ("models/nfm.py", "from .fm import FM", "may not import models"),
        ("models/nfm.py", "from . import fm", "may not import models"),
        ("models/nfm.py", "from skfm import FMClassifier", "may not import skfm"),
        ("plotting.py", "from .models.fm import FM", "may not import models"),
        ("plotting.py", "import matplotlib.pyplot as plt", "inside functions only"),
        (
            "base.py",
            "from sklearn.utils._param_validation import Interval",
            "only _params",
        ),
        ("base.py", "from sklearn.utils import _pprint", "only _params"),
        ("novelty.py", "import numpy", "has no line in MODULES"),
    ],
)
def test_checker_catches(path, source, expected):
    (message,) = violations(PurePosixPath(path), source)
    assert expected in message


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("__init__.py", "from .models.fm import FMClassifier"),
        ("_params.py", "from sklearn.utils._param_validation import Interval"),
        ("base.py", "from sklearn import __version__"),
        ("encoding.py", "import pandas\nfrom skfm.fields import check_fields"),
        ("sparse/table.py", "import torch\nfrom .kernels import gather"),
        ("sparse/table.py", "from ..batches import Batch"),
        ("network.py", "from . import layers, sparse\nfrom .threads import limit"),
        ("models/fm.py", "from ..tasks import Classifier\nfrom skfm.base import B"),
        ("models/__init__.py", "from .fm import FMClassifier"),
        ("plotting.py", "def plot():\n    import matplotlib.pyplot as plt"),
        ("plotting.py", "if TYPE_CHECKING:\n    from matplotlib.axes import Axes"),
    ],
)
def test_checker_accepts(path, source):
    assert violations(PurePosixPath(path), source) == []
