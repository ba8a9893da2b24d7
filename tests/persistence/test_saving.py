"""skfm.save and skfm.load: the same estimator, in a file that is safe to load."""

import datetime
import json
import subprocess
import sys
import uuid
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from common_cases import ALL_ESTIMATORS, ESTIMATORS
from estimator_cases import CELLS, LABELS, X, fitted, make, partial_fit, scores, target
from numpy.testing import assert_array_equal
from saving_cases import assert_same, round_trip

import skfm

FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)


@pytest.mark.parametrize("how", [{}, {"mmap_mode": "r"}])
@pytest.mark.parametrize("cls", ALL_ESTIMATORS)
def test_everything_comes_back(cls, how, tmp_path):
    model = partial_fit(make(cls, fields=(4, 5, 3)))
    back = round_trip(model, tmp_path, **how)
    assert_same(vars(back), vars(model))
    assert_array_equal(scores(back), scores(model))
    assert_array_equal(scores(partial_fit(back)), scores(partial_fit(model)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_raw_tables(cls, dtype, tmp_path):
    frame = FRAME.assign(number=np.arange(len(FRAME)) ** 0.5)
    model = make(cls, dtype=dtype, warm_start=True).fit(frame, target(cls))
    back = round_trip(model, tmp_path)
    assert_same(vars(back), vars(model))
    strange = frame.assign(ad="never seen", number=np.nan)
    for table in (frame, strange):
        assert_array_equal(back.predict(table), model.predict(table))


CLASSES = {
    "strings": np.array(["no", "yes"]),
    "objects": np.array(["no", "a longer ✓ one"], dtype=object),
    "booleans": np.array([False, True]),
    "floats": np.array([-3.0, 2.0]),
    "small integers": np.array([-3, 7], dtype=np.int8),
    "large integers": np.array([1, 2**63], dtype=np.uint64),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_of_any_type(kind, tmp_path):
    weights = dict.fromkeys(CLASSES[kind].tolist(), 1.5)
    model = make(skfm.FMClassifier, class_weight=weights)
    model.fit(X, CLASSES[kind][LABELS])
    back = round_trip(model, tmp_path)
    assert_same(vars(back), vars(model))
    assert_array_equal(back.predict(X), model.predict(X))


CELLS_OF = {
    "strings": ["b", "a", "", "ü\x00"],
    "integers": [3, -1, 2**62, 5],
    "floats": [0.5, -1e300, 3.0, 2.5],
    "booleans": [True, False, True, False],
    "dates": pd.to_datetime(["2020-02-29", "1970-01-01", "2262-01-01", "1900-05-05"]),
    "durations": pd.to_timedelta([1, 2, 5, 9], unit="h"),
    "days": [datetime.date(2020, 1, 1 + i) for i in range(4)],
    "tuples": [(1, "a"), (2, "b"), (3, None), (4, 0.5)],
    "intervals": pd.cut([1.5, 2.5, 9.0, 2.0], [0, 2, 5, 10], right=False),
    "quantiles": pd.qcut(np.arange(4.0), 2),
    "intervals of dates": pd.cut(pd.to_datetime([1, 2, 3, 4], unit="D"), 2),
    "months": pd.period_range("2020-01", periods=4, freq="M"),
    "quarters": list(pd.period_range("2020-01", periods=4, freq="Q-MAR")),
    "timestamps": [pd.Timestamp(2020, 1, day, nanosecond=7) for day in (1, 2, 3, 4)],
    "zones": pd.date_range("2020-03-29", periods=4, freq="h", tz="Europe/Berlin"),
    "decimals": [Decimal("0.10"), Decimal("-1E+30"), Decimal("0.1000"), Decimal(3)],
    "UUIDs": [uuid.UUID(int=2**100 + i) for i in range(4)],
    "bytes": [b"", b"\xff\x00", b"a", b"b"],
    "times": [datetime.time(1, 2, 3, i) for i in range(4)],
    "missing": [None, "a", None, "b"],
    "all missing": [None] * 4,
}


@pytest.mark.parametrize("kind", CELLS_OF)
def test_encoders_of_any_cells(kind, tmp_path):
    table = pd.DataFrame({"cells": CELLS_OF[kind], "number": [0.0, 1.0, np.nan, 3.0]})
    options = {"categorical_features": ["cells"], "numeric": "quantile", "n_bins": 3}
    encoder = skfm.FieldEncoder(**options).partial_fit(table)
    back = round_trip(encoder, tmp_path)
    assert_same(vars(back), vars(encoder))
    assert_array_equal(
        back.transform(table).toarray(), encoder.transform(table).toarray()
    )
    assert_same(vars(back.partial_fit(table)), vars(encoder.partial_fit(table)))


TIMES = [
    pd.Timestamp("2020-03-29 01:59:59.123456789", tz="Europe/Berlin"),
    pd.Timestamp("2020-10-25 00:30", tz="UTC").tz_convert("Europe/Berlin"),
    pd.Timestamp("2020-10-25 01:30", tz="UTC").tz_convert("Europe/Berlin"),
    pd.Timestamp("1900-01-01", tz="UTC"),
    pd.Timestamp("2020-01-01", tz=datetime.timezone(datetime.timedelta(hours=-3))),
    pd.Timestamp(2020, 1, 1).as_unit("s"),
    pd.Timedelta("1ns"),
    pd.Timedelta(-3, unit="s").as_unit("s"),
    datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC),
]


@pytest.mark.parametrize("value", TIMES, ids=repr)
def test_times_in_parameters(value, tmp_path):
    """To the nanosecond, the unit and the offset."""
    model = skfm.FMClassifier(class_weight={value: 2.0, "other": 1.0})
    (back, _) = round_trip(model, tmp_path).class_weight
    assert type(back) is type(value)
    assert back == value
    assert back.__repr__().replace("zoneinfo.", "") == repr(value)
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        assert back.utcoffset() == value.utcoffset()
    if isinstance(value, pd.Timestamp | pd.Timedelta):
        assert back.unit == value.unit


def test_a_category_that_cannot_be_saved_is_named_with_its_column(tmp_path):
    shades = [frozenset("ab"), frozenset("c")]
    table = pd.DataFrame({"size": [1.0, 2.0], "shade": pd.Series(shades, dtype=object)})
    encoder = skfm.FieldEncoder(categorical_features=["shade"]).fit(table)
    with pytest.raises(TypeError, match=r"column 'shade'\.vocabulary.*frozenset"):
        skfm.save(encoder, tmp_path / "encoder.skfm")


def test_a_zone_of_no_name_is_refused(tmp_path):
    """Such as dateutil makes: the file would not say which it is."""
    when = pd.Timestamp("2020-01-01", tz="dateutil/Europe/Berlin")
    model = skfm.FMClassifier(class_weight={when: 2.0})
    with pytest.raises(TypeError, match="time zone"):
        skfm.save(model, tmp_path / "model.skfm")


def test_encoder_options(tmp_path):
    table = pd.DataFrame(
        {
            "hashed": list("abcd"),
            "rare": list("aaab"),
            "tags": ["x|y", "y", None, "x|x"],
            "lists": [["p"], ["p", "q"], [], None],
        }
    )
    encoder = skfm.FieldEncoder(
        n_buckets={"hashed": 5},
        min_frequency=2,
        multi_valued=["tags", "lists"],
        delimiter={"tags": "|"},
        pooling="mean",
        dtype=np.float32,
    ).fit(table)
    back = round_trip(encoder, tmp_path)
    assert_same(vars(back), vars(encoder))
    assert_array_equal(
        back.transform(table).toarray(), encoder.transform(table).toarray()
    )


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"hidden_layer_sizes": [8, 4], "alpha": np.float64(0.5), "n_factors": 3},
        {"fields": np.array([4, 5, 3]), "tol": 0},
        {"fields": list("aaaabbbbbccc"), "categorical_features": FRAME.columns[:2]},
        {"random_state": np.random.RandomState(7), "class_weight": {"a": 1, 2: 0.5}},
    ],
)
def test_unfitted_estimators_keep_their_parameters(parameters, tmp_path):
    model = skfm.DeepFMClassifier(**parameters)
    back = round_trip(model, tmp_path)
    assert not hasattr(back, "network_")
    for name, value in model.get_params().items():
        if isinstance(value, np.random.RandomState):
            assert_array_equal(back.random_state.rand(700), value.rand(700))
        else:
            assert_array_equal(back.get_params()[name], value)


