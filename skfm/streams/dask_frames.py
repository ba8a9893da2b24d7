"""Streams of Dask DataFrames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["DaskStream"]


class DaskStream:
    """The rows of a Dask DataFrame, partition by partition.

    Partitions are computed by the scheduler that Dask is set to use, one at a time.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.names = [str(name) for name in frame.columns]

    def parts(self, names: Sequence[str]) -> Iterator[tuple[Any, str]]:
        import pyarrow as pa

        schema: Any = None
        for number in range(self._frame.npartitions):
            origin = f"partition {number}"
            try:
                part = self._frame.get_partition(number)[list(names)].compute()
                table = pa.Table.from_pandas(part, schema, preserve_index=False)
            except Exception as error:
                raise ValueError(f"X cannot be read in {origin}: {error}") from error
            table = table.replace_schema_metadata(None)
            schema = table.schema if schema is None else schema
            if table.num_rows:
                yield table, origin

    def identity(self) -> Any:
        return None
