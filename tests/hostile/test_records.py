"""Records of other shapes, sizes and types, in files whose checksums are right."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, make
from file_cases import parts_of, sign

import skfm
from skfm.encoding.blocks import QuantileBlock, ScaleBlock
from skfm.encoding.categories import CategoryBlock, HashBlock
from skfm.encoding.codec import TableCodec
from skfm.encoding.crosses.crosses import Crosses
from skfm.encoding.crosses.found import LevelCross, StatisticCross
from skfm.encoding.flags import FlagBlock
from skfm.encoding.layout import assemble
from skfm.encoding.multi_valued import MultiValuedBlock
from skfm.encoding.nested import NestedBlock
from skfm.persistence import FileFormatError, records

FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMClassifier])
@pytest.mark.parametrize("n_rare", [2, 9, 1000])
def test_a_mask_of_two_dimensions(cls, n_rare, tmp_path):
    """Its length is 1, its sum is not: the block would have a negative width."""
    path = tmp_path / "model.skfm"
    skfm.save(make(cls).fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    blocks = document["estimator"]["estimator"]["fitted"]["_codec"]["record"][1]
    fields = blocks["blocks"][1]["record"][1]
    for attribute, array in (
        ("vocabulary", np.array([7])),
        ("counts", np.array([5])),
        ("infrequent", np.ones((1, n_rare), dtype=bool)),
    ):
        arrays[f"new {attribute}"] = array
        fields[attribute] = {"array": {"numbers": f"new {attribute}"}}
    sign(path, document, arrays)
    with pytest.raises(FileFormatError, match="which categories are rare"):
        skfm.load(path)


def test_cells_encoded_outside_of_the_matrix():
    """The last gate before the kernels, whatever a block has come to hold."""
    block = HashBlock("a", 5)
    series = pd.Series(list("abc"), dtype=object)
    encoded = block.encode(block.read(series))
    assert assemble([encoded], [block.width], np.float64).shape == (3, 6)
    for columns in (encoded.columns + 6, encoded.columns - 6):
        object.__setattr__(encoded, "columns", columns)
        with pytest.raises(ValueError, match="outside of the columns"):
            assemble([encoded], [block.width], np.float64)


TEXT = np.array(["a", "b"], dtype=object)
COUNTS, MASK = np.array([1, 2]), np.array([False, True])
CATEGORIES = {"name": "a", "vocabulary": TEXT, "counts": COUNTS, "infrequent": MASK}
EDGES = {"name": "a", "n_bins": 3, "edges": np.array([0.0, 1.0])}
NESTED = {"name": "a", "edges": np.array([0.0, 1.0]), "coarse": np.array([1.0])}
FLAGS = {"blocks": [FlagBlock("a"), FlagBlock("b"), HashBlock("c", 5)]}
CROSS = {"fields": (0, 1), "widths": (2, 3), "gain": 1.0, "variance": 1.0, "z": 1.0}
CROSS["keys"] = np.array([0, 5])
STATISTICS = {
    "counts": COUNTS.astype(float),
    "sums": np.array([0.0, 1.0]),
    "prior": 0.5,
}
STATISTICS["edges"] = [np.array([0.1, 0.2]), np.empty(0), np.empty(0)]
CROSSED = {"blocks": [HashBlock("a", 1), HashBlock("b", 2)]}
WRONG = [
    *(
        (cls, fields, change)
        for cls, fields in (
            (LevelCross, CROSS),
            (StatisticCross, CROSS | STATISTICS),
        )
        for change in (
            {"fields": (0,)},
            {"fields": (-1, 0)},
            {"widths": (2, 3, 4)},
            {"widths": (0, 3)},
            {"widths": (2**40, 2**40)},
            {"gain": None},
            {"keys": np.array([5, 0])},
            {"keys": np.array([0, 6])},
            {"keys": np.array([-1, 0])},
            {"keys": np.array([[0, 5]])},
            {"keys": np.array([0.0, 5.0])},
        )
    ),
    (StatisticCross, CROSS | STATISTICS, {"counts": np.array([1.0])}),
    (StatisticCross, CROSS | STATISTICS, {"counts": np.array([0.0, 1.0])}),
    (StatisticCross, CROSS | STATISTICS, {"counts": np.array([1.0, np.nan])}),
    (StatisticCross, CROSS | STATISTICS, {"sums": np.array([np.nan, 1.0])}),
    (StatisticCross, CROSS | STATISTICS, {"prior": np.inf}),
    (StatisticCross, CROSS | STATISTICS, {"edges": [np.empty(0)]}),
    (StatisticCross, CROSS | STATISTICS, {"edges": [np.array([1.0, 0.0])] * 3}),
    (Crosses, {"items": [LevelCross(**CROSS)]}, {"items": [3]}),
    (
        TableCodec,
        CROSSED | {"crosses": Crosses([LevelCross(**CROSS)])},
        {"crosses": Crosses([LevelCross(**CROSS | {"fields": (0, 2)})])},
    ),
    (
        TableCodec,
        CROSSED,
        {"crosses": Crosses([LevelCross(**CROSS | {"widths": (3, 3)})])},
    ),
    (TableCodec, CROSSED, {"crosses": []}),
    (CategoryBlock, CATEGORIES, {"vocabulary": TEXT[None], "counts": COUNTS[None]}),
    (CategoryBlock, CATEGORIES, {"vocabulary": ["a", "b"]}),
    (CategoryBlock, CATEGORIES, {"counts": COUNTS[:1]}),
    (CategoryBlock, CATEGORIES, {"counts": COUNTS.astype(float)}),
    (CategoryBlock, CATEGORIES, {"infrequent": MASK[:, None]}),
    (CategoryBlock, CATEGORIES, {"infrequent": MASK.astype(np.int8)}),
    (CategoryBlock, CATEGORIES, {"name": 3}),
    (HashBlock, {"name": "a", "n_buckets": 5}, {"n_buckets": -5}),
    (HashBlock, {"name": "a", "n_buckets": 5}, {"n_buckets": 2**31 - 1}),
    (HashBlock, {"name": "a", "n_buckets": 5}, {"n_buckets": True}),
    (HashBlock, {"name": "a", "n_buckets": 5}, {"n_buckets": 5.0}),
    (ScaleBlock, {"name": "a"}, {"scale": 0.0}),
    (ScaleBlock, {"name": "a"}, {"mean": np.nan}),
    (ScaleBlock, {"name": "a"}, {"mean": np.zeros(3)}),
    (QuantileBlock, EDGES, {"edges": np.array([[0.0, 1.0]])}),
    (QuantileBlock, EDGES, {"edges": np.array([1.0, 0.0])}),
    (QuantileBlock, EDGES, {"edges": np.array([0, 1])}),
    (QuantileBlock, EDGES, {"sample": np.zeros(3)}),
    (NestedBlock, NESTED, {"coarse": np.array([0.5])}),
    (NestedBlock, NESTED, {"edges": np.array([[0.0, 1.0]])}),
    (NestedBlock, NESTED, {"ids": ScaleBlock("a")}),
    (NestedBlock, NESTED, {"value": HashBlock("a", 5)}),
    (NestedBlock, NESTED, {"has_missing": 7}),
    (FlagBlock, {"name": "a"}, {"has_missing": 7}),
    (MultiValuedBlock, {"inner": HashBlock("a", 5)}, {"inner": ScaleBlock("a")}),
    (MultiValuedBlock, {"inner": HashBlock("a", 5)}, {"delimiter": 3}),
    (TableCodec, {"blocks": [HashBlock("a", 5)]}, {"blocks": [3]}),
    (TableCodec, {"blocks": [HashBlock("a", 5)]}, {"blocks": HashBlock("a", 5)}),
    (TableCodec, {"blocks": [HashBlock("a", 5)]}, {"n_rows": -1}),
    (TableCodec, FLAGS | {"joined": {1: (0, "ab")}}, {"joined": {2: (0, "ac")}}),
    (TableCodec, FLAGS, {"joined": {0: (-3, "ab")}}),
]


@pytest.mark.parametrize(("cls", "fields", "change"), WRONG)
def test_records_check_themselves(cls, fields, change):
    cls(**fields).check()
    with pytest.raises(ValueError, match=r"\w"):
        cls(**fields | change).check()


def test_every_record_can_check_itself():
    classes = records.registered("record")
    assert {cls for cls, _, _ in WRONG} <= set(classes.values())
    assert all(callable(cls.check) for cls in classes.values())


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"loss": "nosuch"},
        {"optimizer": "nosuch"},
        {"max_iter": 0},
        {"n_jobs": 0.5},
    ],
)
def test_parameters_that_no_fit_would_take(change, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(make(skfm.FMRegressor).fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    document["estimator"]["estimator"]["parameters"].update(change)
    sign(path, document, arrays)
    (name,) = change
    with pytest.raises(FileFormatError, match=f"'{name}' parameter"):
        skfm.load(path)
    model = make(skfm.FMRegressor).set_params(**change)
    with pytest.raises(ValueError, match=f"'{name}' parameter"):
        skfm.save(model, path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.0])
def test_a_scale_of_the_target_that_hides_scores(value, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(make(skfm.FMRegressor).fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    name = document["estimator"]["estimator"]["fitted"]["y_scale_"]["array"]["numbers"]
    sign(path, document, arrays | {name: np.array([value])})
    with pytest.raises(FileFormatError, match="scale of y"):
        skfm.load(path)


def test_parameters_of_an_encoder(tmp_path):
    path = tmp_path / "encoder.skfm"
    skfm.save(skfm.FieldEncoder().fit(FRAME), path)
    document, arrays = parts_of(path)
    document["estimator"]["estimator"]["parameters"]["n_bins"] = 0
    sign(path, document, arrays)
    with pytest.raises(FileFormatError, match="'n_bins' parameter"):
        skfm.load(path)
