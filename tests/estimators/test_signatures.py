"""The public constructors: a golden list, and how parameters are documented.

After a deliberate change of a signature, write the list anew:

    python tests/estimators/test_signatures.py > tests/signatures.txt
"""

import inspect
import re
from pathlib import Path

import pytest
from sklearn.base import clone

import skfm
from skfm.estimators.groups import GROUPS, in_groups

GOLDEN = Path(__file__).parents[1] / "signatures.txt"
REGENERATE = "python tests/estimators/test_signatures.py > tests/signatures.txt"
CLASSES = [
    getattr(skfm, n)
    for n in skfm.__all__
    if n.endswith(("Classifier", "Ranker", "Regressor"))
]
SECTIONS = ("Parameters", "Attributes", "References", "Examples")


def signatures():
    """Each public class with its parameters and their defaults, a line each."""
    lines = []
    for cls in [*CLASSES, skfm.FieldCrosses, skfm.FieldEncoder]:
        lines.append(cls.__name__)
        for name, parameter in inspect.signature(cls).parameters.items():
            default = parameter.default
            text = "required" if default is inspect.Parameter.empty else repr(default)
            lines.append(f"    {name}: {text}")
    return "\n".join(lines) + "\n"


def sections(doc):
    """The sections of a numpydoc docstring, by title."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.cleandoc(doc), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section):
    """The names of a Parameters or Attributes section, to the text below each."""
    found = re.split(r"^(\w[\w, ]*) : (.+)\n", section + "\n", flags=re.M)
    texts = zip(found[1::3], found[2::3], found[3::3], strict=True)
    return {
        name: (kind, text.strip())
        for names, kind, text in texts
        for name in names.split(", ")
    }


every_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def test_signatures_are_the_golden_ones():
    expected = GOLDEN.read_text(encoding="utf-8")
    assert signatures() == expected, (
        "A public signature changed. If that is intended, say so in CHANGELOG.md and "
        f"run: {REGENERATE}"
    )


@every_class
def test_parameters(cls):
    """Keyword-only, with a default, documented and constrained; nothing else is."""
    parameters = inspect.signature(cls).parameters
    documented = entries(sections(cls.__doc__)["Parameters"])
    assert list(documented) == list(parameters)
    assert list(cls._parameter_constraints) == list(parameters)
    for name, parameter in parameters.items():
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY, name
        assert cls._parameter_constraints[name], name
        kind, text = documented[name]
        assert kind.endswith(f", default={parameter.default!r}"), name
        assert text.endswith("."), name


def test_groups_order_parameters():
    known = {name for cls in CLASSES for name in inspect.signature(cls).parameters}
    assert known >= {name for names in GROUPS.values() for name in names}
    names = ["verbose", "own", "n_factors", "alpha", "alpha_factors", "loss"]
    ordered = ["loss", "n_factors", "own", "alpha_factors", "alpha", "verbose"]
    assert in_groups(names) == ordered


@every_class
def test_clone_and_get_params(cls):
    parameters = inspect.signature(cls).parameters
    defaults = {name: parameter.default for name, parameter in parameters.items()}
    assert cls().get_params() == defaults
    assert clone(cls()).get_params() == defaults
    assert vars(cls()) == defaults


@every_class
def test_docstring(cls):
    doc = cls.__doc__
    assert "{parameters}" not in doc
    assert "{attributes}" not in doc
    found = sections(doc)
    for title in SECTIONS:
        assert found.get(title, "").strip(), title
    assert ">>> " in found["Examples"]
    assert re.search(r"\d{4}", found["References"])


@every_class
def test_public_methods_have_docstrings(cls):
    names = [name for name in dir(cls) if not name.startswith("_")]
    assert {"fit", "predict", "score", "partial_fit"} <= set(names)
    for name in names:
        attribute = inspect.getattr_static(cls, name)
        if callable(getattr(cls, name)) or isinstance(attribute, property):
            assert inspect.getdoc(getattr(cls, name)), name


@pytest.mark.filterwarnings("ignore::skfm.exceptions.SingleQueryWarning")
@every_class
def test_fitted_attributes_are_documented(cls, click_data):
    X, y = click_data
    model = cls(max_iter=1, random_state=0).fit(X, y)
    documented = entries(sections(cls.__doc__)["Attributes"])
    public = {name for name in dir(model) if re.fullmatch(r"[a-z]\w*[^_]_", name)}
    # Names are there only if X had some, linear weights if the model has some.
    absent = {"feature_names_in_"} | (set() if hasattr(model, "coef_") else {"coef_"})
    assert public == documented.keys() - absent
    assert hasattr(model, "coef_") == model.network_.has_linear


if __name__ == "__main__":
    print(signatures(), end="")
