"""Records of other shapes, sizes and types, in files whose checksums are right."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, make
from file_cases import parts_of, sign

import skfm
from skfm.data.scaling import ColumnMoments, ColumnScaling
from skfm.data.statistics import ColumnStatistics
from skfm.encoding.blocks import QuantileBlock, ScaleBlock
from skfm.encoding.categories import CategoryBlock, HashBlock
from skfm.encoding.codec import TableCodec
from skfm.encoding.crosses.crosses import Crosses
from skfm.encoding.crosses.found import LevelCross, StatisticCross
from skfm.encoding.dates import DateBlock
from skfm.encoding.flags import FlagBlock
from skfm.encoding.layout import assemble
from skfm.encoding.multi_valued import MultiValuedBlock
from skfm.encoding.nested import NestedBlock
from skfm.encoding.shared import SharedCategories
from skfm.encoding.vectors import VectorBlock
from skfm.nn.shape import Shape
from skfm.persistence import FileFormatError, records
from skfm.training.optimizer_state import OptimizerState

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
SHARED = {"blocks": [HashBlock("a", 5), HashBlock("b", 5), HashBlock("c", 4)]}
SHARED["shared"] = SharedCategories([[0, 1]])
PAIR, NO_NUMBER = np.array([0.0, 1.0]), np.array([1.0, np.nan])
UNITS = {"center": PAIR, "scale": PAIR + 1}
MOMENTS = {"counts": COUNTS} | dict.fromkeys(
    ("rows", "weight", "mean", "squares", "largest"), PAIR
)
COUNTED = {"n_rows": 3, "counts": COUNTS, "sums": PAIR, "squares": PAIR}
DATE = {"name": "a", "elapsed": None, "parts": {"year": CategoryBlock("a")}}
VECTOR = {"name": "a", "n": 2, "mean": PAIR, "squares": PAIR}
FIELDS = np.array([0, 1], np.int32)
SHAPE = {"n_columns": 2, "n_factors": 4, "n_outputs": 1, "fields": FIELDS}
STATE = {"optimizer": "adam", "table_arrays": [PAIR], "table_steps": 1}
STATE |= {"mean": PAIR, "variance": PAIR, "dense_steps": 1}
OF_NETWORKS = [
    *((ColumnScaling, UNITS, {n: NO_NUMBER}) for n in UNITS),
    *((ColumnScaling, UNITS, {n: PAIR[:1]}) for n in UNITS),
    *((ColumnScaling, UNITS, {"scale": scale}) for scale in (PAIR, -PAIR - 1, COUNTS)),
    *((ColumnMoments, MOMENTS, {n: PAIR[:1]}) for n in MOMENTS),
    *((ColumnMoments, MOMENTS, {n: NO_NUMBER}) for n in MOMENTS),
    (ColumnStatistics, COUNTED, {"n_rows": -1}),
    (ColumnStatistics, COUNTED, {"counts": -COUNTS}),
    (ColumnStatistics, COUNTED, {"counts": PAIR}),
    (ColumnStatistics, COUNTED, {"sums": PAIR[:1]}),
    (ColumnStatistics, COUNTED, {"squares": None}),
    *((Shape, SHAPE, {n: size}) for n in SHAPE for size in (0, -1, 2.0, True)),
    (Shape, SHAPE, {"fields": -FIELDS}),
    (Shape, SHAPE, {"fields": FIELDS + 1}),
    (Shape, SHAPE, {"fields": FIELDS[:1]}),
    (Shape, SHAPE, {"fields": FIELDS.astype(np.int64)}),
    (Shape, SHAPE, {"n_samples": 0}),
    (Shape, SHAPE, {"dtype": "float16"}),
    (Shape, SHAPE, {"mean_pairs": -1.0}),
    (OptimizerState, STATE, {"optimizer": "nosuch"}),
    (OptimizerState, STATE, {"table_steps": -1}),
    (OptimizerState, STATE, {"dense_steps": 1.5}),
    (OptimizerState, STATE, {"table_arrays": [3]}),
    (OptimizerState, STATE, {"mean": None}),
]
WRONG = [
    *OF_NETWORKS,
    *(
        (SharedCategories, {"groups": [[0, 2], [1, 3]]}, {"groups": groups})
        for groups in (
            [[0]],
            [[0, 2], [2, 3]],
            [[2, 0]],
            [[-1, 0]],
            [[0, True]],
            [3],
            None,
        )
    ),
    (TableCodec, SHARED, {"shared": SharedCategories([[0, 2]])}),
    (TableCodec, SHARED, {"shared": SharedCategories([[0, 4]])}),
    (TableCodec, SHARED, {"shared": [[0, 1]]}),
    (DateBlock, DATE, {"name": 3}),
    (DateBlock, DATE, {"elapsed": HashBlock("a", 5)}),
    (DateBlock, DATE, {"elapsed": NestedBlock("a", value=ScaleBlock("a", n=1))}),
    (DateBlock, DATE, {"parts": {"century": CategoryBlock("a")}}),
    (DateBlock, DATE, {"parts": {"year": HashBlock("a", 5)}}),
    (DateBlock, DATE, {"parts": [CategoryBlock("a")]}),
    (VectorBlock, VECTOR, {"n": -1}),
    *((VectorBlock, VECTOR, {n: NO_NUMBER}) for n in ("mean", "squares")),
    *((VectorBlock, VECTOR, {n: PAIR[:1]}) for n in ("mean", "squares")),
    (VectorBlock, VECTOR, {"squares": -PAIR}),
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
    assert {cls for cls, _, _ in WRONG} == set(classes.values())


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": 0.0}, "the noise of a sample"),
        ({"noise": np.nan}, "the noise of a sample"),
        ({"link": "nosuch"}, "link is"),
        ({"n_factors": 7}, "n_factors is not that of all samples"),
        ({"n_members": 2}, "a posterior has no members"),
    ],
    ids=str,
)
def test_samples_of_a_posterior(change, message, tmp_path):
    path = tmp_path / "model.skfm"
    model = skfm.FMRegressor(max_iter=2, n_samples=4, n_factors=4, random_state=0)
    skfm.save(model.fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    network = document["estimator"]["estimator"]["network"]
    (_, shape), link = network["config"]["dict"]
    link[1] = change.get("link", link[1])
    noise, factors = (network["arrays"][name] for name in ("noise", "factors"))
    arrays[noise][1] = change.get("noise", arrays[noise][1])
    sizes = shape["record"][1]
    sizes |= {name: change[name] for name in sizes.keys() & change.keys()}
    arrays[factors] = arrays[factors][:, : sizes["n_factors"]]
    sign(path, document, arrays)
    with pytest.raises(FileFormatError, match=message):
        skfm.load(path)


@pytest.mark.parametrize("name", ["network_", "predict", "__class__"])
def test_attributes_that_no_file_sets(name, tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(make(skfm.FMRegressor).fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    document["estimator"]["estimator"]["fitted"][name] = None
    sign(path, document, arrays)
    with pytest.raises(FileFormatError, match=rf"sets FMRegressor\.{name}"):
        skfm.load(path)


def test_attributes_of_a_running_fit_are_not_loaded(tmp_path):
    path = tmp_path / "model.skfm"
    skfm.save(make(skfm.FMRegressor).fit(FRAME, LABELS), path)
    document, arrays = parts_of(path)
    document["estimator"]["estimator"]["fitted"]["_skl_callbacks"] = [3]
    sign(path, document, arrays)
    assert not hasattr(skfm.load(path), "_skl_callbacks")
