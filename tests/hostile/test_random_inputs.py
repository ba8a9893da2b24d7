"""Random input to the public methods: the result of a naive reader, or a refusal.

A refusal is a TypeError or a ValueError that leaves the estimator as it was. Anything
else is wrong: another exception, a number that is not finite, another result than that
of the same numbers in a canonical matrix, or a changed X.
"""

import collections
import copy
import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import X, make, scores
from hostile_cases import CELLS, READERS, SHAPE, dense_of, spoilt
from numpy.testing import assert_allclose

import skfm
from skfm.inspection import explain

LABELS = np.array([0, 1, 1, 0, 0, 1])
FRAME = pd.DataFrame({"site": list("aabbcc"), "hour": [1.0, 2.5, 3.0, 4.5, 5.0, 6.5]})
OPTIONS = {"fields": (4, 5, 3), "max_iter": 1, "dtype": "float64", "warm_start": True}


@functools.cache
def models():
    rows = X[: SHAPE[0]]
    chains = skfm.FMRegressor(max_iter=2, n_samples=4, random_state=0, dtype="float64")
    return {
        "FM": make(skfm.FMClassifier, **OPTIONS).fit(rows, LABELS),
        "Bayesian FM": chains.fit(rows, LABELS),
        "DeepFM": make(skfm.DeepFMRegressor, **OPTIONS).fit(rows, LABELS),
        "ranker": make(skfm.FFMRanker, **OPTIONS).fit(rows, LABELS),
        "table": make(skfm.AFMClassifier, dtype="float64").fit(FRAME, LABELS),
        "encoder": skfm.FieldEncoder().fit(FRAME),
        "crosses": skfm.FieldCrosses(random_state=0).fit(FRAME, LABELS),
    }


def fit(method, X, y, w):
    """Fit a model, with weights if there are any: not all classes take some."""
    return method(X, y) if w is None else method(X, y, sample_weight=w)


def read(model, X):
    return model.predict(X) if hasattr(model, "predict") else model.transform(X)


#: Calls of a model with X, a target and weights; those that fit predict too.
READING = {
    "predict": lambda model, X, y, w: model.predict(X),
    "predict_proba": lambda model, X, y, w: model.predict_proba(X),
    "decision_function": lambda model, X, y, w: model.decision_function(X),
    "score": lambda model, X, y, w: model.score(X, y, sample_weight=w),
    "predictor": lambda model, X, y, w: model.compile_predictor().predict(X),
    "predict_with_offset": lambda model, X, y, w: model.predict(X, offset=w),
    "predict_with_std": lambda model, X, y, w: np.hstack(model.predict(X, True)),
    "predict_quantiles": lambda model, X, y, w: model.predict_quantiles(X, offset=w),
    "posterior_scores": lambda model, X, y, w: model.posterior_scores(X),
    "explain": lambda model, X, y, w: explain(model, X).contribution,
    "transform": lambda model, X, y, w: model.transform(X),
}
FITTING = {
    "fit": lambda model, X, y, w: read(fit(model.fit, X, y, w), X),
    "fit_with_offset": lambda model, X, y, w: read(model.fit(X, y, offset=w), X),
    "partial_fit": lambda model, X, y, w: read(fit(model.partial_fit, X, y, w), X),
    "fit_transform": lambda model, X, y, w: model.fit_transform(X, y),
}
CALLS = READING | FITTING
#: Calls whose result for a table is that for its rows, one by one.
BY_ROW = ("predict", "predict_proba", "decision_function", "predictor", "transform")


def pick(items, rng):
    return items[int(rng.integers(len(items)))]


def numbers(rng):
    """A dense array, of which one number may be hard."""
    array = rng.integers(-3, 4, SHAPE) * pick([1, 0.5, 1e-3], rng)
    if rng.random() < 0.4:
        hard = [np.nan, np.inf, 1e300, 1e-310, 2.0**60, -(2.0**63), 3e38]
        array = array.astype(np.float64)
        array[rng.integers(SHAPE[0]), rng.integers(SHAPE[1])] = pick(hard, rng)
    with np.errstate(all="ignore"):
        return array.astype(pick(["f8", "f4", ">f8", "i8", ">i2", "?", "O"], rng))


def matrix(rng):
    return spoilt(pick(list(READERS), rng), rng)


