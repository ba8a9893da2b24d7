"""Fits of datasets that are larger than memory."""

import json
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from common_cases import ALL_ESTIMATORS, ESTIMATORS
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.metrics import log_loss
from stream_cases import FEATURES, clicks, write

import skfm
from skfm.data import transfer
from skfm.data.batch import Batch
from skfm.estimators import table_streams
from skfm.sparse import BACKENDS, TorchBackend
from skfm.streams import block_writer, source, tables
from skfm.streams.blocks import BlockRows


def make(cls, **options):
    cheap = {"max_iter": 3, "n_factors": 4, "batch_size": 64, "crosses": None}
    return cls(**{"random_state": 0} | cheap | options)


def target(cls):
    return "click" if is_classifier(cls()) else "amount"


def scores(model, X):
    return model.decision_function(X) if is_classifier(model) else model.predict(X)


def fitted(cls, folder, cuts=(), **options):
    data = write(clicks()[[*FEATURES, target(cls)]], folder, cuts)
    return make(cls, **options).fit(data, target(cls)), data


@pytest.mark.parametrize(
    "cls",
    [
        pytest.param(cls, marks=[] if cls in ESTIMATORS else pytest.mark.slow)
        for cls in ALL_ESTIMATORS
        if not cls.__name__.endswith("Ranker")
    ],
)
def test_every_estimator_fits_a_dataset(cls, tmp_path):
    model, data = fitted(cls, tmp_path / "data", (100, 350))
    assert model.feature_names_in_.tolist() == FEATURES
    assert len(model.validation_scores_) == 3
    frame = clicks()[FEATURES]
    assert_allclose(scores(model, data), scores(model, frame), rtol=1e-5)
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("cls", [skfm.FMRegressor, skfm.DeepFMClassifier])
def test_one_batch_of_all_rows_gives_the_fit_in_memory(cls, tmp_path):
    options = {"batch_size": 600, "early_stopping": False, "dtype": "float64"}
    model, _ = fitted(cls, tmp_path / "data", (200,), **options)
    frame = clicks()
    twin = make(cls, **options)
    if cls is skfm.FMRegressor:
        twin.set_params(solver="sgd")
    twin.fit(frame[FEATURES], frame[target(cls)])
    assert_allclose(
        scores(model, frame[FEATURES]), scores(twin, frame[FEATURES]), rtol=1e-6
    )


def test_files_chunks_and_threads_do_not_change_a_bit(tmp_path):
    found = []
    for number, (cuts, n_jobs) in enumerate([((), 1), ((1, 250, 251, 420), 2)]):
        model, data = fitted(
            skfm.DeepFMClassifier, tmp_path / str(number), cuts, n_jobs=n_jobs
        )
        found.append((scores(model, data), model.validation_scores_))
    assert_array_equal(found[0][0], found[1][0])
    assert found[0][1] == found[1][1]


def test_weights_and_given_validation_rows(tmp_path):
    frame = clicks()
    train, rest = frame[:450], frame[450:]
    names = [*FEATURES, "click", "weight"]
    data, held_out = (
        write(part[names], tmp_path / name)
        for name, part in (("a", train), ("b", rest))
    )
    options = {"batch_size": 450, "early_stopping": True, "dtype": "float64"}
    model = make(skfm.NFMClassifier, **options).fit(
        data,
        "click",
        "weight",
        X_val=held_out,
        y_val="click",
        sample_weight_val="weight",
    )
    in_memory = (rest[FEATURES], rest["click"], rest["weight"])
    other = make(skfm.NFMClassifier, **options).fit(data, "click", "weight", *in_memory)
    twin = make(skfm.NFMClassifier, **options).fit(
        train[FEATURES], train["click"], train["weight"], *in_memory
    )
    for found in (model, other):
        assert_allclose(found.validation_scores_, twin.validation_scores_, rtol=1e-6)
        assert_allclose(scores(found, data), scores(twin, train[FEATURES]), rtol=1e-5)


def test_warm_start_and_partial_fit(tmp_path):
    model, data = fitted(skfm.FMClassifier, tmp_path / "data", warm_start=True)
    model.fit(data, "click")
    assert model.n_iter_ == 6
    before = model.coef_.copy()
    model.partial_fit(data, "click")
    assert not np.array_equal(before, model.coef_)


