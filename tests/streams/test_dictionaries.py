"""Strings are the same however files store them."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_array_equal
from stream_cases import clicks

import skfm
from skfm.streams.datasets import DatasetStream
from skfm.streams.tables import Span

WORDS = pa.dictionary(pa.int8(), pa.string())


def table(n_rows=400):
    frame = clicks(n_rows)[["user", "price"]]
    frame["word"] = np.where(np.arange(n_rows) % 7 == 0, None, frame["user"].str[::-1])
    frame["day"] = np.where(np.arange(n_rows) < 150, "mon", "tue")
    frame["click"] = np.where(clicks(n_rows)["click"], "yes", "no")
    return pa.Table.from_pandas(frame, preserve_index=False)


def fit(data):
    model = skfm.FMClassifier(solver="sgd", max_iter=2, n_factors=2, random_state=0)
    return model.fit(data, "click")


def cast(table, kind, names):
    for name in names:
        at = table.column_names.index(name)
        table = table.set_column(at, name, table[name].cast(kind))
    return table


def with_a_missing_word(table):
    """Codes of words, one of which is the missing one."""
    at = table.column_names.index("word")
    coded = table["word"].combine_chunks().dictionary_encode(null_encoding="encode")
    assert coded.dictionary.null_count == 1
    return table.set_column(at, "word", coded)


@pytest.mark.parametrize(
    "store",
    [
        lambda whole, folder: pq.write_table(whole, folder / "a", row_group_size=90),
        lambda whole, folder: pq.write_table(whole, folder / "a", use_dictionary=False),
        lambda whole, folder: pq.write_table(
            cast(whole, pa.large_string(), ["user", "click"]), folder / "a"
        ),
        lambda whole, folder: pq.write_table(
            cast(whole, WORDS, ["user", "word"]), folder / "a"
        ),
        lambda whole, folder: pq.write_to_dataset(whole, folder, ["day"]),
    ],
    ids=["groups", "plain", "large", "dictionary", "paths"],
)
def test_files_give_the_bits_of_a_table_in_memory(store, tmp_path):
    store(table(), tmp_path)
    schema = table().schema
    stored = ds.dataset(tmp_path, schema=schema, partitioning="hive")
    assert_array_equal(fit(stored).coef_, fit(ds.dataset(table())).coef_)


def test_words_of_a_table_in_memory():
    expected = fit(ds.dataset(table())).coef_
    for change in (with_a_missing_word, lambda whole: cast(whole, WORDS, ["user"])):
        assert_array_equal(fit(ds.dataset(change(table()))).coef_, expected)


def test_some_groups_of_rows(tmp_path):
    pq.write_table(table(), tmp_path / "a", row_group_size=40)
    (whole,) = ds.dataset(tmp_path).get_fragments()
    part = whole.subset(row_group_ids=[1, 3, 8])
    data = ds.FileSystemDataset([part], whole.physical_schema, whole.format)
    rows = [*range(40, 80), *range(120, 160), *range(320, 360)]
    expected = table()["user"].take(rows)
    stream = DatasetStream(data)
    assert stream.count(0) == len(rows)
    for spans, span in ((None, slice(0, 120)), ([Span(0, 30, 100)], slice(30, 100))):
        parts = [found["user"] for found, _ in stream.parts(["user"], spans)]
        assert pa.types.is_dictionary(parts[0].type)
        found = [word for part in parts for word in part.to_pylist()]
        assert found == expected.to_pylist()[span]