def table(rng):
    """A table, of which some cells may be of any type."""
    frame = FRAME.iloc[rng.integers(len(FRAME), size=SHAPE[0])].reset_index(drop=True)
    if rng.random() < 0.8:
        cells = [pick(CELLS, rng) for _ in range(pick([1, 6], rng))]
        cells = (cells * 6)[:6]
        name = pick(["site", "hour", "new", 3], rng)
        frame[name] = pd.Series(np.fromiter(cells, object), dtype=object)
    return frame[list(rng.permutation(frame.columns))] if rng.random() < 0.2 else frame


def nonsense(rng):
    return pick(
        [
            None,
            3,
            "text",
            [],
            [[1, 2], [3]],
            [["a", 1j]] * 6,
            np.zeros((0, 12)),
            np.zeros((6, 0)),
            np.zeros((6, 12, 1)),
            np.zeros(6),
            np.zeros((6, 12), "M8[s]"),
            np.zeros((6, 12), [("a", "f8")]),
            sp.coo_array(np.ones(6)),
            sp.csr_array((6, 0)),
            [{"site": "a"}] * 6,
            [None] * 6,
            pd.Series(range(6)),
            FRAME.iloc[:0],
            object(),
        ],
        rng,
    )


TARGETS = [LABELS] * 12
TARGETS += [
    LABELS * 0.5,
    list("abbaab"),
    LABELS[:5],
    LABELS * np.nan,
    LABELS * 1e308,
    [None] * 6,
    [10**400, *LABELS[1:]],
    ["a", 1, None, 2.0, "a", 1],
    LABELS[:, None],
    np.eye(6)[:, :2],
    LABELS.astype(bool),
    LABELS * 1j,
    pd.Series([1, None, 0, 1, 0, 1]),
    np.zeros(6),
    np.array(["2020-01-01"] * 6, "M8[D]"),
    None,
]
WEIGHTS = [None] * 16
WEIGHTS += [np.ones(6), LABELS, -np.ones(6), np.ones(5), np.zeros(6), LABELS * np.nan]
WEIGHTS += [np.full(6, 5e-324), np.full(6, 1e308), ["a"] * 6, 2.0, 10**400]


def plain(X):
    """The numbers of X, by a naive reader; None if they are none, or no matrix."""
    if sp.issparse(X) and X.format in READERS and X.ndim == 2 and X.shape == SHAPE:
        return None if X.data.dtype.kind in "cUS" else dense_of(X)
    if isinstance(X, np.ndarray) and X.dtype.kind in "fiubO" and X.shape == SHAPE:
        return X.astype(np.float64)
    return None


def outcome(call):
    """The numbers that a call returns, or the name of what it raised."""
    try:
        found = call()
    except (TypeError, ValueError):
        return "refused"
    except FloatingPointError:
        return "diverged"
    except Exception as error:
        return f"wrong: {error!r}"
    found = found.toarray() if sp.issparse(found) else np.asarray(found)
    finite = found.dtype.kind not in "fc" or np.isfinite(found).all()
    return found if finite else "wrong: not finite"


def reference(model, name, X, y, w):
    """The outcome by a naive reader of X; None if there is none for the call."""
    call, form = CALLS[name], getattr(X, "format", None)
    numbers = plain(X)
    if form in READERS and X.shape == SHAPE and numbers is None:
        return "refused"
    if isinstance(X, pd.DataFrame) and name in BY_ROW:
        rows = [X[i : i + 1] for i in range(len(X))]
        parts = [outcome(lambda: call(model, row, y, w)) for row in rows]  # noqa: B023
        refused = [part for part in parts if isinstance(part, str)]
        return refused[0] if refused else np.concatenate(parts)
    if numbers is None or (name == "predictor" and form != "csr"):
        return None
    canonical = sp.csr_array(numbers) if sp.issparse(X) else numbers
    return outcome(lambda: call(model, canonical, y, w))


def judge(model, name, X, y, w):
    """Return the outcome of a call, which begins with "wrong" for a defect."""
    work, before = copy.copy(model), dict(vars(model))
    matrix = plain(X) is not None
    given = pickle.dumps(X) if matrix else None
    found = outcome(lambda: CALLS[name](work, X, y, w))
    if matrix and pickle.dumps(X) != given:
        return "wrong: X has changed"
    same = all(vars(work).get(key) is value for key, value in before.items())
    if isinstance(found, str) and found == "refused" and not same:
        return "wrong: a refusal has changed the estimator"
    if isinstance(found, str) and isinstance(X, pd.DataFrame):
        # Cells of several types are refused together, though each may pass alone.
        return found
    expected = reference(copy.copy(model), name, X, y, w)
    if expected is None:
        return found if isinstance(found, str) else "taken"
    return compare(found, expected)


