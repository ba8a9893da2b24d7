"""The pages on architectures: real code and complete tables."""

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

ROW = re.compile(r"^\| `(\w+)`( \*)? \|.*\|$", re.M)
ARCHITECTURES = {
    name.removesuffix("Classifier"): getattr(skfm, name)
    for name in skfm.__all__
    if name.endswith("Classifier")
}


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
    files = {cls.__module__ for cls in ARCHITECTURES.values()}
    assert files == {f"skfm.models.{path.stem}" for path in MODELS}


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_tables_list_every_architecture(page):
    listed = ROW.findall((ROOT / page).read_text(encoding="utf-8"))
    assert ARCHITECTURES.keys() <= {name for name, _ in listed}


def test_readme_marks_the_models_that_need_fields():
    marked = dict(ROW.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    for name, cls in ARCHITECTURES.items():
        assert bool(marked[name]) == cls._network_class.needs_fields, name
