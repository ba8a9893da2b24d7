"""Strings of Parquet files as the numbers of words that the files store.

A file stores the distinct strings of a column once for each group of rows. Reading
these, instead of a string for each cell, saves writing the strings out, and then
numbering them again.
"""

from __future__ import annotations

from typing import Any

__all__ = ["DictionaryReader", "given_by_path"]


class DictionaryReader:
    """Twin of a dataset, and of its fragments, whose strings are dictionaries.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        If it is not of Parquet files, it is its own twin.
    fragments : list of pyarrow.dataset.Fragment
        Its fragments.

    Attributes
    ----------
    schema : pyarrow.Schema
        Schema of the twin.
    """

    def __init__(self, dataset: Any, fragments: list[Any]) -> None:
        import pyarrow as pa
        import pyarrow.dataset as ds

        self._dataset, self._fragments = dataset, fragments
        self.schema, self._format = dataset.schema, None
        if not isinstance(getattr(dataset, "format", None), ds.ParquetFileFormat):
            return
        given = set().union(*map(given_by_path, fragments))
        strings = (pa.string(), pa.large_string(), pa.string_view())
        names = [
            field.name
            for field in self.schema
            if field.type in strings and field.name not in given
        ]
        for name in names:
            at = self.schema.get_field_index(name)
            words = pa.field(name, pa.dictionary(pa.int32(), pa.string()))
            self.schema = self.schema.set(at, words)
        own = dataset.format
        self._format = ds.ParquetFileFormat(
            dictionary_columns=names,
            coerce_int96_timestamp_unit=own.read_options.coerce_int96_timestamp_unit,
            default_fragment_scan_options=own.default_fragment_scan_options,
        )

    def dataset(self) -> Any:
        """Return the twin of the dataset."""
        import pyarrow.dataset as ds

        if self._format is None:
            return self._dataset
        fragments = [self.fragment(own) for own in self._fragments]
        files = self._dataset.filesystem
        return ds.FileSystemDataset(fragments, self.schema, self._format, files)

    def fragment(self, own: Any) -> Any:
        """Return the twin of a fragment."""
        if self._format is None:
            return own
        whole = self._format.make_fragment(
            own.path,
            filesystem=own.filesystem,
            partition_expression=own.partition_expression,
        )
        groups = own.row_groups
        if len(groups) == own.metadata.num_row_groups:
            return whole
        # Given at once, groups would not keep their order.
        return whole.subset(row_group_ids=[group.id for group in groups])


def given_by_path(fragment: Any) -> set[str]:
    """Return the columns that a file's path gives, as in ``day=3/part.parquet``."""
    import pyarrow.dataset as ds

    return set(ds.get_partition_keys(fragment.partition_expression))
