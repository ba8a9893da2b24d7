"""Every block of Python in the pages of the documentation runs; links lead somewhere.

The blocks of a page run in order and share their names, as a reader would type them.
What a block prints, and the value of an expression at its end unless it is an estimator
or a picture, stand in a block ``output`` below it. Write these blocks anew, and look at
the difference, with:

    python tests/test_docs.py docs/fields.md README.md

A traceback names the page and its line.
"""

import ast
import math
import os
import re
import sys
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from textwrap import dedent, indent
from typing import NamedTuple

import pytest
from sklearn.base import BaseEstimator

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
FENCE = re.compile(r"^(?P<margin>[ \t]*)(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)$")

#: Languages that would hide a block of Python from this test.
NOT_TO_RUN = {"", "py", "python3", "pycon", "{code-block} python"}


class Block(NamedTuple):
    """A fenced block: the lines of its fences, its language, margin and text."""

    line: int
    end: int
    language: str
    margin: str
    text: str


def blocks(text):
    """Yield the fenced blocks."""
    opened = None
    for number, line in enumerate(text.splitlines(), start=1):
        found = FENCE.match(line)
        if opened is None:
            if found:
                opened, start, code = found, number, []
        elif found and line.strip().startswith(opened["fence"]) and not found["info"]:
            language, margin = opened["info"].strip(), opened["margin"]
            yield Block(start, number, language, margin, "\n".join(code))
            opened = None
        else:
            code.append(line)
    if opened is not None:
        raise ValueError(f"the block that line {start} opens has no end")


class Run(NamedTuple):
    """A block of Python, the block of output below it, if any, and what it printed."""

    block: Block
    expected: Block | None
    printed: str


def run(text, name):
    """Run the blocks of Python of a page, in one namespace."""
    namespace = {"__name__": "__main__"}
    found = list(blocks(text))
    for block, below in zip(found, [*found[1:], None], strict=False):
        if block.language in NOT_TO_RUN:
            raise ValueError(
                f'{name}, line {block.line}: call a block "python" if it is to run, '
                "and say what it holds if it is not (text, console, ...)."
            )
        if block.language == "python":
            # Lines of the code are those of the page.
            padded = "\n" * block.line + dedent(block.text)
            printed = _execute(padded, name, namespace)
            is_output = below is not None and below.language == "output"
            yield Run(block, below if is_output else None, printed)


def _execute(code, name, namespace):
    """Run code and return what it prints, and the value of its last expression."""
    tree = ast.parse(code, name)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        last = ast.Expression(tree.body.pop().value)
    with redirect_stdout(StringIO()) as printed:
        exec(compile(tree, name, "exec"), namespace)
        value = eval(compile(last, name, "eval"), namespace) if last else None
        if not (value is None or _is_shown_otherwise(value)):
            print(repr(value))
    return printed.getvalue().rstrip()


def _is_shown_otherwise(value):
    """Return whether a value is an estimator or a picture."""
    return isinstance(value, BaseEstimator) or type(value).__name__.endswith("Display")


TOKEN = re.compile(r"(?<![\w.])[-+]?(?:\d+\.\d*|\.\d+)(?:e[-+]?\d+)?|\w+|[^\w\s]")


def agree(expected, printed):
    """Return whether texts agree but for white space and the rounding of fractions."""
    first, second = TOKEN.findall(expected), TOKEN.findall(printed)
    if len(first) != len(second):
        return False
    return all(a == b or _is_near(a, b) for a, b in zip(first, second, strict=True))


def _is_near(a, b):
    """Return whether two tokens are fractions that other processors may confuse."""
    if not all("." in token and len(token) > 1 for token in (a, b)):
        return False
    return math.isclose(float(a), float(b), rel_tol=0.02, abs_tol=0.005)


def compare(result, name):
    """Raise an error unless a block prints what the page says."""
    expected = "" if result.expected is None else dedent(result.expected.text)
    if not agree(expected, result.printed):
        raise ValueError(
            f"{name}, line {result.block.line}: this block prints\n{result.printed}\n"
            f"and the page says\n{expected}\nWrite it anew with: python "
            f"tests/test_docs.py {name}"
        )


def with_outputs(text, name):
    """Return the page with the blocks ``output`` that its code prints."""
    lines = text.splitlines()
    for block, expected, printed in reversed(list(run(text, name))):
        end = block.end if expected is None else expected.end
        if agree("" if expected is None else expected.text, printed):
            continue
        shown = f"\n```output\n{printed}\n```" if printed else ""
        lines[block.end : end] = indent(shown, block.margin).splitlines()
    return "\n".join(lines) + "\n"


