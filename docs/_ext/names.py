"""Names that the pages link to: those of skfm, and those of other libraries."""

import re
from functools import cache
from importlib import import_module
from pathlib import Path

__all__ = ["foreign_url", "full_name", "public_modules"]

INDEX = Path(__file__).parents[1] / "api" / "index.rst"

#: The page of a name in the documentation of its library. Addresses are formed from
#: names, so that a build needs no inventory from the network.
PAGES = {
    "sklearn": "https://scikit-learn.org/stable/modules/generated/{}.html",
    "numpy": "https://numpy.org/doc/stable/reference/generated/{}.html",
    "scipy": "https://docs.scipy.org/doc/scipy/reference/generated/{}.html",
    "pandas": "https://pandas.pydata.org/docs/reference/api/{}.html",
}
#: How code abbreviates these libraries.
ABBREVIATIONS = {"np": "numpy", "pd": "pandas", "sp": "scipy.sparse"}
#: Modules of scikit-learn whose names the pages use without the module.
SKLEARN = (
    "sklearn.base",
    "sklearn.calibration",
    "sklearn.callback",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.feature_selection",
    "sklearn.frozen",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
)
#: A dotted name, perhaps called.
NAME = re.compile(r"([A-Za-z_]\w*(?:\.\w+)*)(?:\(.*\))?", re.S)


@cache
def public_modules() -> tuple[str, ...]:
    """Return the modules that the index of the reference lists."""
    text = INDEX.read_text(encoding="utf-8")
    return tuple(re.findall(r"^   (skfm(?:\.\w+)*)$", text, re.M))


@cache
def _own() -> dict[str, str]:
    """Return the full name for each short name of skfm."""
    names = {}
    for module in public_modules():
        for name in import_module(module).__all__:
            names.setdefault(name, f"{module}.{name}")
    return names | {module: module for module in public_modules()}


@cache
def _of_sklearn() -> dict[str, str]:
    names = {}
    for module in SKLEARN:
        for name in getattr(import_module(module), "__all__", ()):
            names.setdefault(name, f"{module}.{name}")
    return names


def full_name(text: str) -> str | None:
    """Return the full name of what a piece of code names, if it can be linked to.

    The code is a name, perhaps with the module or a method, or a call.
    """
    found = NAME.fullmatch(text)
    if not found:
        return None
    name = found[1]
    head, _, rest = name.partition(".")
    if head in ABBREVIATIONS:
        name = f"{ABBREVIATIONS[head]}.{rest}"
    if name in _own():
        return _own()[name]
    if name.startswith(("skfm.", *(f"{library}." for library in PAGES))):
        return name
    if head in _own() and rest:
        return f"{_own()[head]}.{rest}"
    return _of_sklearn().get(name)


def foreign_url(full: str) -> str | None:
    """Return the address of the page of a name of another library, if it exists."""
    library, _, rest = full.partition(".")
    if library not in PAGES or not rest:
        return None
    module, _, name = full.rpartition(".")
    try:
        known = hasattr(import_module(module), name)
    except ImportError:
        return None
    return PAGES[library].format(full) if known else None
