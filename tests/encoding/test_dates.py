"""Dates of a table as elapsed time and parts of a calendar; durations as numbers."""

import datetime
import zoneinfo

import numpy as np
import pandas as pd
import polars as pl
import pytest
from encoder_cases import equal
from estimator_cases import make, scores
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import skfm
from skfm import FieldEncoder, FMClassifier, FMRegressor
from skfm.encoding.dates import PARTS
from skfm.inspection import explain

CALENDAR = {
    "year": lambda date: date.year,
    "month": lambda date: date.month,
    "day": lambda date: date.day,
    "weekday": lambda date: date.weekday(),
    "hour": lambda date: date.hour,
}
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def fit(cells, **options):
    return FieldEncoder(**options).fit(pd.DataFrame({"d": cells}))


def rows(encoder, cells):
    """For each row, the names of the columns of its entries, the value's left out."""
    X = encoder.transform(pd.DataFrame({"d": cells}))
    names = encoder.get_feature_names_out()
    return [set(names[row.indices]) - {"d"} for row in X]


hours = pd.date_range("2019-12-30 05:30", periods=200, freq="43h")


class TestParts:
    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.datetimes(datetime.datetime(1801, 1, 1), datetime.datetime(2261, 1, 1)),
            min_size=2,
            max_size=20,
        )
    )
    def test_the_calendar_is_that_of_python(self, dates):
        encoder = fit(np.array(dates, dtype="M8[us]"), dates=list(CALENDAR))
        varying = {
            part: read
            for part, read in CALENDAR.items()
            if len(set(map(read, dates))) > 1
        } or {"year": CALENDAR["year"]}
        assert encoder.field_names_.tolist() == [f"d_<{part}>" for part in varying]
        found = rows(encoder, np.array(dates, dtype="M8[us]"))
        for date, entries in zip(dates, found, strict=True):
            assert entries == {f"d_<{p}>_{read(date)}" for p, read in varying.items()}

    def test_elapsed_time_is_a_number(self):
        encoder = fit(hours)
        days = (hours - pd.Timestamp(1970, 1, 1)) / pd.Timedelta("1D")
        as_number = FieldEncoder().fit(pd.DataFrame({"d": np.asarray(days)}))
        width = len(as_number.fields_)
        found = encoder.transform(pd.DataFrame({"d": hours}))[:, :width]
        expected = as_number.transform(pd.DataFrame({"d": np.asarray(days)}))
        assert_array_equal(found.indices, expected.indices)
        assert_allclose(found.data, expected.data, atol=1e-9)
        names = ["d", "d_<coarse>", "d_<fine>", *(f"d_<{p}>" for p in CALENDAR)]
        assert encoder.field_names_.tolist() == names
        assert set(encoder.columns_) == {0}

    def test_what_never_varies_is_left_out(self):
        encoder = fit(pd.date_range("2024-03-01", periods=30))
        assert [*encoder.field_names_][-2:] == ["d_<day>", "d_<weekday>"]

    def test_unknown_and_missing(self):
        encoder = fit(hours)
        unknown, missing = rows(encoder, pd.to_datetime(["2031-12-30 05:30", None]))
        assert {"d_<year>_<unknown>", "d_<month>_12", "d_<hour>_5"} <= unknown
        assert {name.rpartition("_")[2] for name in missing} == {"<missing>"}
        assert len(missing) == 7

    def test_blocks_of_rows_are_as_all_rows(self):
        table = pd.DataFrame({"d": hours})
        stream = FieldEncoder()
        for start in range(0, 200, 50):
            stream.partial_fit(table[start : start + 50])
        found, expected = stream.transform(table), fit(hours).transform(table)
        assert_array_equal(found.indices, expected.indices)
        assert_allclose(found.data, expected.data, atol=1e-12)

    def test_inverse(self):
        encoder = fit(hours)
        cells = pd.Series(hours).where(np.arange(200) % 9 > 0)
        found = encoder.inverse_transform(encoder.transform(pd.DataFrame({"d": cells})))
        assert_array_equal(
            np.array(found[:, 0], dtype="M8[us]"), cells.to_numpy().astype("M8[us]")
        )

    @pytest.mark.parametrize("dates", [["century"], []])
    def test_wrong_parts(self, dates):
        with pytest.raises(ValueError, match=r"dates must be .*'weekday'"):
            fit(hours, dates=dates)

    def test_cells_of_another_type_are_refused(self):
        with pytest.raises(ValueError, match=r"'d' held dates .* holds 'x' in row 1"):
            fit(hours).transform(pd.DataFrame({"d": [hours[0], "x"]}))


