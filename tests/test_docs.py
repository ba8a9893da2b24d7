"""Every block of Python in the pages of the documentation runs; links lead somewhere.

The blocks of a page run in order and share their names, as a reader would type them.
A traceback names the page and its line.
"""

import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [page for page in PAGES if "_build" not in page.parts]
FENCE = re.compile(r"^[ \t]*(?P<fence>`{3,}|~{3,})[ \t]*(?P<info>[^\n`]*)$")

#: What would hide a block of Python from this test.
NOT_TO_RUN = {"", "py", "python3", "pycon", "{code-block} python"}


def blocks(text):
    """Yield line, language and code of each fenced block; the line is the fence's."""
    opened = None
    for number, line in enumerate(text.splitlines(), start=1):
        found = FENCE.match(line)
        if opened is None:
            if found:
                opened, start, code = found, number, []
        elif found and line.strip().startswith(opened["fence"]) and not found["info"]:
            yield start, opened["info"].strip(), "\n".join(code)
            opened = None
        else:
            code.append(line)
    if opened is not None:
        raise ValueError(f"the block that line {start} opens has no end")


def run(text, name):
    """Run the blocks of Python of a page, in one namespace."""
    namespace = {"__name__": "__main__"}
    for line, language, code in blocks(text):
        if not language or language in {
            "py",
            "python3",
            "pycon",
            "{code-block} python",
        }:
            raise ValueError(
                f'{name}, line {line}: call a block "python" if it is to run, and say '
                "what it holds if it is not (text, console, ...)."
            )
        if language == "python":
            # Lines of the code are those of the page.
            padded = "\n" * line + dedent(code)
            exec(compile(padded, name, "exec"), namespace)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    name = str(page.relative_to(ROOT))
    try:
        run(page.read_text(encoding="utf-8"), name)
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
    run(PAGE.format(last="assert (x, y) == (1, 2)"), "page.md")


@pytest.mark.parametrize(
    ("last", "error"), [("z", NameError), ("raise ValueError('no')", ValueError)]
)
def test_a_failure_names_page_and_line(last, error):
    with pytest.raises(error) as info:
        run(PAGE.format(last=last), "page.md")
    assert _place(info.value, "page.md") == "page.md, line 11"


@pytest.mark.parametrize("fence", ["```", "```py", "```pycon"])
def test_blocks_are_not_skipped_by_their_spelling(fence):
    with pytest.raises(ValueError, match=r"page\.md, line 2: call a block"):
        run(f"\n{fence}\nx = 1\n```\n", "page.md")


def test_a_block_without_end_is_refused():
    with pytest.raises(ValueError, match="line 1 opens has no end"):
        run("```python\nx = 1\n", "page.md")
