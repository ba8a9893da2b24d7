"""Streams of pyarrow datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from .dictionaries import DictionaryReader, given_by_path
from .tables import Span

__all__ = ["DatasetStream"]

#: Number of rows of the batches that are read.
_BATCH_ROWS = 1 << 16


class DatasetStream:
    """The rows of a pyarrow dataset in their order.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
    """

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self.names = list(dataset.schema.names)

    @cached_property
    def _fragments(self) -> list[Any]:
        return list(self._dataset.get_fragments())

    @cached_property
    def _reader(self) -> DictionaryReader:
        return DictionaryReader(self._dataset, self._fragments)

    @property
    def n_sources(self) -> int:
        """Number of files."""
        return len(self._fragments)

    def count(self, source: int) -> int:
        import pyarrow as pa

        fragment = self._fragments[source]
        try:
            if hasattr(fragment, "row_groups"):
                # pyarrow would count all groups of the file.
                return sum(group.num_rows for group in fragment.row_groups)
            return int(_scanner(fragment, []).count_rows())
        except (OSError, pa.ArrowException) as error:
            raise ValueError(f"{_name(fragment)} cannot be read: {error}") from error

    def parts(
        self, names: Sequence[str], spans: Sequence[Span] | None = None
    ) -> Iterator[tuple[Any, str]]:
        import pyarrow as pa

        used = range(self.n_sources) if spans is None else [s.source for s in spans]
        self._check_fragments(names, [self._fragments[source] for source in used])
        origin = "the first file"
        try:
            for batch, path in self._batches(names, spans):
                origin = path
                yield pa.Table.from_batches([batch]), origin
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"X cannot be read in or after {origin}: {error}"
            ) from error

    def _batches(
        self, names: Sequence[str], spans: Sequence[Span] | None
    ) -> Iterator[tuple[Any, str]]:
        """Yield batches of rows, and their files."""
        if spans is None:
            # In one scan, the next file is read ahead.
            for batch in _scanner(self._reader.dataset(), names).scan_batches():
                yield batch.record_batch, _name(batch.fragment)
            return
        for source, start, stop in spans:
            whole = self._fragments[source]
            fragment, start, stop = _narrowed(whole, start, stop)
            twin, schema, at = self._reader.fragment(fragment), self._reader.schema, 0
            for batch in _scanner(twin, names, schema=schema).to_reader():
                lo, hi = max(start - at, 0), min(stop - at, batch.num_rows)
                if lo < hi:
                    yield batch.slice(lo, hi - lo), _name(whole)
                at += batch.num_rows
                if at >= stop:
                    break

    def _check_fragments(self, names: Sequence[str], fragments: list[Any]) -> None:
        """Refuse fragments that lack a column or hold it with another type.

        pyarrow would fill a column that a file lacks with missing values.
        """
        import pyarrow as pa

        schema = self._dataset.schema
        for fragment in fragments:
            try:
                own = fragment.physical_schema
            except (OSError, pa.ArrowException) as error:
                raise ValueError(
                    f"{_name(fragment)} cannot be read: {error}"
                ) from error
            given = given_by_path(fragment)
            for name in names:
                if name in given:
                    continue
                if name not in own.names:
                    raise ValueError(
                        f"{_name(fragment)} has no column {name!r}, but other parts of "
                        "X do. Leave the file out, or write it with all columns."
                    )
                expected, found = schema.field(name).type, own.field(name).type
                if _kind(expected) != _kind(found):
                    raise ValueError(
                        f"Column {name!r} is of type {found} in {_name(fragment)}, but "
                        f"of type {expected} in the dataset. Write all files with one "
                        "type."
                    )

    def identity(self) -> Any:
        import pyarrow as pa

        files = []
        for fragment in self._fragments:
            path = getattr(fragment, "path", None)
            if path is None or not os.path.isfile(path):
                return None
            status = os.stat(path)
            try:
                groups = [group.id for group in getattr(fragment, "row_groups", [])]
            except (OSError, pa.ArrowException):
                return None  # whoever reads the rows says what is wrong
            files.append((path, status.st_size, status.st_mtime_ns, groups))
        options = getattr(self._dataset, "_scan_options", {})
        return [str(self._dataset.schema), repr(options), files]


def _scanner(source: Any, names: Sequence[str], **options: Any) -> Any:
    """Return a scanner of a dataset, or of one of its fragments."""
    return source.scanner(
        columns=list(names),
        batch_size=_BATCH_ROWS,
        batch_readahead=1,
        fragment_readahead=1,
        **options,
    )


def _name(fragment: Any) -> str:
    return str(getattr(fragment, "path", "") or "a part of X in memory")


def _narrowed(fragment: Any, start: int, stop: int) -> tuple[Any, int, int]:
    """Return a part of a file that has rows ``start:stop``, and where they are there.

    Files of Parquet can be read from the middle, by groups of rows; others are read
    from their start.
    """
    groups = getattr(fragment, "row_groups", None)
    if not groups:
        return fragment, start, stop
    ends = np.cumsum([group.num_rows for group in groups])
    first = int(np.searchsorted(ends, start, side="right"))
    last = int(np.searchsorted(ends, stop, side="left"))
    skipped = int(ends[first]) - groups[first].num_rows
    part = fragment.subset(
        row_group_ids=[group.id for group in groups[first : last + 1]]
    )
    return part, start - skipped, stop - skipped


def _kind(kind: Any) -> str:
    """Return the name of a type, the same for all types that hold the same values."""
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _kind(kind.value_type)
    for name in ("integer", "floating", "boolean", "temporal"):
        if getattr(pa.types, f"is_{name}")(kind):
            return name
    if "string" in str(kind):
        return "string"
    return str(kind)
