"""Damaged, hostile and newer files: a clear error, nothing run, no absurd memory."""

import copy
import functools
import json
import os
import struct
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, X, make, partial_fit, scores
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from saving_cases import assert_same

import skfm
from skfm.persistence import FileFormatError, container
from skfm.persistence.header import digest

FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)


@functools.cache
def subject():
    """An estimator with all kinds of attributes, and its file."""
    model = make(skfm.DeepFMClassifier, hidden_layer_sizes=(4,), warm_start=True)
    return model.fit(FRAME.assign(number=np.arange(len(FRAME)) * 0.5), LABELS)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "model.skfm"
    skfm.save(subject(), path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch") / "model.skfm"


def load_bytes(data, path, **how):
    path.write_bytes(data)
    return skfm.load(path, **how)


def unpacked(whole, path):
    """The document and the arrays of a file."""
    path.write_bytes(whole)
    with container.opened(path) as reader:
        arrays = {name: reader.array(name) for name in reader._entries}
        return copy.deepcopy(reader.document), arrays


def refused(document, arrays, path, match=""):
    """Check that a well-formed file with this content is refused, in little memory."""
    with open(path, "wb") as file:
        container.write(file, document, arrays)
    tracemalloc.start()
    with pytest.raises(FileFormatError, match=f"cannot be loaded.*{match}"):
        skfm.load(path)
    assert tracemalloc.get_traced_memory()[1] < 20 * path.stat().st_size + 10_000_000
    tracemalloc.stop()


def test_every_truncation(whole, scratch):
    for length in [*range(0, len(whole), 97), *range(20), len(whole) - 1]:
        with pytest.raises(FileFormatError, match="cannot be loaded"):
            load_bytes(whole[:length], scratch)


def test_more_than_the_file(whole, scratch):
    with pytest.raises(FileFormatError, match="longer than its arrays"):
        load_bytes(whole + b"\0", scratch)


@settings(max_examples=150)
@given(data=st.data())
def test_changed_bytes_are_noticed(whole, scratch, data):
    """Whatever the change; what is not noticed has changed nothing."""
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(whole) - 1))
        changed[place] ^= data.draw(st.integers(1, 255))
    try:
        model = load_bytes(bytes(changed), scratch)
    except FileFormatError:
        return
    assert_same(vars(model), vars(subject()))


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_any_bytes(scratch, data):
    for start in (b"", struct.pack("<Q", max(0, len(data) - 8)) + b"{"):
        with pytest.raises(FileFormatError):
            load_bytes(start + data, scratch)


HEADERS = {
    "huge": struct.pack("<Q", 2**63) + b"{}",
    "pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "zip": b"PK\x03\x04" + bytes(100),
    "deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep lists": b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    "long number": b'{"a":' + b"9" * 10_000 + b"}",
    "NaN": b'{"a":NaN}',
    "twice": b'{"a":1,"a":2}',
    "not UTF-8": b'{"\xff":1}',
    "a list": b"[1]",
    "other safetensors": b'{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}',
    "other metadata": b'{"__metadata__":{"format":"pt"}}',
}


@pytest.mark.parametrize("name", HEADERS)
def test_headers(name, scratch):
    header = HEADERS[name]
    data = header
    if header.startswith((b"{", b"[")):
        data = struct.pack("<Q", len(header)) + header
    with pytest.raises(FileFormatError, match="cannot be loaded"):
        load_bytes(data, scratch)


PLACES = {
    "overlap": {"data_offsets": [0, 8]},
    "beyond": {"data_offsets": [2**40, 2**40 + 8]},
    "negative": {"shape": [-1, -8]},
    "huge": {"shape": [2**40]},
    "huge and empty": {"shape": [2**60, 0], "data_offsets": [0, 0]},
    "not whole": {"shape": [1.0]},
    "boolean": {"shape": [True]},
    "dtype": {"dtype": "F8_E4M3"},
    "object": {"dtype": "|O"},
}


@pytest.mark.parametrize("name", PLACES)
def test_array_places(name, whole, scratch):
    (length,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + length])
    last = list(header)[-1]
    header[last] |= PLACES[name]
    metadata = header.pop("__metadata__")
    metadata.pop("digest")
    forged = digest(metadata, header)
    header["__metadata__"] = {**metadata, "digest": forged}
    raw = json.dumps(header).encode()
    with pytest.raises(FileFormatError, match="cannot be loaded"):
        load_bytes(struct.pack("<Q", len(raw)) + raw + whole[8 + length :], scratch)


def test_a_newer_version(whole, scratch):
    document, arrays = unpacked(whole, scratch)
    document["format"] += 1
    refused(document, arrays, scratch, "format 2.*upgrade skfm")
    for version in (None, 0, True, "1"):
        document["format"] = version
        refused(document, arrays, scratch, "no format version")