def test_what_is_not_saved(tmp_path):
    fm = fitted(skfm.FMClassifier)
    model = fitted(skfm.FNNClassifier, init_from=fm).set_callbacks(_Callback())
    back = round_trip(model, tmp_path)
    assert back.init_from is None
    assert not hasattr(back, "_skl_callbacks")
    assert_array_equal(scores(back), scores(model))
    assert_array_equal(scores(back.fm_), scores(fm))


class _Callback:
    def setup(self, estimator, context): ...

    def teardown(self, estimator, context): ...

    def on_fit_task_begin(self, estimator, context): ...

    def on_fit_task_end(self, estimator, context): ...


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (skfm.FMClassifier(class_weight={"a": object()}), "class_weight.*object"),
        (skfm.FMClassifier(fields=[1 + 2j]), r"fields.*\[0\] is a builtins.complex"),
        (skfm.FMClassifier(fields=np.array([1j])), "array of complex128"),
    ],
)
def test_values_that_cannot_be_saved(model, named, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(skfm.FMClassifier(n_factors=3), path)
    with pytest.raises(TypeError, match=named):
        skfm.save(model, path)
    assert skfm.load(path).n_factors == 3
    assert [p.name for p in tmp_path.iterdir()] == ["model.skfm"]


def test_a_subclass_of_the_user_is_refused(tmp_path):
    class Mine(skfm.FMClassifier):
        pass

    with pytest.raises((TypeError, ImportError), match=r"Mine|skops"):
        skfm.save(fitted(Mine), tmp_path / "model.skfm")


@pytest.mark.slow
def test_our_pipelines_need_no_other_package(tmp_path):
    model = skfm.make_field_pipeline(skfm.FieldEncoder(), make(skfm.DeepFMClassifier))
    model.steps.insert(0, ("nothing", "passthrough"))
    model.fit(FRAME, LABELS)
    script = (
        "import sys; sys.modules['skops'] = None\n"
        "import skfm, joblib\n"
        f"model = skfm.load({str(tmp_path / 'model.skfm')!r})\n"
        "import pandas as pd\n"
        f"print(model.predict(pd.read_pickle({str(tmp_path / 'x')!r})).tolist())"
    )
    back = round_trip(model, tmp_path)
    assert type(back) is type(model)
    assert back.get_params().keys() == model.get_params().keys()
    assert_array_equal(back.predict_proba(FRAME), model.predict_proba(FRAME))
    FRAME.to_pickle(tmp_path / "x")
    ran = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout) == model.predict(FRAME).tolist()