class TestTypes:
    @pytest.mark.parametrize("options", [{}, {"categorical_features": ["d"]}])
    @pytest.mark.parametrize(
        "convert",
        [
            lambda cells: pd.DataFrame({"d": cells.astype(object)}),
            lambda cells: pd.DataFrame({"d": pd.Series(cells).astype("M8[s]")}),
            lambda cells: pl.DataFrame({"d": cells.to_list()}),
            lambda cells: pl.DataFrame({"d": cells.to_list()}).to_arrow(),
            lambda cells: pl.DataFrame({"d": cells.to_list()}).to_arrow().to_pandas(),
        ],
        ids=["objects", "seconds", "polars", "arrow", "from arrow"],
    )
    def test_dates_of_every_type_agree(self, convert, options):
        table = pd.DataFrame({"d": hours})
        encoder = FieldEncoder(**options).fit(table)
        expected = encoder.transform(table)
        assert equal(encoder.transform(convert(hours)), expected)
        assert equal(FieldEncoder(**options).fit_transform(convert(hours)), expected)

    def test_days_without_a_time(self):
        days = pd.date_range("2024-01-01", periods=50)
        encoder, expected = fit(days), fit(days).transform(pd.DataFrame({"d": days}))
        objects = pd.DataFrame({"d": [day.date() for day in days]})
        assert equal(encoder.transform(objects), expected)
        assert equal(FieldEncoder().fit_transform(objects), expected)
        assert equal(encoder.transform(pl.from_pandas(objects)), expected)

    def test_zones_count_by_their_clocks(self):
        local = pd.date_range("2024-03-30", periods=60, freq="h", tz=BERLIN)
        encoder = fit(local)
        cells = [pd.Timestamp("2024-03-30 07:00", tz=BERLIN)] * 2
        for new in (pd.DatetimeIndex(cells), pd.Series(cells, dtype=object)):
            assert all("d_<hour>_7" in names for names in rows(encoder, new))

    @pytest.mark.parametrize("numeric", ["nested", "scale", "passthrough"])
    def test_durations_are_seconds(self, numeric):
        seconds = np.random.default_rng(0).gamma(2, 1000, 200).round(3)
        durations = pd.to_timedelta(seconds, unit="s")
        encoder = FieldEncoder(numeric=numeric)
        expected = encoder.fit_transform(pd.DataFrame({"d": seconds}))
        for cells in (durations, durations.astype(object), durations.to_pytimedelta()):
            found = FieldEncoder(numeric=numeric).fit_transform(
                pd.DataFrame({"d": cells})
            )
            assert_array_equal(found.indices, expected.indices)
            assert_allclose(found.data, expected.data, atol=1e-9)
        frame = pl.DataFrame({"d": durations.to_pytimedelta().tolist()})
        found = FieldEncoder(numeric=numeric).fit_transform(frame)
        assert_allclose(found.data, expected.data, atol=1e-9)


class TestAroundTheModel:
    TABLE = pd.DataFrame(
        {
            "d": hours,
            "day": [date.date() for date in hours],
            "took": pd.to_timedelta(np.arange(200) % 7, unit="min"),
            "who": ["a", "b"] * 100,
        }
    )
    Y = np.asarray(hours.hour > 12)

    @pytest.mark.parametrize("categories", ["from_dtype", ["d", "day", "who"]])
    def test_estimator_predictor_and_files_agree(self, categories, tmp_path):
        model = make(FMClassifier, categorical_features=categories)
        model.fit(self.TABLE, self.Y)
        expected = scores(model, self.TABLE)
        skfm.save(model, tmp_path / "model.skfm")
        listed = self.TABLE.astype(object).to_dict("records")
        for served in (model, skfm.load(tmp_path / "model.skfm")):
            assert_allclose(scores(served, self.TABLE), expected, rtol=1e-12)
            predictor = served.compile_predictor()
            assert_allclose(predictor.decision_function(listed), expected, atol=1e-6)
            some = [{"d": None, "who": "z"}, {}]
            table = pd.DataFrame(some, columns=self.TABLE.columns)
            assert_allclose(
                predictor.decision_function(some),
                predictor.decision_function(table.astype({"d": "M8[us]"})),
            )

    def test_the_hour_is_learnt(self):
        model = make(FMClassifier, max_iter=40).fit(self.TABLE[["d"]], self.Y)
        assert model.score(self.TABLE[["d"]], self.Y) > 0.95

    def test_a_trend_is_learnt(self):
        y = np.arange(200) / 200
        model = make(FMRegressor, max_iter=40).fit(self.TABLE[["d"]], y)
        assert model.score(self.TABLE[["d"]], y) > 0.95

    def test_a_date_is_one_term(self):
        model = make(FMClassifier).fit(self.TABLE, self.Y)
        terms = explain(model, self.TABLE[:3], max_pairs=None)
        total = terms.groupby("row")["contribution"].sum()
        assert_allclose(total, scores(model, self.TABLE[:3]), atol=1e-5)
        linear = terms[terms["kind"] == "linear"]
        of_rows = linear.groupby("row")["first"].agg(list).tolist()
        assert of_rows == [
            ["d", "day", "took", f"who_{who}"] for who in self.TABLE["who"][:3]
        ]


def test_parts_are_listed():
    assert ("elapsed", *CALENDAR) == PARTS