def test_formats_before_the_first_release(whole, scratch):
    """One was that of the first release by another name; older ones are not read."""
    document, arrays = unpacked(whole, scratch)
    del document["format"]
    document["format_version"] = 1
    refused(document, arrays, scratch, "before the first release")
    document["format_version"] = 2
    with open(scratch, "wb") as file:
        container.write(file, document, arrays)
    assert_same(vars(skfm.load(scratch)), vars(subject()))


def edit(document, path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


MODEL = ("estimator", "estimator")
CONFIG = (*MODEL, "network", "config", "dict")
SHAPE = (*CONFIG, 0, 1, "record", 1)
CODEC = (*MODEL, "fitted", "_codec", "record", 1, "blocks")
HASHED = {"record": ["HashBlock", {"name": "a", "n_buckets": -5}]}

ONE_CELL = {"array": {"shape": [1], "kind": "O", "cells": [1]}}

CONTENTS = {
    "class": ((*MODEL, "class"), "os.system"),
    "private class": ((*MODEL, "class"), "BaseModel"),
    "tag": ((*MODEL, "parameters", "alpha"), {"pickle": "0"}),
    "two tags": ((*MODEL, "parameters", "alpha"), {"tuple": [], "dict": []}),
    "record": ((*MODEL, "parameters", "alpha"), {"record": ["Popen", {}]}),
    "record field": ((*MODEL, "parameters", "alpha"), {"record": ["Shape", {"x": 1}]}),
    "parameter": ((*MODEL, "parameters", "nonsense"), 1),
    "method": ((*MODEL, "fitted", "predict"), 1),
    "dunder": ((*MODEL, "fitted", "__class__"), 1),
    "property": ((*MODEL, "fitted", "coef_"), 1),
    "no array": ((*MODEL, "fitted", "classes_"), {"array": {"numbers": "999"}}),
    "unhashable": ((*MODEL, "parameters", "alpha"), {"dict": [[[], 1]]}),
    "columns": ((*SHAPE, "n_columns"), 2**31),
    "factors": ((*SHAPE, "n_factors"), 2**40),
    "outputs": ((*SHAPE, "n_outputs"), -1),
    "dtype": ((*SHAPE, "dtype"), "float16"),
    "no fields": ((*SHAPE, "fields"), None),
    "device": ((*SHAPE, "device"), "nowhere"),
    "layers": ((*CONFIG, 1), ["hidden_layer_sizes", {"tuple": [1] * 100_000}]),
    "large layers": ((*CONFIG, 1), ["hidden_layer_sizes", {"tuple": [10**9, 10**9]}]),
    "layer option": ((*CONFIG, 1), ["nonsense", 1]),
    "features": ((*MODEL, "fitted", "n_features_in_"), 3),
    "blocks": (CODEC, []),
    "a block": ((*CODEC, 0), 3),
    "buckets": ((*CODEC, 0), HASHED),
    "classes": (
        (*MODEL, "fitted", "classes_"),
        {"array": {"shape": [1], "cells": [1]}},
    ),
    "estimator": (("estimator",), {"tuple": []}),
    "nothing": (("estimator",), None),
    "state": (
        (*MODEL, "parameters", "random_state"),
        {"random_state": ["0", 10**9, 0, 0.0]},
    ),
}


@pytest.mark.parametrize("name", CONTENTS)
def test_contents(name, whole, scratch):
    document, arrays = unpacked(whole, scratch)
    path, value = CONTENTS[name]
    edit(document, path, value)
    if name == "device":
        # Files land on the CPU whatever they say.
        with open(scratch, "wb") as file:
            container.write(file, document, arrays)
        assert skfm.load(scratch).network_.shape.device == "cpu"
        return
    refused(document, arrays, scratch)


@pytest.mark.parametrize("attribute", ["fields_", "shape", "counts"])
@pytest.mark.parametrize("value", [-1, 10**6, 2**31 - 1])
def test_arrays_that_would_lead_kernels_out_of_bounds(attribute, value, whole, scratch):
    document, arrays = unpacked(whole, scratch)
    model = document["estimator"]["estimator"]
    fitted = model["fitted"]
    holder = {
        "fields_": fitted["fields_"],
        "shape": model["network"]["config"]["dict"][0][1]["record"][1]["fields"],
        "counts": fitted["_column_statistics"]["record"][1]["counts"],
    }[attribute]
    name = holder["array"]["numbers"]
    arrays[name] = np.full(len(arrays[name]), value, np.int32)
    refused(document, arrays, scratch)


@pytest.mark.parametrize(
    ("part", "value"),
    [("n_rows", -1), ("n_rows", 2.5), ("sums", None), ("counts", None)],
)
def test_statistics_of_columns(part, value, whole, scratch):
    document, arrays = unpacked(whole, scratch)
    found = document["estimator"]["estimator"]["fitted"]["_column_statistics"]
    found["record"][1][part] = value
    refused(document, arrays, scratch)


def test_arrays_of_other_sizes(whole, scratch):
    """Each array in turn; what kernels and layers read must be of the right size."""
    document, arrays = unpacked(whole, scratch)
    sensitive = set(document["estimator"]["estimator"]["network"]["arrays"].values())
    state = document["estimator"]["estimator"]["fitted"]["_optimizers"]
    state = state[0]["record"][1]
    sensitive |= {state[key]["array"]["numbers"] for key in ("mean", "variance")}
    found = document["estimator"]["estimator"]["fitted"]["_column_statistics"]
    sensitive |= {
        found["record"][1][key]["array"]["numbers"]
        for key in ("counts", "sums", "squares")
    }
    sensitive |= {part["array"]["numbers"] for part in state["table_arrays"]}
    assert len(sensitive) >= 8
    for name in sensitive:
        for change in (lambda a: np.append(a, a), lambda a: a[:-1], lambda a: a[None]):
            refused(document, arrays | {name: change(arrays[name])}, scratch)


@settings(max_examples=150)
@given(data=st.data())
def test_documents_with_parts_replaced(whole, scratch, data):
    """Random surgery with valid checksums: an error, or an estimator that says so."""
    document, arrays = unpacked(whole, scratch)
    node, path = document["estimator"], ["estimator"]
    while isinstance(node, dict | list) and node and data.draw(st.integers(0, 9)):
        keys = list(node) if isinstance(node, dict) else range(len(node))
        path.append(data.draw(st.sampled_from(list(keys))))
        node = node[path[-1]]
    junk = [None, True, -1, 0, 2**70, 1e308, "", "0", [], {}, [[]], {"tuple": [1]}]
    edit(document, path, data.draw(st.sampled_from(junk)))
    with open(scratch, "wb") as file:
        container.write(file, document, arrays)
    try:
        model = skfm.load(scratch)
    except FileFormatError:
        return
    table = FRAME.assign(number=1.0)
    try:
        found = model.predict_proba(table)
    except (ValueError, TypeError, AttributeError, KeyError, IndexError):
        return
    assert np.all(np.isfinite(found))


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_save_leaves_the_old_file(error, tmp_path, monkeypatch):
    path = tmp_path / "model.skfm"
    skfm.save(skfm.FMClassifier(n_factors=3), path)

    def fail(descriptor):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error):
        skfm.save(skfm.FMClassifier(n_factors=4), path)
    assert skfm.load(path).n_factors == 3
    assert list(tmp_path.iterdir()) == [path]


