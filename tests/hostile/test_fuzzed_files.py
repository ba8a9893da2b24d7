"""Files whose structure is mutated, and whose checksums are right again.

Each is refused with a FileFormatError, or loads to an estimator that predicts finite
numbers or raises an error. Nothing crashes, hangs, or takes much memory.

    python tests/hostile/test_fuzzed_files.py 10000

is a long run, in which compiled code checks its indices too: a read or a write out of
bounds is seen even where it does no harm.
"""

import collections
import copy
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

sys.path.insert(0, str(Path(__file__).parents[1] / "cases"))

from estimator_cases import CELLS, LABELS, NUMBERS, X, make
from file_cases import parts_of, sign

import skfm
from skfm.persistence import FileFormatError

#: Largest growth of the process's memory: the limit of a load, and some more.
MOST_MEMORY = 1 << 29
#: Message of numba if compiled code reads outside of an array.
OUT_OF_BOUNDS = "index is out of bounds"
TABLE = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)
TABLE["number"] = np.sqrt(np.arange(len(TABLE)))
TABLE["flag"] = CELLS[:, 0] > 1
TABLE["tags"] = [["a", "b"][: 1 + cell % 2] for cell in CELLS[:, 1]]
TABLE["date"] = pd.date_range("2020-01-30", periods=len(TABLE), freq="31h")
TABLE["vector"] = [[float(a), 0.5 * b] for a, b, _ in CELLS]
THREE = np.array(["a", "b", "c"])[CELLS[:, 2]]


#: Pairs of many categories, each in two rows: a cross is added by its statistics.
RNG = np.random.default_rng(0)
PAIRS = pd.DataFrame(RNG.integers(40, size=(200, 2)), columns=["user", "item"])
PAIRS = PAIRS.loc[PAIRS.index.repeat(2)].astype(str)
CHOSEN = np.repeat(RNG.integers(2, size=200), 2)
#: Numbers whose units are learnt, and go on to be.
UNITS = RNG.normal(size=(60, 4)) * [1, 10, 100, 1000] + [0, 0, 0, 9000]
UNITS = sp.csr_array(UNITS)
#: Parameters of a fit by samples, which a warm start goes on from.
CHAINS = {"max_iter": 3, "n_samples": 4, "random_state": 0, "warm_start": True}


def subjects():
    """Fitted estimators of all kinds, and the rows that they read."""
    encoder = skfm.FieldEncoder(
        n_buckets={"site": 5},
        numeric={"number": "quantile"},
        multi_valued=["tags"],
        min_frequency=15,
    )
    go_on = {"warm_start": True}
    pipeline = skfm.make_field_pipeline(clone(encoder), make(skfm.AFMClassifier))
    crossed = {"crosses": [("site", "ad"), ("ad", "hour")], "random_state": 0}
    several = {"n_members": 2}
    shared = {"shared_categories": [["site", "hour"]]}
    mean = make(skfm.FMRegressor, field_pooling="mean", fields=(4, 5, 3), **several)
    return {
        "chains": (skfm.FMRegressor(**CHAINS).fit(X, NUMBERS), X),
        "classes": (skfm.FMClassifier(**CHAINS, **shared).fit(TABLE, THREE), TABLE),
        "table": (
            make(skfm.DeepFMClassifier, **go_on | crossed).fit(TABLE, LABELS),
            TABLE,
        ),
        "crosses": (skfm.FieldCrosses(random_state=0).fit(PAIRS, CHOSEN), PAIRS),
        "units": (make(skfm.AFMRegressor).partial_fit(UNITS, NUMBERS[:60]), UNITS),
        "matrix": (make(skfm.FFMClassifier, **go_on | several).fit(X, LABELS), X),
        "mean": (mean.fit(X, NUMBERS), X),
        "nested": (make(skfm.FNNRegressor).fit(X, NUMBERS), X),
        "layers": (make(skfm.NFMRegressor, batch_norm=True).fit(X, NUMBERS), X),
        "pipeline": (pipeline.fit(TABLE, LABELS), TABLE),
        "search": (GridSearchCV(make(skfm.NFMClassifier), {}, cv=2).fit(X, LABELS), X),
        "encoder": (encoder.set_params(min_frequency=None).fit(TABLE), TABLE),
    }


