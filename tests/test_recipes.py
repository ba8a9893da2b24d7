"""The scripts of docs/recipes.md run, and print what the page says."""

import re
import subprocess
import sys
from importlib import util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "recipes.md"
RECIPES = sorted((ROOT / "examples" / "recipes").glob("*.py"))
#: A script on the page, and what it prints.
SHOWN = re.compile(
    r"```\{literalinclude\} \.\./examples/recipes/(\w+\.py)\n.*?```\n\n"
    r"```output\n(.*?)\n```",
    re.S,
)


def test_the_page_shows_every_recipe_with_its_output():
    found = dict(SHOWN.findall(PAGE.read_text(encoding="utf-8")))
    assert sorted(found) == [path.name for path in RECIPES]


@pytest.mark.external
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_prints_what_the_page_says(path, tmp_path):
    library = path.stem.rpartition("_")[2]
    if util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    expected = dict(SHOWN.findall(PAGE.read_text(encoding="utf-8")))[path.name]
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    numbers = re.compile(r"-?\d+\.\d+(e-\d+)?")  # differ between processors
    assert numbers.sub("#", printed).split() == numbers.sub("#", expected).split()
