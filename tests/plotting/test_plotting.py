"""Displays: the values drawn, and a layout without overlaps."""

import subprocess
import sys
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, X, fitted, make
from numpy.testing import assert_allclose
from scipy.special import expit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm.encoding import CrossInfo
from skfm.inspection import attention_weights, explain, interaction_strength
from skfm.model_selection import compare
from skfm.plotting import (
    AttentionDisplay,
    ChainsDisplay,
    ComparisonDisplay,
    ContributionDisplay,
    CrossesDisplay,
    EmbeddingDisplay,
    FieldInteractionDisplay,
    LossCurveDisplay,
)

FRAME = pd.DataFrame(
    [
        ("raw", "FM", 0.7, 0.01),
        ("raw", "NFM", 0.8, 0.02),
        ("$x$", "FM", np.nan, np.nan),
    ],
    columns=["features", "model", "mean", "std"],
)

CROSSES = [
    CrossInfo(f"a long name {i} x {'and another one ' * 5}", (), "levels", 9, *numbers)
    for i, numbers in enumerate([(80.4, 1.0, 9.0), (7.6, 0.1, 4.0), (np.nan,) * 3])
]


@pytest.fixture(autouse=True)
def _agg():
    """A backend without windows, and no figure left behind."""
    with mpl.rc_context({"backend": "agg"}):
        yield
        plt.close("all")


@pytest.fixture(scope="module")
def wide():
    """40 fields with long names, and models fitted on them."""
    rng = np.random.default_rng(0)
    cells = rng.integers(3, size=(60, 40))
    names = [f"a_column_whose_name_is_longer_than_any_label_{j}" for j in range(40)]
    df = pd.DataFrame(cells, columns=names).astype("str")
    models = {
        cls: cls(max_iter=1, n_factors=2, random_state=0).fit(df, cells[:, 0] == 0)
        for cls in (skfm.FMClassifier, skfm.AFMClassifier, skfm.AutoIntClassifier)
    }
    return df, models


def draw(kind, df, models, ax=None):
    fm, row = models[skfm.FMClassifier], df[:1]
    return {
        "loss": lambda: LossCurveDisplay.from_estimator(fm, ax=ax),
        "fields": lambda: FieldInteractionDisplay.from_estimator(fm, df, ax=ax),
        "bars": lambda: AttentionDisplay.from_estimator(
            models[skfm.AFMClassifier], row, ax=ax
        ),
        "map": lambda: AttentionDisplay.from_estimator(
            models[skfm.AutoIntClassifier], row, ax=ax
        ),
        "terms": lambda: ContributionDisplay.from_estimator(fm, row, ax=ax),
        "embedding": lambda: EmbeddingDisplay.from_estimator(fm, 0, ax=ax),
        "comparison": lambda: ComparisonDisplay(FRAME).plot(ax),
        "crosses": lambda: CrossesDisplay(CROSSES).plot(ax),
    }[kind]()


KINDS = ["loss", "fields", "bars", "map", "terms", "embedding", "comparison", "crosses"]


@pytest.mark.parametrize("kind", KINDS)
def test_labels_do_not_overlap(kind, wide):
    display = draw(kind, *wide)
    display.figure_.draw_without_rendering()
    for axis, side in ((display.ax_.xaxis, "x"), (display.ax_.yaxis, "y")):
        boxes = [t.get_window_extent() for t in axis.get_ticklabels() if t.get_text()]
        if side == "x" and axis.get_ticklabels()[0].get_rotation() == 45:
            continue
        for one, other in pairwise(boxes):
            assert not one.overlaps(other)
    # All text is inside of the figure, and the axes keep room.
    box = display.ax_.get_tightbbox()
    assert box.x0 >= -1
    assert box.y0 >= -1
    assert display.ax_.get_window_extent().width > 0.35 * display.figure_.bbox.width


@pytest.mark.parametrize("kind", KINDS)
def test_displays_draw_into_given_axes(kind, wide):
    _, ax = plt.subplots()
    assert draw(kind, *wide, ax=ax).ax_ is ax
    display = draw(kind, *wide)
    assert display.ax_ is not ax
    assert display.figure_ is display.ax_.figure
    assert display.plot(ax) is display
    assert display.ax_ is ax


def test_gains_of_the_crosses_that_were_found():
    display = CrossesDisplay(CROSSES).plot()
    assert [bar.get_width() for bar in display.ax_.patches] == [80.4, 7.6]
    model = make(skfm.FMClassifier, crosses=[(0, 1)])
    model.fit(pd.DataFrame(CELLS.astype(str)), LABELS)
    with pytest.raises(ValueError, match="no cross to draw"):
        CrossesDisplay.from_estimator(make_pipeline("passthrough", model))