# Mutations of a document: each takes a list of all (parent, key), and a generator.

JUNK = [None, True, -1, 0, 1, 2**31 - 1, 2**31, 2**63, 2**70, 1e308, -0.5, "", "0"]
JUNK += ["1", [], {}, [[]], {"tuple": [1]}, {"float": "nan"}, {"dict": []}, [-1] * 9]


def replace(places, rng):
    parent, key = pick(places, rng)
    parent[key] = copy.deepcopy(pick(JUNK, rng))


def move(places, rng):
    """Put a part of the document where another was."""
    (parent, key), (other, name) = pick(places, rng), pick(places, rng)
    parent[key] = copy.deepcopy(other[name])


def shift(places, rng):
    """Change a number a little, or by much."""
    numbers = [(p, k) for p, k in places if type(p[k]) in (int, float)]
    parent, key = pick(numbers, rng)
    parent[key] = pick([parent[key] + 1, parent[key] - 1, -parent[key], 2**33], rng)


def refer(places, rng):
    """Refer to another array."""
    names = [(p, k) for p, k in places if type(p[k]) is str and p[k].isdigit()]
    (parent, key), (other, name) = pick(names, rng), pick(names, rng)
    parent[key] = other[name]


def remove(places, rng):
    parent, key = pick(places, rng)
    del parent[key]


def repeat(places, rng):
    lists = [p[k] for p, k in places if isinstance(p[k], list) and p[k]]
    chosen = pick(lists, rng)
    chosen.append(copy.deepcopy(pick(chosen, rng)))


# Mutations of an array: each returns another.


def other_shape(array, rng):
    shapes = [
        array[None],
        array[..., None],
        array[:-1],
        array[:0],
        array[:1],
        np.concatenate([array, array]),
        array.ravel(),
        np.repeat(array[None], 3, axis=0),
    ]
    return pick(shapes, rng)


def other_type(array, rng):
    with np.errstate(all="ignore"):
        return array.astype(pick(["f4", "f8", "i4", "i8", "u1", "u8", "?"], rng))


def other_values(array, rng):
    array = array.copy()
    limits = [-1, 0, 1, 10**6, 2**31 - 1, -(2**31)]
    if array.dtype.kind == "f":
        limits += [np.nan, np.inf, 1e30, -1e30]
    chosen = rng.random(array.shape) < pick([0.05, 1.0], rng)
    with np.errstate(all="ignore"):
        array[chosen] = np.array(pick(limits, rng)).astype(array.dtype)
    return array


