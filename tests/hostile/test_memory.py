"""Small files that would take much memory, and paths that are no files."""

import copy
import os
import threading
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, make
from file_cases import parts_of, sign
from numpy.testing import assert_array_equal

import skfm
from skfm.persistence import FileFormatError, files

FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)
LIMIT = 1 << 20


@pytest.fixture(autouse=True)
def _small_limit(monkeypatch):
    """The constant part of the limit is made small, so that the tests need little."""
    monkeypatch.setattr(files, "MEMORY_BESIDE", LIMIT)


def refused(path, match="bytes of memory.*max_memory"):
    """Check that a file is refused before its memory is taken."""
    size = path.stat().st_size
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match=match):
            skfm.load(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * (files.MEMORY_PER_BYTE * size + LIMIT)


@pytest.mark.parametrize("n_buckets", [2**31 - 2, 2**24])
def test_countless_buckets(n_buckets, tmp_path):
    path = tmp_path / "encoder.skfm"
    skfm.save(skfm.FieldEncoder(n_buckets=7).fit(FRAME[["site"]]), path)
    document, arrays = parts_of(path)
    codec = document["estimator"]["estimator"]["fitted"]["_codec"]["record"][1]
    codec["blocks"][0]["record"][1]["n_buckets"] = n_buckets
    sign(path, document, arrays)
    refused(path)


def test_many_buckets_on_request(tmp_path):
    """An honest encoder that is larger than the limit says how it is loaded."""
    path = tmp_path / "encoder.skfm"
    encoder = skfm.FieldEncoder(n_buckets=2**20).fit(FRAME[["site"]])
    skfm.save(encoder, path)
    refused(path)
    back = skfm.load(path, max_memory=2**24)
    assert_array_equal(back.fields_, encoder.fields_)


@pytest.mark.parametrize("text", [True, False])
def test_many_references_to_one_array(text, tmp_path):
    path = tmp_path / "encoder.skfm"
    n = 20_000
    values = [f"t{i}" for i in range(n)] if text else np.arange(n)
    table = pd.DataFrame({"a": values, "b": values})
    encoder = skfm.FieldEncoder(categorical_features="all").fit(table)
    skfm.save(encoder, path)
    assert skfm.load(path).n_features_in_ == 2
    document, arrays = parts_of(path)
    fitted = document["estimator"]["estimator"]["fitted"]
    fitted["n_features_in_"] = 500
    codec = fitted["_codec"]["record"][1]
    codec["blocks"] = [codec["blocks"][0]] * 500
    sign(path, document, arrays)
    refused(path)


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_one_network_for_many_estimators(mmap_mode, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(make(skfm.FMClassifier).fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    steps = [[str(i), copy.deepcopy(document["estimator"])] for i in range(2)]
    document["estimator"] = {
        "pipeline": {"class": "Pipeline", "steps": steps, "options": {"dict": []}}
    }
    sign(path, document, arrays)
    with pytest.raises(FileFormatError, match="is used twice"):
        skfm.load(path, mmap_mode=mmap_mode)


def test_countless_small_lists(tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(make(skfm.FMClassifier), path)
    document, arrays = parts_of(path)
    document["versions"] = [[]] * 100_000
    sign(path, document, arrays)
    refused(path)


def test_long_strings_of_fixed_width(tmp_path):
    """One of a megabyte makes all others as long."""
    path = tmp_path / "model.skfm"
    model = make(skfm.FMClassifier, fields=np.array(["x" * 1000] + ["y"] * 2000))
    skfm.save(model, path)
    refused(path)


def test_countless_members(tmp_path):
    path = tmp_path / "model.skfm"
    options = {"solver": "sgd", "n_members": 2, "n_factors": 1}
    model = make(skfm.FMClassifier, **options).fit(CELLS[:, :1], LABELS)
    skfm.save(model, path)
    assert len(skfm.load(path).members_) == 2
    document, arrays = parts_of(path)
    network = document["estimator"]["estimator"]["network"]
    network["config"]["dict"][0][1]["record"][1]["n_members"] = 10_000
    for name in ("factors", "linear"):
        stored = network["arrays"][name]
        arrays[stored] = np.zeros((1, 10_000), arrays[stored].dtype)
    sign(path, document, arrays)
    refused(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
class TestPathsThatAreNoFiles:
    def test_loading_a_pipe_does_not_wait(self, tmp_path):
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        errors = []

        def load():
            try:
                skfm.load(pipe)
            except FileFormatError as error:
                errors.append(str(error))

        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
        assert "not a regular file" in errors[0]

    def test_loading_a_device(self):
        with pytest.raises(FileFormatError, match="not a regular file"):
            skfm.load("/dev/null")

    def test_a_pipe_is_not_replaced(self, tmp_path):
        pipe, link = tmp_path / "pipe", tmp_path / "link"
        os.mkfifo(pipe)
        link.symlink_to(pipe)
        for path in (pipe, link):
            with pytest.raises(OSError, match=r"not a regular file.*pipe|link"):
                skfm.save(skfm.FMClassifier(), path)
        assert pipe.is_fifo()
        assert sorted(tmp_path.iterdir()) == [link, pipe]

    def test_a_device_is_not_replaced(self, tmp_path):
        link = tmp_path / "link"
        link.symlink_to("/dev/null")
        with pytest.raises(OSError, match="nothing was written"):
            skfm.save(skfm.FMClassifier(), link)
        assert os.path.exists("/dev/null")
        assert not os.path.isfile("/dev/null")
