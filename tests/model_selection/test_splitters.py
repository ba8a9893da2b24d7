"""Splits by time: which rows are held out."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import cross_val_score

from skfm.model_selection import LastInteractionsSplit, TimeCutSplit

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"user": RNG.choice(list("abcdef"), 80), "time": RNG.integers(40, size=80)}
)
TABLE.loc[80] = ["single", 3]


@pytest.mark.parametrize("n", [1, 5, 100])
@pytest.mark.parametrize("by", ["columns", "arrays", "groups"])
def test_the_last_of_each_user(n, by):
    given = {"user": "user", "time": "time"}
    if by != "columns":
        given = {name: TABLE[name].to_numpy() for name in given}
    groups = given.pop("user") if by == "groups" else None
    split = LastInteractionsSplit(n, **given)
    ((train, test),) = split.split(TABLE, groups=groups)
    assert split.get_n_splits() == 1
    np.testing.assert_array_equal(np.sort(np.append(train, test)), np.arange(81))
    for user, rows in TABLE.groupby("user"):
        held = TABLE.loc[test][TABLE.loc[test].user == user]
        assert len(held) == min(n, len(rows) - 1)
        expected = rows.sort_values("time", kind="stable").tail(len(held)).index
        assert set(held.index) == set(expected if len(held) else [])


def test_rows_are_in_order_of_time_without_one():
    train, _ = next(LastInteractionsSplit(1, user="user").split(TABLE))
    last = TABLE.index[~TABLE.user.duplicated(keep="last") & (TABLE.user != "single")]
    assert set(last) == set(range(81)) - set(train)


def test_one_cut_for_all():
    train, test = next(TimeCutSplit(0.25, time="time").split(TABLE))
    times = TABLE.time.to_numpy()
    assert times[train].max() < times[test].min()
    assert len(test) >= 20 > (times > times[test].min()).sum()
    _, late = next(TimeCutSplit(time=times, at=30).split(TABLE))
    np.testing.assert_array_equal(late, np.flatnonzero(times >= 30))


def test_in_cross_validation():
    scores = cross_val_score(
        DummyClassifier(), TABLE[["time"]], TABLE.user, cv=TimeCutSplit(time="time")
    )
    assert scores.shape == (1,)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        (LastInteractionsSplit(), "pass groups= to split, or user="),
        (LastInteractionsSplit(user="who"), "user='who' is no column of X"),
        (LastInteractionsSplit(user=[1, 2]), r"each of the 81 rows; .* shape \(2,\)"),
        (LastInteractionsSplit(user=np.arange(81)), "holds out 0 of 81 rows"),
        (TimeCutSplit(time=[np.nan] * 81), "time is missing in row 0"),
        (TimeCutSplit(time="time", at=0), "holds out 81 of 81 rows"),
    ],
)
def test_wrong_input(split, message):
    with pytest.raises(ValueError, match=message):
        next(split.split(TABLE))
