"""Conversion of scalars of Python and pandas to tags and JSON, and back.

Categories can be such scalars. Numbers, strings and the dates of NumPy are converted in
`skfm.persistence.values`.
"""

from __future__ import annotations

import base64
import datetime
import uuid
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd


class UnsupportedValueError(TypeError):
    """Error for a value that a file cannot hold."""


class Cell(NamedTuple):
    """Functions that save and load the values of a type.

    Attributes
    ----------
    tag : str
        Name of the type in a file.
    write : callable
        Function from a value to simpler values that can be saved.
    read : callable
        The inverse function, which raises an error for any other content.
    """

    tag: str
    write: Callable[[Any], Any]
    read: Callable[[Any], Any]


def _write_timestamp(value: pd.Timestamp) -> list[Any]:
    zone = value.tzinfo
    if zone is None or isinstance(zone, datetime.timezone):
        offset = None if zone is None else zone.utcoffset(None).total_seconds()
        return [_count(value), value.unit, offset]
    try:
        # ``str`` returns the key of a time zone of zoneinfo or pytz.
        return [_count(value), value.unit, ZoneInfo(str(zone)).key]
    except (KeyError, ValueError, OSError) as error:
        raise UnsupportedValueError(
            f"The time zone {zone!r} of a Timestamp cannot be saved: use a time zone "
            "of zoneinfo, or UTC."
        ) from error


def _read_timestamp(content: Any) -> pd.Timestamp:
    count, unit, zone = content
    value = pd.Timestamp(np.datetime64(count, unit)).as_unit(unit)
    if zone is None:
        return value
    if isinstance(zone, str):
        # pandas would open any file of this name, ZoneInfo only those of its database.
        return value.tz_localize("UTC").tz_convert(ZoneInfo(zone))
    offset = datetime.timezone(datetime.timedelta(seconds=zone))
    return value.tz_localize("UTC").tz_convert(offset)


def _read_timedelta(content: Any) -> pd.Timedelta:
    count, unit = content
    return pd.Timedelta(np.timedelta64(count, unit)).as_unit(unit)


def _count(value: pd.Timestamp | pd.Timedelta) -> int:
    """Return the number of units since 1970 in UTC, or of a duration."""
    return int(value.asm8.astype(np.int64))


def _read_interval(content: Any) -> pd.Interval:
    left, right, closed = content
    return pd.Interval(left, right, closed=closed)


def _read_period(content: Any) -> pd.Period:
    ordinal, freq = content
    return pd.Period(ordinal=ordinal, freq=freq)


#: Functions by exact type, because a Timestamp is also a datetime.
CELLS: dict[type, Cell] = {
    datetime.date: Cell("date", datetime.date.isoformat, datetime.date.fromisoformat),
    datetime.datetime: Cell(
        "datetime", datetime.datetime.isoformat, datetime.datetime.fromisoformat
    ),
    datetime.time: Cell("time", datetime.time.isoformat, datetime.time.fromisoformat),
    bytes: Cell(
        "bytes",
        lambda value: base64.b64encode(value).decode("ascii"),
        lambda text: base64.b64decode(text, validate=True),
    ),
    Decimal: Cell("decimal", str, Decimal),
    uuid.UUID: Cell("uuid", str, uuid.UUID),
    pd.Timestamp: Cell("timestamp", _write_timestamp, _read_timestamp),
    pd.Timedelta: Cell(
        "timedelta", lambda value: [_count(value), value.unit], _read_timedelta
    ),
    pd.Interval: Cell(
        "interval",
        lambda value: [value.left, value.right, value.closed],
        _read_interval,
    ),
    pd.Period: Cell(
        "period", lambda value: [value.ordinal, value.freqstr], _read_period
    ),
}
