"""Workers divide the reading and the encoding of a dataset."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest
from stream_cases import FEATURES, clicks, write
from worker_cases import digest, run_workers

import skfm
from skfm.distributed import agreement, groups
from skfm.streams import division, passes, shared_folder
from skfm.streams.datasets import DatasetStream
from skfm.streams.tables import spans_of

NAMES = [*FEATURES, "click", "weight"]


def make(**options):
    asked = {"max_iter": 1, "n_factors": 2, "random_state": 0, "crosses": None}
    return skfm.FMClassifier(solver="sgd", **asked | options)


def fit(size, data, *given, **options):
    def task(rank):
        return make(**options).fit(data, "click", "weight", *given)

    return run_workers(size, task)


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_workers_write_the_files_of_one_process(tmp_path):
    data = write(clicks(450)[NAMES], tmp_path / "data", (20, 310))
    found = []
    for size in (1, 3):
        folder = tmp_path / f"cache{size}"
        fit(size, data, cache=folder, early_stopping=False)
        found.append(files_of(folder))
    assert len(found[0]) > 3
    assert all(files == found[0] for files in found)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_each_worker_reads_its_own_chunks(tmp_path, monkeypatch):
    data, learnt = write(clicks(950)[NAMES], tmp_path / "data"), []
    learn = passes.learn_table

    def counted(codec, table, start):
        learnt.append((start, table.num_rows))
        return learn(codec, table, start)

    monkeypatch.setattr(passes, "learn_table", counted)
    fit(3, data)
    expected = [(start, min(100, 950 - start)) for start in range(0, 950, 100)]
    assert sorted(learnt) == expected


def test_workers_without_a_common_folder(tmp_path, monkeypatch):
    frame = clicks(350)[NAMES]
    data = write(frame[:250], tmp_path / "a", (20,))
    given = write(frame[250:], tmp_path / "b"), "click", "weight"
    (alone,) = fit(1, data, *given)
    monkeypatch.setattr(shared_folder.os, "access", lambda *args: False)
    assert {digest(model) for model in fit(2, data, *given)} == {digest(alone)}
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_cache_that_only_one_worker_has(tmp_path):
    data = write(clicks(300)[NAMES], tmp_path / "data")
    (alone,) = fit(1, data, cache=tmp_path / "0")

    def task(rank):
        model = make(cache=tmp_path / str(rank))
        return model.fit(data, "click", "weight")

    assert {digest(model) for model in run_workers(2, task)} == {digest(alone)}


@pytest.mark.parametrize("files", [True, False])
def test_workers_with_other_files_or_columns(files, tmp_path):
    frame = clicks(90)[NAMES]
    data = [write(frame, tmp_path / "a"), write(frame, tmp_path / "b", (50,))]

    def task(rank):
        weight = "weight" if files or rank else None
        return make().fit(data[rank if files else 0], "click", weight)

    for error in run_workers(2, task):
        assert isinstance(error, ValueError)
        assert "do not fit the same model to the same data" in str(error)


@pytest.mark.parametrize("kind", ["parquet", "feather", "memory"])
def test_any_rows_of_files(kind, tmp_path):
    frame = clicks(60)
    tables = [
        pa.Table.from_pandas(frame[lo:hi], preserve_index=False)
        for lo, hi in ((0, 25), (25, 25), (25, 60))
    ]
    for number, table in enumerate(tables):
        if kind == "parquet":
            pq.write_table(table, tmp_path / f"{number}.parquet", row_group_size=7)
        else:
            feather.write_feather(table, tmp_path / f"{number}.feather")
    data = ds.dataset(tables) if kind == "memory" else ds.dataset(tmp_path, format=kind)
    stream = DatasetStream(data)
    counts = [stream.count(source) for source in range(stream.n_sources)]
    assert sum(counts) == 60
    for start, stop in ((0, 60), (3, 5), (6, 29), (25, 26), (24, 60), (9, 9)):
        spans = spans_of(counts, start, stop)
        parts = [table for table, _ in stream.parts(["amount"], spans)]
        found = [number for part in parts for number in part["amount"].to_pylist()]
        assert found == frame["amount"][start:stop].tolist()


@pytest.mark.parametrize(("size", "n_rows"), [(2, 950), (3, 100), (5, 301)])
def test_the_rows_of_workers(size, n_rows):
    class Stream:
        n_sources = 4

        def count(self, source):
            return [0, 70, n_rows - 80, 10][source]

    def task(rank):
        own = division.divide(Stream(), groups.communicator(), "x")
        assert own.start % 100 in (0, n_rows % 100)
        return [
            (source, row)
            for source, start, stop in own.spans
            for row in range(start, stop)
        ]

    found = [row for rows in run_workers(size, task) for row in rows]
    counts = [Stream().count(source) for source in range(4)]
    assert found == [
        (source, row) for source in range(4) for row in range(counts[source])
    ]


def test_a_worker_that_fails_between_two_agreements():
    def task(rank):
        workers = groups.communicator()
        with agreement.agreeing(workers):
            for step in range(3):
                with agreement.agreeing(workers) as found:
                    found.value = rank
                assert found.values == [0, 1, 2]
                if (rank, step) == (1, 1):
                    raise TypeError("bad column")
            raise AssertionError("unreachable")

    errors = run_workers(3, task)
    assert [type(error) for error in errors] == [TypeError] * 3
    assert str(errors[0]) == "Worker 1 has failed: bad column"