def test_a_fit_goes_on_from_its_checkpoint(tmp_path):
    class Stop:
        def setup(self, estimator, context):
            pass

        teardown = on_fit_task_begin = setup

        def on_fit_task_end(self, estimator, context, *, fitted_estimator):
            if context.task_name == "epoch" and context.task_id == 1:
                raise KeyboardInterrupt

    options = {"checkpoint": str(tmp_path / "ck"), "cache": str(tmp_path / "cache")}
    data = write(clicks()[[*FEATURES, "click"]], tmp_path / "data", (300,))
    model = make(skfm.DeepFMClassifier, **options).set_callbacks(Stop())
    with pytest.raises(KeyboardInterrupt):
        model.fit(data, "click")
    assert len(list((tmp_path / "ck").iterdir())) == 1
    resumed = make(skfm.DeepFMClassifier, **options).fit(data, "click")
    undisturbed = make(skfm.DeepFMClassifier).fit(data, "click")
    assert_array_equal(scores(resumed, data), scores(undisturbed, data))
    assert list((tmp_path / "ck").iterdir()) == []


def test_the_cache_is_written_once(tmp_path, monkeypatch):
    options = {"cache": tmp_path / "cache"}
    model, data = fitted(skfm.FMClassifier, tmp_path / "data", (100,), **options)
    (kept,) = (tmp_path / "cache").iterdir()
    read = []
    for name in ("learn", "encode"):
        monkeypatch.setattr(table_streams, name, lambda *args: read.append(args))
    again = make(skfm.FMClassifier, **options).fit(data, "click")
    assert read == []
    assert_array_equal(scores(again, data), scores(model, data))
    (kept / "block-000000").write_bytes(b"short")
    with pytest.raises(ValueError, match="is damaged: block 0 has changed"):
        make(skfm.FMClassifier, **options).fit(data, "click")


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_cache_that_contradicts_itself(tmp_path, place):
    """Lengths of rows, and columns, that would lead kernels out of bounds."""
    options = {"cache": tmp_path / "cache"}
    _, data = fitted(skfm.FMClassifier, tmp_path / "data", (100,), **options)
    (kept,) = (tmp_path / "cache").iterdir()
    block, index = kept / "block-000000", json.loads((kept / "index.json").read_text())
    content = bytearray(block.read_bytes())
    n_rows = int(np.frombuffer(content, "<i8", 1)[0])
    lengths = 24 + 8 * n_rows
    where = [lengths, lengths + 4, lengths + 4 * n_rows][place]
    content[where : where + 4] = np.array([[-9, 2**30, -1][place]], "<i4").tobytes()
    block.write_bytes(content)
    index["checksums"][0] = zlib.crc32(content)
    (kept / "index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match="is damaged: block 0 has other rows"):
        make(skfm.FMClassifier, **options).fit(data, "click")


def test_other_files_have_a_cache_of_their_own(tmp_path):
    options = {"cache": tmp_path / "cache"}
    fitted(skfm.FMClassifier, tmp_path / "data", **options)
    frame = clicks(seed=1)[[*FEATURES, "click"]]
    data = write(frame, tmp_path / "data")
    model = make(skfm.FMClassifier, **options).fit(data, "click")
    assert len(list((tmp_path / "cache").iterdir())) == 2
    twin = make(skfm.FMClassifier).fit(data, "click")
    assert_array_equal(scores(model, frame[FEATURES]), scores(twin, frame[FEATURES]))


def test_an_interrupted_fit_leaves_no_folder(tmp_path, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    for owner, name in (
        (block_writer.BlockWriter, "finish"),
        (source.LabelledBlocks, "read"),
        (source.BlockFeed, "epoch"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                fitted(skfm.FMClassifier, tmp_path / "data")
        assert list((tmp_path / "temporary").iterdir()) == []


def test_several_targets(tmp_path):
    frame = clicks()
    names = ["amount", "weight"]
    data = write(frame[[*FEATURES, *names]], tmp_path / "data")
    options = {"batch_size": 600, "early_stopping": False, "dtype": "float64"}
    model = make(skfm.NFMRegressor, **options).fit(data, names)
    twin = make(skfm.NFMRegressor, **options).fit(frame[FEATURES], frame[names])
    assert_allclose(model.predict(data), twin.predict(frame[FEATURES]), rtol=1e-6)


def test_labels_of_strings_and_columns_of_paths(tmp_path):
    frame = clicks()[[*FEATURES, "click"]]
    frame["click"] = frame["click"].map({0: "no", 1: "yes"})
    table = pa.Table.from_pandas(frame, preserve_index=False)
    by_item = ds.partitioning(pa.schema([("item", pa.int64())]), flavor="hive")
    folder = tmp_path / "data"
    ds.write_dataset(table, folder, format="parquet", partitioning=by_item)
    data = ds.dataset(folder, format="parquet", partitioning=by_item)
    model = make(skfm.FMClassifier, class_weight="balanced").fit(data, "click")
    assert model.classes_.tolist() == ["no", "yes"]
    assert set(model.feature_names_in_) == set(FEATURES)
    assert set(model.predict(data)) <= {"no", "yes"}


@pytest.mark.parametrize("free", [None, 1 << 40])
def test_blocks_on_another_device(free, tmp_path, monkeypatch):
    by_kernels, data = fitted(skfm.NFMClassifier, tmp_path / "data", dtype="float64")
    with monkeypatch.context() as patched:
        patched.setitem(BACKENDS, "cpu", TorchBackend)
        patched.setattr(transfer, "free_memory", lambda device: free)
        model = make(skfm.NFMClassifier, dtype="float64").fit(data, "click")
        assert isinstance(model.network_.table.backend, TorchBackend)
        assert_allclose(scores(model, data), scores(by_kernels, data), rtol=1e-6)
    assert_allclose(model.validation_scores_, by_kernels.validation_scores_, rtol=1e-6)


def test_scores_of_an_iterator_of_tables(tmp_path):
    model, data = fitted(skfm.FMClassifier, tmp_path / "data")
    parts = (
        pa.Table.from_batches([b]) for b in data.to_batches(FEATURES, batch_size=70)
    )
    assert_array_equal(model.predict_proba(parts), model.predict_proba(data))
    with pytest.raises(ValueError, match="iterator without any table"):
        model.predict(iter([]))


@pytest.mark.slow  # importing Dask takes seconds
# Dask calls pandas in a way that pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_a_dask_frame_gives_the_same_bits(tmp_path):
    dd = pytest.importorskip("dask.dataframe")
    model, data = fitted(skfm.DeepFMClassifier, tmp_path / "data", (100, 350))
    frame = clicks()[[*FEATURES, "click"]]
    for ddf in (dd.read_parquet(tmp_path / "data"), dd.from_pandas(frame, 5)):
        other = make(skfm.DeepFMClassifier).fit(ddf, "click")
        assert_array_equal(scores(other, data), scores(model, data))
        # Partitions are scored one by one, in parts of other sizes.
        assert_allclose(scores(other, ddf), scores(model, data), 1e-5, 1e-5)
    assert not any("dask" in type(v).__module__ for v in vars(other).values())
    assert not tables.is_stream(dd.from_pandas(frame, 5).to_dask_array())


@pytest.mark.slow
@pytest.mark.parametrize("column", ["click", "user"])
def test_sorted_files_do_no_harm(column, tmp_path):
    frame = clicks(3000)[[*FEATURES, "click"]]
    options = {"max_iter": 10, "batch_size": 100, "early_stopping": False}
    options |= {"n_factors": 8, "solver": "sgd"}
    losses = []
    for number, rows in enumerate((frame, frame.sort_values(column))):
        data = write(rows, tmp_path / str(number), (1000, 2000))
        model = make(skfm.FMClassifier, **options).fit(data, "click")
        losses.append(log_loss(frame["click"], model.predict_proba(frame[FEATURES])))
    assert losses[1] < losses[0] + 0.02 < 0.4


def test_parts_without_rows_change_no_block(tmp_path, monkeypatch):
    monkeypatch.setattr(block_writer, "_BUFFER_BYTES", 1)
    rows = BlockRows(
        Batch(np.array([0, 2, 3]), np.array([0, 1, 1], np.int32), np.empty(0)),
        np.array([4, 7]),
    )
    none = BlockRows(
        Batch(np.array([0]), np.empty(0, np.int32), np.empty(0)), np.empty(0, np.int64)
    )
    contents = []
    for name, parts in {"a": [rows], "b": [none, rows, none]}.items():
        (tmp_path / name).mkdir()
        writer = block_writer.BlockWriter(tmp_path / name, 2, 3, np.dtype(float))
        for part in parts:
            writer.add(part)
        writer.finish()
        files = sorted((tmp_path / name).iterdir())
        contents.append({path.name: path.read_bytes() for path in files})
    assert contents[0] == contents[1]