def test_loss_curves():
    model = fitted(skfm.FMClassifier, early_stopping=True)
    display = LossCurveDisplay.from_estimator(make_pipeline(model))
    training, held_out = display.lines_
    assert_allclose(training.get_ydata(), model.loss_curve_)
    assert_allclose(held_out.get_ydata(), -np.array(model.validation_scores_))
    assert display.best_epoch == model.best_iter_
    without = LossCurveDisplay.from_estimator(fitted(skfm.FMClassifier))
    assert len(without.lines_) == 1


def test_iterations_of_chains_are_not_epochs():
    unset = dict.fromkeys(["batch_size", "early_stopping", "n_members"])
    model = fitted(skfm.FMClassifier, **unset)
    display = LossCurveDisplay.from_estimator(model)
    assert display.ax_.get_xlabel() == "iteration"
    assert len(display.lines_) == 1


def test_chains():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"a": rng.choice(list("xyz"), 200), "b": rng.normal(size=200)})
    y = (table["a"] == "x") + table["b"] + rng.normal(size=200)
    model = skfm.FMRegressor(max_iter=120, random_state=0).fit(table, y)
    display = ChainsDisplay.from_estimator(make_pipeline(model))
    left, right = display.ax_
    path = model.diagnostics_["rhat_path"]
    assert len(path) > 0
    assert_allclose(left.lines[0].get_xydata(), path)
    labels = [label.get_text() for label in right.get_yticklabels()]
    assert labels == [str(name) for name in model.field_names_]
    weights = [bar.get_width() for bar in right.containers[0]]
    assert_allclose(weights, model.diagnostics_["scales"][:, 0, -1])
    factors = [bar.get_width() for bar in right.containers[1]]
    squares = model.diagnostics_["scales"][:, 0, :-1] ** 2
    assert_allclose(factors, np.sqrt(squares.sum(axis=1)))
    _, pair = plt.subplots(1, 2)
    assert display.plot(pair).ax_[1] is pair[1]
    with pytest.raises(ValueError, match="not fitted by it"):
        ChainsDisplay.from_estimator(fitted(skfm.FMClassifier))


def test_interactions_are_standard_deviations():
    model = fitted(skfm.FMClassifier)
    display = FieldInteractionDisplay.from_estimator(model, X)
    expected = np.sqrt(interaction_strength(model, X).to_numpy())
    drawn = np.ma.filled(display.image_.get_array(), np.nan)
    assert_allclose(drawn[0, 0], expected[1, 0])
    assert_allclose(drawn[1], expected[2, :2])
    assert np.isnan(drawn[0, 1])


def test_interactions_without_rows():
    model = fitted(skfm.FMClassifier, fields=(4, 5, 3))
    display = FieldInteractionDisplay.from_estimator(model)
    assert_allclose(display.strength, np.sqrt(interaction_strength(model)))
    assert display.label == "standard deviation of the pair's term"
    display = FieldInteractionDisplay.from_estimator(fitted(skfm.DCNClassifier))
    assert display.label == "strength of the weights"


def test_an_asymmetric_matrix_is_drawn_whole():
    matrix = pd.DataFrame([[0, 1], [2, 0]], ["a", "b"], ["a", "b"])
    display = FieldInteractionDisplay.from_strength(matrix)
    assert_allclose(display.image_.get_array(), matrix)


def test_bars_are_the_largest_weights():
    model = fitted(skfm.AFMClassifier)
    display = AttentionDisplay.from_estimator(model, X[:1], max_pairs=2)
    weights = np.sort(attention_weights(model, X[:1])["weight"])[::-1]
    widths = [bar.get_width() for bar in display.ax_.patches]
    assert_allclose(widths, weights[:2])
    assert "1 other pairs" in display.ax_.get_xlabel()


def test_a_waterfall_ends_at_the_score():
    model = fitted(skfm.FMClassifier)
    display = ContributionDisplay.from_estimator(model, X[:1], max_terms=2)
    bars = display.ax_.patches
    terms = explain(model, X[:1])
    assert bars[0].get_x() == pytest.approx(terms["contribution"][0])
    for one, following in pairwise(bars):
        assert following.get_x() == pytest.approx(one.get_x() + one.get_width())
    end = bars[-1].get_x() + bars[-1].get_width()
    assert end == pytest.approx(model.decision_function(X[:1])[0])
    assert len(bars) == 3


def test_a_waterfall_of_one_class():
    model = make(skfm.FMClassifier).fit(X, CELLS[:, 0] % 3)
    display = ContributionDisplay.from_estimator(model, X[:1], output=2)
    score = model.decision_function(X[:1])[0, 2]
    assert display.terms["contribution"].sum() == pytest.approx(score)
    with pytest.raises(ValueError, match="output=None is not one of the outputs"):
        ContributionDisplay.from_estimator(model, X[:1])