class TestMemoryMap:
    def test_predicts_learns_and_leaves_the_file_alone(self, tmp_path):
        model = partial_fit(make(skfm.FMClassifier, n_jobs=1))
        path = tmp_path / "model.skfm"
        skfm.save(model, path)
        before = path.read_bytes()
        back = skfm.load(path, mmap_mode="r")
        assert_array_equal(scores(back), scores(model))
        partial_fit(back)
        assert_array_equal(scores(back), scores(partial_fit(model)))
        back.fit(X, LABELS)
        assert path.read_bytes() == before

    def test_outlives_its_file(self, tmp_path):
        model = fitted(skfm.NFMRegressor)
        back = round_trip(model, tmp_path, mmap_mode="r")
        skfm.save(fitted(skfm.FMClassifier), tmp_path / "model.skfm")
        assert_array_equal(scores(back), scores(model))
        (tmp_path / "model.skfm").unlink()
        assert_array_equal(scores(back), scores(model))

    def test_other_modes_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="mmap_mode"):
            round_trip(skfm.FMClassifier(), tmp_path, mmap_mode="r+")


def test_safetensors_reads_what_we_write(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    model = fitted(skfm.DeepFMClassifier)
    path = tmp_path / "model.skfm"
    skfm.save(model, path)
    found = safetensors.load_file(path)
    with skfm.persistence.container.opened(path) as reader:
        names = reader.document["estimator"]["estimator"]["network"]["arrays"]
    for name, array in model.network_.arrays().items():
        assert_array_equal(found[names[name]], array)
