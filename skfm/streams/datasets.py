"""Streams of pyarrow datasets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

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

    def parts(self, names: Sequence[str]) -> Iterator[tuple[Any, str]]:
        import pyarrow as pa

        self._check_fragments(names)
        scanner = self._dataset.scanner(
            columns=list(names),
            batch_size=_BATCH_ROWS,
            batch_readahead=1,
            fragment_readahead=1,
        )
        origin = "the first file"
        try:
            for batch in scanner.scan_batches():
                origin = _name(batch.fragment)
                yield pa.Table.from_batches([batch.record_batch]), origin
        except (pa.ArrowException, OSError) as error:
            raise ValueError(
                f"X cannot be read in or after {origin}: {error}"
            ) from error

    def _check_fragments(self, names: Sequence[str]) -> None:
        """Refuse fragments that lack a column or hold it with another type.

        pyarrow would fill a column that a file lacks with missing values.
        """
        import pyarrow as pa

        schema = self._dataset.schema
        for fragment in self._dataset.get_fragments():
            try:
                own = fragment.physical_schema
            except (OSError, pa.ArrowException) as error:
                raise ValueError(
                    f"{_name(fragment)} cannot be read: {error}"
                ) from error
            given = _given_by_path(fragment)
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
        for fragment in self._dataset.get_fragments():
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


def _name(fragment: Any) -> str:
    return str(getattr(fragment, "path", "") or "a part of X in memory")


def _given_by_path(fragment: Any) -> set[str]:
    """Return the columns that a file's path gives, as in ``day=3/part.parquet``."""
    import pyarrow.dataset as ds

    return set(ds.get_partition_keys(fragment.partition_expression))


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
