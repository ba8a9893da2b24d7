"""Every module of skfm imports only from the rooms below its own."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1] / "skfm"

#: The rooms from the top to the ground. A room may import the rooms on later lines;
#: rooms on one line do not know each other.
ORDER = [
    {"skfm"},
    {"model_selection"},
    {"metrics"},
    {"recommendation"},
    {"plotting"},
    {"inspection", "export"},
    {"models"},
    {"estimators"},
    {"training", "sampling"},
    {"optim"},
    {"nn"},
    {"sparse", "losses", "streams"},
    {"data", "datasets", "encoding"},
    {"fields"},
    {"persistence"},
    {"distributed"},
    {"runtime", "exceptions", "_sklearn"},
]
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}

#: Libraries that a room never imports.
NEVER = {
    **dict.fromkeys(("data", "losses", "nn", "optim", "sparse", "training"), "sklearn"),
    "distributed": "sklearn",
    **dict.fromkeys(("datasets", "encoding", "fields", "_sklearn"), "torch"),
    **dict.fromkeys(("model_selection", "plotting"), "torch numba"),
    "sampling": "torch sklearn",
}
#: Extras: libraries that an installation may lack.
INSIDE_FUNCTIONS_ONLY = {"matplotlib", "onnx", "onnxruntime", "skl2onnx"} | {
    "dask",
    "pyarrow",
}


class Import(NamedTuple):
    line: int
    name: str  # dotted and absolute, with the imported name: "skfm.nn.layers.MLP"
    deferred: bool  # inside a function, or for type checkers only


def room_of(parts: tuple[str, ...]) -> str:
    """The room of a dotted name below skfm; of names in ``__init__``, "skfm"."""
    return parts[0] if parts and parts[0] in LEVEL else "skfm"


def module_of(path: PurePosixPath) -> tuple[str, ...]:
    """Parts of a module's dotted name below skfm."""
    parts = path.with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


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


def violation(module: tuple[str, ...], imported: Import) -> str | None:
    """Say what is wrong with one import, or None."""
    room = room_of(module)
    top, *rest = imported.name.split(".")
    if top == "skfm":
        target = room_of(tuple(rest))
        if target == room == "models" and len(module) > 1:
            return f"{'.'.join(module)} may not import another architecture"
        below = LEVEL[target] > LEVEL[room]
        if target != room and not below:
            return f"{room} may not import {target}"
    if top in NEVER.get(room, "").split():
        return f"{room} never imports {top}"
    if top in INSIDE_FUNCTIONS_ONLY and not imported.deferred:
        return f"{top} is imported inside functions only"
    private = [part for part in rest if part.startswith("_") and part[-2:] != "__"]
    if top == "sklearn" and private and room != "_sklearn":
        return f"only _sklearn imports private names of scikit-learn ({imported.name})"
    return None


def violations(path: PurePosixPath, source: str) -> list[str]:
    module = module_of(path)
    if module and module[0] not in LEVEL:
        return [f"{path}: {module[0]} has no place in ORDER"]
    found = [(imp.line, violation(module, imp)) for imp in imports_of(path, source)]
    return [f"{path}:{line}: {text}" for line, text in found if text]


def all_modules() -> dict[str, PurePosixPath]:
    """Path below skfm of each module, by its dotted name."""
    paths = [PurePosixPath(p.relative_to(ROOT).as_posix()) for p in ROOT.rglob("*.py")]
    return {".".join(("skfm", *module_of(path))): path for path in sorted(paths)}


@pytest.mark.parametrize("path", [p.as_posix() for p in all_modules().values()])
def test_imports_go_down(path):
    source = (ROOT / path).read_text(encoding="utf-8")
    assert violations(PurePosixPath(path), source) == []


def cycle(sources: dict[str, tuple[PurePosixPath, str]]) -> list[str]:
    """Return modules that import each other in a circle, or nothing."""
    graph: dict[str, set[str]] = {}
    for name, (path, source) in sources.items():
        wanted = [imp.name for imp in imports_of(path, source) if not imp.deferred]
        # A module, or a name in a module.
        found = {w if w in sources else w.rpartition(".")[0] for w in wanted}
        graph[name] = (found & sources.keys()) - {name}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_each_other():
    sources = {
        name: (path, (ROOT / path).read_text(encoding="utf-8"))
        for name, path in all_modules().items()
    }
    assert cycle(sources) == []


def test_a_circle_is_found():
    sources = {
        "skfm.nn.a": (PurePosixPath("nn/a.py"), "from .b import x"),
        "skfm.nn.b": (PurePosixPath("nn/b.py"), "from . import c"),
        "skfm.nn.c": (PurePosixPath("nn/c.py"), "from skfm.nn.a import y"),
    }
    assert set(cycle(sources)) == set(sources)
    sources["skfm.nn.c"] = PurePosixPath("nn/c.py"), "def f():\n    from .a import y"
    assert cycle(sources) == []


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("fields/layout.py", "import torch", "fields never imports torch"),
        ("fields/layout.py", "def f():\n    from torch import nn", "never imports"),
        ("encoding/codec.py", "from ..data.batch import Batch", "may not import data"),
        ("nn/layers/basic.py", "from sklearn.utils import x", "never imports sklearn"),
        ("nn/layers/basic.py", "from skfm import training", "may not import training"),
        ("losses/base.py", "import skfm.nn.layers as x", "may not import nn"),
        ("sparse/table.py", "from ..losses import Loss", "may not import losses"),
        ("sparse/table.py", "from .. import estimators", "may not import estimators"),
        ("nn/network.py", "from ..training import x", "may not import training"),
        ("models/nfm.py", "from .fm import FM", "may not import another architecture"),
        ("models/nfm.py", "from . import fm", "may not import another architecture"),
        ("models/nfm.py", "from skfm import FMClassifier", "may not import skfm"),
        ("plotting/style.py", "from ..model_selection import x", "may not import"),
        ("plotting/style.py", "import matplotlib.pyplot", "inside functions only"),
        (
            "estimators/base.py",
            "from sklearn.utils._param_validation import Interval",
            "only _sklearn",
        ),
        ("estimators/base.py", "from sklearn.utils import _pprint", "only _sklearn"),
        ("novelty.py", "import numpy", "has no place in ORDER"),
    ],
)
def test_the_checker_catches(path, source, expected):
    (message,) = violations(PurePosixPath(path), source)
    assert expected in message


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("__init__.py", "from .models.fm import FMClassifier"),
        ("_sklearn.py", "from sklearn.utils._param_validation import Interval"),
        ("estimators/base.py", "from sklearn import __version__"),
        ("encoding/codec.py", "import pandas\nfrom skfm.fields import check_fields"),
        ("sparse/table.py", "import torch\nfrom .kernels import gather"),
        ("sparse/table.py", "from ..data.batch import Batch"),
        ("nn/network.py", "from . import layers\nfrom ..runtime.threads import x"),
        ("models/fm.py", "from ..estimators.base import BaseModel"),
        ("models/__init__.py", "from .fm import FMClassifier"),
        ("plotting/style.py", "def plot():\n    import matplotlib.pyplot as plt"),
        ("plotting/style.py", "if TYPE_CHECKING:\n    from matplotlib import axes"),
    ],
)
def test_the_checker_passes(path, source):
    assert violations(PurePosixPath(path), source) == []
