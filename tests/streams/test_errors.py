"""Errors about datasets name the file, the column and the row."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from stream_cases import FEATURES, clicks, write

import skfm
from skfm.streams import tables


def fit(data, y="click", sample_weight=None, **options):
    model = skfm.DeepFMClassifier(max_iter=1, **options)
    before = dict(vars(model))
    try:
        return model.fit(data, y, sample_weight)
    finally:
        if not hasattr(model, "network_"):
            assert vars(model) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"y": np.zeros(600)}, "y must be the name of a column where X is a dataset"),
        ({"y": "clicks"}, r"y='clicks' is no column of X, which has the columns \['u"),
        ({"sample_weight": "w"}, "sample_weight='w' is no column"),
        ({"crosses": [(0, 1)]}, r"crosses=\[.*\] needs all rows in memory"),
        ({"categorical_features": None}, "takes X as it is, but a dataset is encoded"),
    ],
)
def test_parameters(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        fit(write(clicks(), tmp_path), **options)


def test_rows_are_named_by_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK_ROWS", 100)
    frame = clicks()
    frame.loc[250, "click"] = None
    message = r"'click' is missing in row 50\. .* from row 200 of X, .*001\.parquet"
    with pytest.raises(ValueError, match=message):
        fit(write(frame, tmp_path, (150,)))


def test_infinite_numbers(tmp_path):
    frame = clicks()
    frame.loc[3, "price"] = np.inf
    with pytest.raises(ValueError, match=r"'price' holds inf in row 3.*000\.parquet"):
        fit(write(frame, tmp_path))


def test_rows_to_stop_on(tmp_path):
    frame = clicks()
    data, worse = write(frame, tmp_path / "a"), frame.astype({"item": str})
    model = skfm.DeepFMClassifier(max_iter=1)
    with pytest.raises(ValueError, match=r"X_val: Column 'item' .*b/000\.parquet"):
        model.fit(data, "click", X_val=write(worse, tmp_path / "b"), y_val="click")
    with pytest.raises(ValueError, match="y_val='clicks' is no column"):
        model.fit(data, "click", X_val=data, y_val="clicks")


def test_a_file_that_lacks_a_column(tmp_path):
    write(clicks(), tmp_path, (300,))
    table = pq.read_table(tmp_path / "001.parquet")
    pq.write_table(table.drop_columns(["item"]), tmp_path / "001.parquet")
    with pytest.raises(ValueError, match=r"001\.parquet has no column 'item'"):
        fit(ds.dataset(tmp_path))


def test_a_file_with_a_column_of_another_type(tmp_path):
    write(clicks(), tmp_path, (300,))
    table = pq.read_table(tmp_path / "001.parquet")
    words = table["item"].cast(pa.string())
    table = table.set_column(table.column_names.index("item"), "item", words)
    pq.write_table(table, tmp_path / "001.parquet")
    message = r"'item' is of type string in .*001\.parquet, but of type int64"
    with pytest.raises(ValueError, match=message):
        fit(ds.dataset(tmp_path))


def test_a_file_that_cannot_be_read(tmp_path):
    data = write(clicks(), tmp_path, (300,))
    (tmp_path / "001.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"001\.parquet cannot be read"):
        fit(data)


def test_categories_that_do_not_fit(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "CHUNK_ROWS", 100)
    monkeypatch.setattr("skfm.runtime.memory._SMALL", 0)
    monkeypatch.setattr("skfm.runtime.memory.available_memory", lambda: 2000)
    message = r"categories of X need .* available: column 'user' alone has 12 in 200"
    with pytest.raises(MemoryError, match=message):
        fit(write(clicks(), tmp_path))


def test_no_rows(tmp_path):
    with pytest.raises(ValueError, match="X has no rows"):
        fit(write(clicks()[:0], tmp_path))


def test_the_bayesian_solver_needs_memory(tmp_path):
    data = write(clicks(), tmp_path)
    with pytest.raises(ValueError, match=r'solver="bayes" needs all rows in memory'):
        skfm.FMClassifier(solver="bayes").fit(data, "click")
    assert skfm.FMClassifier(max_iter=1).fit(data, "click").solver_ == "sgd"


def test_rankers_need_memory(tmp_path):
    frame = clicks()
    with pytest.raises(ValueError, match="A ranker needs all rows in memory"):
        skfm.FMRanker().fit(write(frame, tmp_path), "click", qid="user")


def test_a_dataset_to_stop_on_beside_rows_in_memory(tmp_path):
    frame = clicks()
    data = write(frame, tmp_path)
    with pytest.raises(ValueError, match="X_val is a dataset, but X is not"):
        skfm.FMClassifier().fit(
            frame[FEATURES], frame["click"], X_val=data, y_val="click"
        )


def test_columns_of_scored_datasets(tmp_path):
    frame = clicks()
    model = fit(write(frame[[*FEATURES, "click"]], tmp_path / "a"))
    other = write(frame[["item", "price"]], tmp_path / "b")
    with pytest.raises(ValueError, match="X has no column 'user'"):
        model.predict(other)
    with pytest.raises(ValueError, match=r"this method of .* needs all rows in memory"):
        skfm.inspection.explain(model, other)


@pytest.mark.slow  # importing Dask takes seconds
def test_a_dask_partition_that_fails(tmp_path):
    dd = pytest.importorskip("dask.dataframe")

    def fail(part):
        if len(part) and part["item"].iloc[0] == frame["item"].iloc[300]:
            raise RuntimeError("lost")
        return part

    frame = clicks()
    frame["item"] = np.arange(len(frame))
    ddf = dd.from_pandas(frame, 2).map_partitions(fail, meta=frame)
    with pytest.raises(ValueError, match="X cannot be read in partition 1: lost"):
        fit(ddf)
