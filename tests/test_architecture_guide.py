"""docs/add_an_architecture.md shows real code, and model files stay what it promises."""

import ast
import re
from pathlib import Path

import pytest

import skfm

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "add_an_architecture.md"
MODELS = sorted((ROOT / "skfm" / "models").glob("[!_]*.py"))
INCLUDE = re.compile(
    r"^( *)```\{literalinclude\} (\S+)\n *:pyobject: (\S+)\n *```$", re.M
)


def includes():
    found = INCLUDE.findall(GUIDE.read_text(encoding="utf-8"))
    return [(path, name) for _, path, name in found]


def test_guide_includes_a_model_file():
    """Network, parameters and a public class, and no code that is only pasted."""
    blocks = re.findall(r"^ *```(\{?\w+\}?)", GUIDE.read_text(encoding="utf-8"), re.M)
    assert blocks == ["{literalinclude}"] * len(includes())
    shown = [name for path, name in includes() if "skfm/models/" in path]
    assert [name.startswith("_") for name in shown] == [False, True, False]
    assert hasattr(skfm, shown[-1])


@pytest.mark.parametrize(("path", "name"), includes())
def test_included_code_exists(path, name):
    tree = ast.parse((GUIDE.parent / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if hasattr(node, "name")}


def test_one_file_per_architecture():
    """Each public estimator is defined in the file of its architecture."""
    classes = {
        cls.__module__
        for name in skfm.__all__
        if name.endswith("Classifier")
        for cls in [getattr(skfm, name)]
    }
    assert classes == {f"skfm.models.{path.stem}" for path in MODELS}


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.stem)
def test_model_files_are_short(path):
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert 40 <= n_lines <= 200