def compare(found, expected):
    """Say whether outcomes are both refusals, or equal but for rounding."""
    if isinstance(found, str) and isinstance(expected, str):
        return found
    if isinstance(found, str) or isinstance(expected, str):
        return f"wrong: {found}, but by a naive reader {expected}"
    if found.dtype.kind in "fc":
        equal = np.allclose(found, expected, rtol=1e-7, atol=1e-9)
    else:
        equal = found.astype(str).tolist() == expected.astype(str).tolist()
    return "equal" if equal else f"wrong: {found}, but by a naive reader {expected}"


def one(number, seed):
    """Draw an input, and return what becomes of it beside what it was."""
    rng = np.random.default_rng([seed, number])
    kind = pick([matrix, matrix, numbers, numbers, table, table, nonsense], rng)
    suited = ("table", "encoder", "crosses")
    names = [
        n for n in models() if kind is nonsense or (n in suited) == (kind is table)
    ]
    name = pick(names, rng)
    model = models()[name]
    call = pick([call for call in CALLS if has_own(model, call)], rng)
    X, y, w = kind(rng), pick(TARGETS, rng), pick(WEIGHTS, rng)
    return judge(model, call, X, y, w), f"{name}.{call}({kind.__name__})"


def has_own(model, call):
    """Return whether a model has a method of its own, beside scikit-learn's."""
    names = {
        "predictor": "compile_predictor",
        "explain": "_read_rows",
        "predict_with_offset": "predict",
        # The model that has quantiles is the one that has samples.
        "predict_with_std": "predict_quantiles",
        "posterior_scores": "predict_quantiles",
        "fit_with_offset": "fit",
    }
    method = getattr(model, names.get(call, call), None)
    return method is not None and (call != "score" or "skfm" in method.__module__)


def run(n_inputs, seed=0):
    """Count the outcomes of random inputs, and print those that are wrong."""
    outcomes = collections.Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number in range(n_inputs):
            found, what = one(number, seed)
            outcomes[found.split(":")[0]] += 1
            if found.startswith("wrong"):
                print(f"input {number} of seed {seed}, {what}: {found}", flush=True)
    return outcomes


def test_a_short_run(capsys):
    outcomes = run(200)
    assert "wrong" not in outcomes, capsys.readouterr().out
    # Neither is all refused, nor all taken.
    assert min(outcomes[kind] for kind in ("refused", "equal", "taken")) > 5


ROWS = X[:6] * 0


@pytest.mark.parametrize("name", ["Bayesian FM", "DeepFM", "FM"])
def test_explanations_of_rows_without_entries(name):
    model = models()[name]
    terms = explain(model, ROWS)
    found = terms.groupby("row").contribution.sum()
    assert_allclose(found, scores(model, ROWS), rtol=1e-6)


def test_explanations_that_overflow():
    with pytest.raises(ValueError, match="row 1 is not a finite number"):
        explain(models()["FM"], np.outer([1, 1e200], np.ones(12)))


@pytest.mark.parametrize("weight", [1e308, 10**400])
def test_weights_beyond_the_floats(weight):
    weights = [weight] * len(LABELS)
    for model in (make(skfm.FMClassifier), skfm.FieldCrosses()):
        with pytest.raises(ValueError, match="too large for a float64"):
            model.fit(FRAME, LABELS, sample_weight=weights)
    model = make(skfm.FMClassifier, class_weight={0: 1e308, 1: 1e308})
    with pytest.raises(ValueError, match=r"class_weight.*too large"):
        model.fit(FRAME, LABELS)


def test_structured_arrays():
    with pytest.raises(TypeError, match="structured array"):
        skfm.FieldEncoder().fit(np.zeros((6, 1), [("a", "f8")]))


def test_labels_without_an_order():
    labels = np.array(["a", None] * 3, dtype=object)
    with pytest.raises(TypeError, match="types NoneType, str, which have no"):
        make(skfm.FMClassifier).fit(FRAME, labels)