#: Pages whose code runs in `make test`: what a newcomer reads first.
FIRST_PAGES = {"README.md", "index.md", "getting_started.md", "fields.md", "faq.md"}
PAGES_TO_RUN = [
    pytest.param(
        page, marks=() if page.name in FIRST_PAGES else pytest.mark.slow, id=page.name
    )
    for page in PAGES
]


@pytest.mark.parametrize("page", PAGES_TO_RUN)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    name = str(page.relative_to(ROOT))
    try:
        for result in run(page.read_text(encoding="utf-8"), name):
            compare(result, name)
    except Exception as error:
        pytest.fail(f"{_place(error, name)}: {type(error).__name__}: {error}")


def _place(error, name):
    """The page, and the line of it that an exception came from, if any."""
    lines = []
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == name:
            lines.append(trace.tb_lineno)
        trace = trace.tb_next
    line = lines[-1] if lines else getattr(error, "lineno", None)
    return name if line is None else f"{name}, line {line}"


#: Links and pictures of Markdown: what they lead to, without a title.
LINK = re.compile(r"\]\(<?([^)\s>]+)>?[^)]*\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    targets = [target.partition("#")[0] for target in LINK.findall(text)]
    inside = [t for t in targets if t and not t.startswith(("http:", "https:"))]
    # Pages that the build makes, from scripts and docstrings.
    kept = [t for t in inside if "auto_examples/" not in t and not t.startswith("api/")]
    missing = [t for t in kept if not (page.parent / t).exists()]
    assert not missing


PAGE = """\
# Title

```python
x = 1
```

- a list

  ```python
  y = x + 1
  {last}
  ```

```text
this is (not Python
```
"""


def test_names_are_shared_and_text_is_left_alone():
    list(run(PAGE.format(last="assert (x, y) == (1, 2)"), "page.md"))


@pytest.mark.parametrize(
    ("last", "error"), [("z", NameError), ("raise ValueError('no')", ValueError)]
)
def test_a_failure_names_page_and_line(last, error):
    with pytest.raises(error) as info:
        list(run(PAGE.format(last=last), "page.md"))
    assert _place(info.value, "page.md") == "page.md, line 11"


@pytest.mark.parametrize("fence", ["```", "```py", "```pycon"])
def test_blocks_are_not_skipped_by_their_spelling(fence):
    with pytest.raises(ValueError, match=r"page\.md, line 2: call a block"):
        list(run(f"\n{fence}\nx = 1\n```\n", "page.md"))


def test_a_block_without_end_is_refused():
    with pytest.raises(ValueError, match="line 1 opens has no end"):
        list(run("```python\nx = 1\n", "page.md"))


def test_outputs_are_compared_and_written():
    page = PAGE.format(last="print('y'); y / 3")
    (silent, printing) = run(page, "page.md")
    assert (silent.printed, printing.printed) == ("", "y\n0.6666666666666666")
    compare(silent, "page.md")
    with pytest.raises(ValueError, match=r"page\.md, line 9: this block prints\ny"):
        compare(printing, "page.md")
    written = with_outputs(page, "page.md")
    shown = "  ```output\n  y\n  0.6666666666666666\n  ```\n"
    assert f"  ```\n\n{shown}\n```text" in written
    for text in (written, written.replace("0.6666666666666666", "0.667")):
        assert with_outputs(text, "page.md") == text
    wrong = written.replace("0.6666666666666666", "0.61")
    assert with_outputs(wrong, "page.md") == written


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("array([[0.5 , 0.25]])", "array([[0.5004, 0.2501]])", True),
        ("a  1\nb  2", "a 1\nb   2", True),
        ("[10 20]", "[10 21]", False),
        ("0.5", "0.6", False),
        ("N1 0.5", "N2 0.5", False),
        ("1.0", "1.0 2.0", False),
    ],
)
def test_rounding_and_space_do_not_matter(expected, printed, same):
    assert agree(expected, printed) == same


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    sys.path.pop(0)  # the folder of this file has rooms named like other packages
    for path in [Path(given).resolve() for given in sys.argv[1:]]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            page = with_outputs(path.read_text(encoding="utf-8"), path.name)
            os.chdir(ROOT)
        path.write_text(page, encoding="utf-8")
