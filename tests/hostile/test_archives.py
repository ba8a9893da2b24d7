"""Archives of skops that would take much memory, or call what they name."""

import io
import json
import zipfile

import numpy as np
import pytest
from estimator_cases import CELLS, LABELS, make
from file_cases import parts_of, sign
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

import skfm
from skfm.persistence import FileFormatError, files

pytest.importorskip("skops")


def packed(members):
    """The bytes of an archive, as an array."""
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return np.frombuffer(raw.getvalue(), np.uint8)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a file after a change of the members of its archive, in little memory."""
    monkeypatch.setattr(files, "MEMORY_BESIDE", 1 << 20)
    path = tmp_path / "pipeline.skfm"
    pipeline = make_pipeline(MaxAbsScaler(), make(skfm.FMClassifier))
    skfm.save(pipeline.fit(CELLS.astype(float), LABELS), path)
    document, arrays = parts_of(path)
    name = document["estimator"]["pipeline"]["steps"][0][1]["foreign"]
    with zipfile.ZipFile(io.BytesIO(arrays[name].tobytes())) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}

    def load(change):
        sign(path, document, arrays | {name: packed(change(members))})
        return skfm.load(path)

    return load


def of_schema(change):
    """Change the schema of an archive."""

    def changed(members):
        schema = json.loads(members["schema.json"])
        change(schema)
        return members | {"schema.json": json.dumps(schema)}

    return changed


def test_as_it_was(load):
    assert type(load(dict)[0]) is MaxAbsScaler
    assert type(load(of_schema(lambda schema: None))[0]) is MaxAbsScaler


def test_a_bomb(load):
    with pytest.raises(FileFormatError, match="bytes of memory"):
        load(lambda of: of | {"schema.json": of["schema.json"] + b" " * (1 << 26)})


def test_an_array_that_says_to_be_larger(load):
    def grow(members):
        # The header is padded with blanks to a length of its own.
        return {
            name: content.replace(b"(3,), }    ", b"(30000,), }")
            for name, content in members.items()
        }

    with pytest.raises(FileFormatError, match="larger than its file"):
        load(grow)


def test_archives_in_archives(load):
    def nested(members):
        for _ in range(2):
            members = {"a.npz": packed(members).tobytes()}
        return members

    with pytest.raises(FileFormatError, match="archives inside archives"):
        load(nested)


def node(loader, kind, **content):
    module, _, name = kind.rpartition(".")
    return {"__loader__": loader, "__module__": module, "__class__": name, **content}


def several(*nodes, **others):
    return node("ListNode", "builtins.list", content=list(nodes), **others)


def number(value, **others):
    return node("JsonNode", "builtins.int", content=json.dumps(value), **others)


def array(*nodes):
    """An array of objects with two axes, which holds copies of lists."""
    shape = node("TupleNode", "builtins.tuple", content=[number(1), number(2)])
    content = {"content": list(nodes), "shape": shape, "type": "json"}
    return node("NdArrayNode", "numpy.ndarray", **content)


def laughs():
    """A short description of a billion elements."""
    lists = [several(number(1), number(2), __id__=1)]
    for count in range(2, 30):
        again = several(__id__=count - 1)
        lists.append(several(again, again, __id__=count))
    return several(*lists, array(several(__id__=29)))


def references():
    return several(*[{"__id__": 5}] * 2)


def many():
    """Many references to an array of the archive."""
    file = {"file": "large.npy", "type": "numpy"}
    return several(*[node("NdArrayNode", "numpy.ndarray", **file)] * 300)


def countless():
    return several(*[number(0)] * 3_000)


def call():
    """A call of a function of scikit-learn, which may be referred to."""
    arguments = node("TupleNode", "builtins.tuple", content=[number([[1.0]] * 9)])
    function = "sklearn.model_selection._split.train_test_split"
    return node("ConstructorFromReduceNode", function, content=arguments)


@pytest.mark.parametrize(
    ("make_node", "message"),
    [
        (laughs, "same number"),
        (references, "without describing it"),
        (many, "bytes of memory"),
        (countless, "bytes of memory"),
        (call, "train_test_split, which could run code"),
    ],
)
def test_schemas(load, make_node, message):
    def change(schema):
        schema["content"]["content"]["n_samples_seen_"] = make_node()

    zeros = io.BytesIO()
    np.save(zeros, np.zeros(1_000_000, np.uint8))
    with pytest.raises(FileFormatError, match=message):
        load(lambda of: of_schema(change)(of) | {"large.npy": zeros.getvalue()})


def test_functions_may_be_referred_to(load):
    def change(schema):
        schema["content"]["content"]["n_samples_seen_"] = node(
            "FunctionNode", "sklearn.metrics._ranking.roc_auc_score"
        )

    assert load(of_schema(change))[0].n_samples_seen_.__name__ == "roc_auc_score"