@pytest.mark.parametrize(
    ("model", "label", "predict"),
    [
        (skfm.FMClassifier(solver="sgd"), "probability at this score", expit),
        (skfm.FMRegressor(loss="poisson"), "prediction at this score", np.exp),
        (skfm.FMRegressor(solver="sgd"), None, None),
    ],
)
def test_a_waterfall_shows_predictions_and_values(model, label, predict):
    table = pd.DataFrame(CELLS, columns=["a", "b", "c"]).astype({"a": str})
    table["b"] = table["b"] * 1.5 + 0.25
    model.set_params(max_iter=2, crosses=None, random_state=0).fit(table, LABELS)
    display = ContributionDisplay.from_estimator(model, table[3:4])
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert f"b = {table['b'][3]}" in names
    above = [axis for axis in display.ax_.child_axes if axis.get_xlabel()]
    assert [axis.get_xlabel() for axis in above] == [label] * (label is not None)
    for axis in above:
        shown = [float(text.get_text()) for text in axis.get_xticklabels()]
        assert_allclose(predict(np.array(axis.get_xticks())), shown)
        assert len(shown) > 1


@pytest.mark.parametrize("cls", [ContributionDisplay, AttentionDisplay])
def test_only_one_row_is_drawn(cls):
    with pytest.raises(ValueError, match=r"such as X\[:1\]"):
        cls.from_estimator(fitted(skfm.AFMClassifier), X[:2])


def test_embeddings_are_drawn_by_category():
    df = pd.DataFrame(CELLS, columns=["a", "b", "c"]).astype("str")
    model = make_pipeline(OneHotEncoder(), skfm.FMClassifier(max_iter=2)).fit(
        df, LABELS
    )
    values = pd.Series({"0": 1.0, "3": 2.0}, name="size")
    display = EmbeddingDisplay.from_estimator(
        model, "a", categories=["3", "0", "1"], values=values
    )
    assert display.positions.index.tolist() == ["3", "0", "1"]
    assert_allclose(display.values, [2, 1, np.nan])
    assert_allclose(display.scatter_.get_offsets(), display.positions)
    with pytest.raises(ValueError, match="categories has '9'"):
        EmbeddingDisplay.from_estimator(model, "a", categories=["9"])
    with pytest.raises(ValueError, match="three categories"):
        EmbeddingDisplay.from_estimator(model, "a", categories=["0", "1"])


def test_comparison_is_drawn():
    found = compare(
        {"FM": make(skfm.FMClassifier)},
        {"all": "passthrough"},
        X,
        LABELS,
        cv=2,
        scoring="accuracy",
        progress=False,
    )
    display = found.plot()
    assert display.ax_.get_xlabel().startswith("accuracy")
    (line,) = [line for line in display.ax_.lines if line.get_marker() == "o"]
    assert_allclose(np.asarray(line.get_xdata(), float), found.frame["mean"])


def test_names_are_not_drawn_as_formulas(wide):
    display = ComparisonDisplay(FRAME).plot()
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["raw", r"\$x\$"]


@pytest.mark.slow
def test_matplotlib_is_imported_when_something_is_drawn():
    code = (
        "import sys\n"
        "import skfm, skfm.plotting, skfm.model_selection, skfm.inspection\n"
        "assert 'matplotlib' not in sys.modules\n"
        "sys.modules['matplotlib'] = None\n"
        "try:\n"
        "    skfm.plotting.LossCurveDisplay([1.0], [], 1).plot()\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert 'pip install "skfm[plot]"' in done.stdout


def test_a_waterfall_with_error_bars():
    model = skfm.FMClassifier(max_iter=20, random_state=0).fit(X, CELLS[:, 0] % 2)
    display = ContributionDisplay.from_estimator(
        model, X[:1], max_terms=2, credible_interval=0.8
    )
    intervals = [
        segment[:, 0]
        for lines in display.ax_.collections
        for segment in lines.get_segments()
        if len(segment) and segment[0, 1] == segment[1, 1]
    ]
    bars = display.ax_.patches
    starts = [0, *(bar.get_x() for bar in bars[:2])]
    terms = explain(model, X[:1], max_pairs=None, credible_interval=0.8)
    order = np.argsort(-terms["contribution"].abs()[1:], kind="stable")[:2] + 1
    bounds = terms.loc[[0, *order], ["lower", "upper"]].to_numpy()
    assert_allclose(intervals, bounds + np.array(starts)[:, None])