class TestUnwritable:
    def test_no_directory(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nothing was written"):
            skfm.save(skfm.FMClassifier(), tmp_path / "none" / "model.skfm")

    def test_a_directory(self, tmp_path):
        with pytest.raises(OSError, match="nothing was written"):
            skfm.save(skfm.FMClassifier(), tmp_path)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
    def test_a_full_disk(self, tmp_path, monkeypatch):
        path = tmp_path / "model.skfm"
        skfm.save(skfm.FMClassifier(n_factors=3), path)

        def full(file, document, arrays):
            with open("/dev/full", "wb", buffering=0) as disk:
                disk.write(bytes(1000))

        monkeypatch.setattr(container, "write", full)
        with pytest.raises(OSError, match=r"No space left.*what was there is kept"):
            skfm.save(skfm.FMClassifier(), path)
        assert skfm.load(path).n_factors == 3
        assert list(tmp_path.iterdir()) == [path]

    def test_links_are_followed_and_modes_kept(self, tmp_path):
        path, link = tmp_path / "model.skfm", tmp_path / "link.skfm"
        skfm.save(skfm.FMClassifier(n_factors=3), path)
        path.chmod(0o640)
        link.symlink_to(path)
        skfm.save(skfm.FMClassifier(n_factors=4), link)
        assert link.is_symlink()
        assert skfm.load(path).n_factors == 4
        assert path.stat().st_mode & 0o777 == 0o640


def test_large_but_honest(tmp_path):
    """Many columns, categories and parameters do not trip the guards."""
    n = 100_000
    frame = pd.DataFrame({"id": np.arange(n), "tag": [f"t{i}" for i in range(n)]})
    model = skfm.FMClassifier(
        categorical_features="all", max_iter=1, n_factors=1, fields=["a", "b"]
    ).fit(frame, np.arange(n) % 2)
    partial_fit(model, frame[:100], np.arange(100) % 2)
    skfm.save(model, tmp_path / "model.skfm")
    back = skfm.load(tmp_path / "model.skfm")
    assert_array_equal(scores(back, frame[:50]), scores(model, frame[:50]))
    assert X.shape == (120, 12)