def of_archive(array, rng):
    """Change the description of the objects in an archive of skops."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(array.tobytes())) as archive,
        zipfile.ZipFile(changed, "w") as target,
    ):
        for name in archive.namelist():
            content = archive.read(name)
            if name == "schema.json":
                schema = json.loads(content)
                pick(OF_DOCUMENT, rng)(places_of(schema), rng)
                content = json.dumps(schema)
            target.writestr(name, content)
    return np.frombuffer(changed.getvalue(), np.uint8)


OF_DOCUMENT = (replace, move, shift, refer, remove, repeat)
OF_ARRAYS = (other_shape, other_type, other_values)


def pick(items, rng):
    return items[int(rng.integers(len(items)))]


def places_of(node):
    """All parents and keys of a document, as a list."""
    places, left = [], [node]
    while left:
        parent = left.pop()
        keys = parent if isinstance(parent, dict) else range(len(parent))
        for key in list(keys):
            places.append((parent, key))
            if isinstance(parent[key], dict | list):
                left.append(parent[key])
    return places


def mutate(document, arrays, rng):
    """A document and arrays with one to three changes."""
    document, arrays = copy.deepcopy(document), dict(arrays)
    for _ in range(int(rng.integers(1, 4))):
        places = places_of(document["estimator"])
        if rng.random() < 0.6 and len(places) > 2:
            pick(OF_DOCUMENT, rng)(places, rng)
        else:
            name = pick(sorted(arrays), rng)
            array = arrays[name]
            if array.tobytes()[:2] == b"PK" and rng.random() < 0.9:
                arrays[name] = of_archive(array, rng)
            elif array.ndim:
                arrays[name] = pick(OF_ARRAYS, rng)(array, rng)
    return document, arrays


def target_of(model, n_rows):
    """A target that a model can go on with; None for an encoder."""
    if hasattr(model, "classes_"):
        return (LABELS if len(model.classes_) == 2 else THREE)[:n_rows]
    return NUMBERS[:n_rows] if hasattr(model, "loss_curve_") else None


def use(model, rows):
    """Predict in all ways, learn, and predict again."""
    for _ in range(2):
        methods = [getattr(model, "predict", None) or model.transform]
        if hasattr(model, "compile_predictor"):
            predict = model.compile_predictor().predict
            methods.append(predict)
            if isinstance(rows, pd.DataFrame):
                methods.append(lambda rows: predict(rows.iloc[0].to_dict()))  # noqa: B023
        for method in methods:
            found = method(rows)
            values = found.data if hasattr(found, "indptr") else np.asarray(found)
            if values.dtype.kind == "f":
                assert np.isfinite(values).all(), "not finite"
        # Chains go on by a fit, networks and encoders by partial_fit.
        sampled = getattr(model, "solver_", None) == "bayes"
        learn = model.fit if sampled else getattr(model, "partial_fit", None)
        if learn is not None:
            if sampled:
                # A file may ask for more than is foreseen here, as a user may.
                model.set_params(max_iter=3, n_chains=2)
            learn(rows, target_of(model, rows.shape[0]))


def outcome_of(path, rows, mmap_mode=None):
    """Return the outcome of loading a file, which begins with "wrong" for a defect."""
    try:
        model = skfm.load(path, mmap_mode=mmap_mode)
    except FileFormatError:
        return "refused"
    except Exception as error:
        return f"wrong: load raised {error!r}"
    try:
        use(model, rows)
    except (MemoryError, SystemError) as error:
        return f"wrong: {error!r}"
    except Exception as error:
        wrong = OUT_OF_BOUNDS in str(error) or "not finite" in str(error)
        return f"wrong: {error!r}" if wrong else "loaded, and refused to be used"
    return "loaded, and used"


def run(n_files, seed):
    """Count the outcomes of mutated files; the last line of the output is JSON."""
    warnings.simplefilter("ignore")
    rng = np.random.default_rng(seed)
    outcomes = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.skfm"
        whole = []
        for model, rows in subjects().values():
            skfm.save(model, path)
            whole.append((*parts_of(path), rows))
            assert outcome_of(path, rows) == "loaded, and used"
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(n_files):
            document, arrays, rows = whole[number % len(whole)]
            try:
                sign(path, *mutate(document, arrays, rng))
            except (ValueError, TypeError, KeyError):
                outcomes["cannot be written"] += 1
                continue
            # A crash leaves the number behind.
            print(f"file {number} of seed {seed}", file=sys.stderr, flush=True)
            outcome = outcome_of(path, rows, pick([None, None, "r"], rng))
            outcomes[outcome] += 1
            if outcome.startswith("wrong"):
                print(f"file {number}: {outcome}", flush=True)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"outcomes": outcomes, "grown": grown * 1024}), flush=True)


@pytest.mark.skipif(sys.platform == "win32", reason="needs the resource module")
def test_a_short_run(tmp_path):
    script = Path(__file__)
    ran = subprocess.run(
        [sys.executable, str(script), "110", "0", "fast"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    last = ran.stderr.splitlines()[-3:]
    assert ran.returncode == 0, last
    found = json.loads(ran.stdout.splitlines()[-1])
    outcomes = found["outcomes"]
    assert [outcome for outcome in outcomes if outcome.startswith("wrong")] == []
    # Neither is the fuzzer too blunt, nor too tame.
    assert outcomes["refused"] > 30
    assert outcomes["loaded, and used"] > 10
    assert found["grown"] < MOST_MEMORY


def main(n_files, seed="0", how="checked"):
    """Run here, or in a process whose compiled code checks its indices."""
    if how == "fast" or os.environ.get("NUMBA_BOUNDSCHECK") == "1":
        run(int(n_files), int(seed))
        return
    with tempfile.TemporaryDirectory() as cache:
        checked = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": cache}
        command = [sys.executable, __file__, n_files, seed]
        raise SystemExit(subprocess.call(command, env={**os.environ, **checked}))


if __name__ == "__main__":
    main(*sys.argv[1:])
