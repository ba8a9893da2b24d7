"""Checkpoints: an interrupted run that is resumed gives the bits of a whole one."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from common_cases import ARCHITECTURES, ESTIMATORS
from estimator_cases import LABELS, Recorder, X, make, raise_after, scores, target
from file_cases import parts_of, sign
from numpy.testing import assert_array_equal
from sklearn.base import clone

import skfm
from skfm.persistence import FileFormatError
from skfm.training import checkpoints
from skfm.training.learner import Learner

BATCHES = 4
TRAITS = {
    "plain": {},
    "adam": {"optimizer": "adam"},
    "float32": {"dtype": "float32"},
    "early stopping": {"early_stopping": True, "learning_rate": 3.0, "random_state": 1},
    "adaptive": {
        "learning_rate_schedule": "adaptive",
        "n_iter_no_change": 1,
        "tol": 1.0,
    },
    "cosine": {"learning_rate_schedule": "cosine", "warmup_epochs": 1.5},
    "warm start": {"warm_start": True},
    "two threads": {"n_jobs": 2},
}


def fit(model, **keywords):
    if type(model).__name__.endswith("Ranker"):
        return model.fit(X, LABELS, qid=np.arange(len(LABELS)) // 6)
    return model.fit(X, target(type(model)), **keywords)


def assert_equal(model, whole):
    assert_array_equal(scores(model), scores(whole))
    for name in ("loss_curve_", "validation_scores_", "n_iter_", "best_iter_"):
        assert getattr(model, name) == getattr(whole, name), name
    assert len(model._optimizers) == len(whole._optimizers)
    for state, expected in zip(model._optimizers, whole._optimizers, strict=True):
        assert_array_equal(state.mean, expected.mean)


@pytest.fixture
def cut(monkeypatch):
    """``cut(step)``: the given training step is not lived through."""
    original, count = Learner.step, [0]

    def cut(step):
        count[0] = 0

        def failing(self, *args, **kwargs):
            count[0] += 1
            if count[0] == step:
                raise KeyboardInterrupt
            return original(self, *args, **kwargs)

        monkeypatch.setattr(Learner, "step", failing)

    return cut


SOME = (skfm.FMClassifier, skfm.DeepFMRegressor)


@pytest.mark.parametrize(
    ("cls", "trait"),
    [(cls, "plain") for cls in ESTIMATORS]
    + [(cls, trait) for cls in SOME for trait in TRAITS if trait != "plain"],
)
def test_a_resumed_run_gives_the_same_bits(cls, trait, cut, tmp_path):
    parameters = {"max_iter": 6, **TRAITS[trait]}
    if hasattr(cls, "dropout"):
        parameters |= {"dropout": 0.3, "batch_norm": True}
    whole = fit(make(cls, **parameters))
    parameters |= {"checkpoint": tmp_path / "new" / "directory"}
    for step in (2, BATCHES + 1, 2 * BATCHES + 3):
        cut(step)
        with pytest.raises(KeyboardInterrupt):
            fit(make(cls, **parameters))
    cut(None)
    seen = Recorder()
    model = fit(make(cls, **parameters).set_callbacks(seen))
    assert_equal(model, whole)
    # 1 + 2 epochs were lived through before.
    assert sum(task == "epoch" for task, _ in seen.ended) == model.n_iter_ - 3
    assert list((tmp_path / "new" / "directory").iterdir()) == []


@pytest.mark.parametrize(
    "cls", [cls for cls in ARCHITECTURES if cls not in ESTIMATORS] + [skfm.FMRanker]
)
def test_every_architecture(cls, cut, tmp_path):
    parameters = {"max_iter": 3, "fields": (4, 5, 3)}
    whole = fit(make(cls, **parameters))
    cut(2 * BATCHES)
    with pytest.raises(KeyboardInterrupt):
        fit(make(cls, **parameters, checkpoint=tmp_path))
    cut(None)
    assert_equal(fit(make(cls, **parameters, checkpoint=tmp_path)), whole)
    assert list(tmp_path.iterdir()) == []


def test_a_warm_start_is_resumed(cut, tmp_path):
    def begun():
        return fit(make(skfm.NFMClassifier, warm_start=True, max_iter=2))

    whole = fit(begun().set_params(max_iter=4))
    cut(3 * BATCHES)
    going_on = {"max_iter": 4, "checkpoint": str(tmp_path)}
    with pytest.raises(KeyboardInterrupt):
        fit(begun().set_params(**going_on))
    cut(None)
    assert_equal(fit(begun().set_params(**going_on)), whole)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_cut_by_a_callback(error, tmp_path):
    model = make(skfm.DeepFMClassifier, max_iter=5, checkpoint=tmp_path)
    model.set_callbacks(Recorder(raise_after(3, error)))
    with pytest.raises(error):
        fit(model)
    assert model.n_iter_ == 3
    again = fit(make(skfm.DeepFMClassifier, max_iter=5, checkpoint=tmp_path))
    assert_equal(again, fit(make(skfm.DeepFMClassifier, max_iter=5)))


@pytest.mark.parametrize(
    "change", [{"alpha": 0.5}, {"max_iter": 7}, {"n_factors": 3}, {"random_state": 9}]
)
def test_other_parameters_start_a_new_run(change, cut, tmp_path):
    _leave_a_file(cut, tmp_path)
    parameters = {"max_iter": 6, **change}
    model = fit(make(skfm.NFMClassifier, **parameters, checkpoint=tmp_path))
    assert_equal(model, fit(make(skfm.NFMClassifier, **parameters)))
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("change", ["values", "labels", "weights", "order"])
def test_other_rows_start_a_new_run(change, cut, tmp_path):
    _leave_a_file(cut, tmp_path)
    rows, labels, weight = X, LABELS, None
    if change == "values":
        rows = X.copy()
        rows.data[5] = 2
    elif change == "labels":
        labels = np.where(np.arange(len(LABELS)) == 5, 1 - LABELS, LABELS)
    elif change == "weights":
        weight = np.linspace(1, 2, len(LABELS))
    else:
        rows, labels = X[::-1], LABELS[::-1]
    arguments = rows, labels, weight
    model = make(skfm.NFMClassifier, max_iter=6, checkpoint=tmp_path).fit(*arguments)
    assert_equal(model, make(skfm.NFMClassifier, max_iter=6).fit(*arguments))


def _leave_a_file(cut, folder):
    cut(3 * BATCHES)
    with pytest.raises(KeyboardInterrupt):
        fit(make(skfm.NFMClassifier, max_iter=6, checkpoint=folder))
    cut(None)
    assert len(list(folder.iterdir())) == 1


def test_partial_fit_keeps_nothing(tmp_path):
    folder = tmp_path / "none"
    model = make(skfm.FMClassifier, checkpoint=folder, random_state=None)
    model.partial_fit(X, LABELS, classes=[0, 1])
    assert not folder.exists()


class TestTrouble:
    @pytest.mark.parametrize("seed", [None, np.random.RandomState(0)])
    def test_runs_that_cannot_be_repeated_are_refused(self, seed, tmp_path):
        model = make(skfm.FMClassifier, checkpoint=tmp_path, random_state=seed)
        with pytest.raises(ValueError, match="checkpoint needs random_state"):
            fit(model)
        assert not hasattr(model, "network_")

    def test_a_directory_that_cannot_be(self, tmp_path):
        (tmp_path / "file").write_text("")
        model = make(skfm.FMClassifier, checkpoint=tmp_path / "file" / "below")
        with pytest.raises(OSError, match="below"):
            fit(model)
        assert not hasattr(model, "network_")

    def test_a_damaged_file(self, cut, tmp_path):
        _leave_a_file(cut, tmp_path)
        (file,) = tmp_path.iterdir()
        file.write_bytes(file.read_bytes()[:-1])
        with pytest.raises(FileFormatError, match=f"{file.name}.*truncated"):
            fit(make(skfm.NFMClassifier, max_iter=6, checkpoint=tmp_path))

    @pytest.mark.parametrize(
        "change",
        [
            {"loss_curve": "abc"},
            {"loss_curve": [None]},
            {"loss_curve": [1.0] * 7},
            {"validation_scores": [1.0]},
            {"best_epoch": 9},
            {"best_epoch": -1},
            {"n_steps": [-1, 3]},
            {"n_steps": [1]},
            {"progress": [0, 0, 0, True, 0]},
            {"progress": [0, 0]},
            {"n_kept": 10**9},
            {"rng": {"bit_generator": "MT19937"}},
            {"rng": None},
        ],
    )
    def test_a_document_that_was_changed_and_signed_again(self, change, cut, tmp_path):
        _leave_a_file(cut, tmp_path)
        (file,) = tmp_path.iterdir()
        document, arrays = parts_of(file)
        sign(file, {"runs": [document["runs"][0] | change]}, arrays)
        with pytest.raises(FileFormatError, match="cannot be loaded"):
            fit(make(skfm.NFMClassifier, max_iter=6, checkpoint=tmp_path))

    @pytest.mark.parametrize("kind", ["live", "kept", "stream"])
    def test_arrays_of_other_shapes(self, kind, tmp_path):
        """Shapes that could be broadcast are refused too."""
        model = make(
            skfm.NFMClassifier,
            max_iter=6,
            checkpoint=tmp_path,
            n_iter_no_change=9,
            dropout=0.3,
            early_stopping=True,
            learning_rate=10.0,
        )
        with pytest.raises(KeyboardInterrupt):
            fit(clone(model).set_callbacks(Recorder(raise_after(5))))
        (file,) = tmp_path.iterdir()
        document, arrays = parts_of(file)
        names = [name for name in arrays if name.startswith(f"0.{kind}")]
        assert names
        for name in names:
            for change in (
                lambda a: a.ravel()[:1],
                lambda a: a[:-1],
                lambda a: a[None],
            ):
                changed = change(arrays[name])
                if changed.shape == arrays[name].shape:
                    continue
                sign(file, document, arrays | {name: changed})
                with pytest.raises(FileFormatError, match="cannot be loaded"):
                    fit(clone(model))

    def test_a_disk_that_fills_up(self, tmp_path, monkeypatch):
        original, count = checkpoints.container.write, [0]

        def write(*arguments):
            count[0] += 1
            if count[0] == 4:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            original(*arguments)

        monkeypatch.setattr(checkpoints.container, "write", write)
        model = make(skfm.NFMClassifier, max_iter=6, checkpoint=tmp_path)
        with pytest.raises(OSError, match=r"No space left.*what was there is kept"):
            fit(model)
        assert_array_equal(scores(model), scores(fit(make(type(model), max_iter=3))))
        assert len(list(tmp_path.iterdir())) == 1
        assert_equal(fit(model), fit(make(type(model), max_iter=6)))


DRIVER = """
import os, random, signal, sys, time, warnings
import numpy as np
import skfm
from estimator_cases import LABELS, X, make

warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
folder, kills = sys.argv[1], int(sys.argv[2])
parameters = {"max_iter": 40, "n_jobs": 1, "dropout": 0.3, "early_stopping": True}
parameters |= {"n_iter_no_change": 40}

def train(**keywords):
    return make(skfm.DeepFMClassifier, **parameters, **keywords).fit(X, LABELS)

began = time.perf_counter()
expected = train().decision_function(X).tobytes()
duration = time.perf_counter() - began
random.seed(0)
attempts, killed = 0, 0
while killed < kills:
    child = os.fork()
    if child == 0:
        found = train(checkpoint=folder).decision_function(X).tobytes()
        os._exit(0 if found == expected else 1)
    time.sleep(random.uniform(0, duration / 2))
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    killed += os.WIFSIGNALED(status)
    attempts += 1
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "other bits"
    for name in os.listdir(folder):
        if name.endswith(".tmp"):
            os.unlink(os.path.join(folder, name))
assert train(checkpoint=folder).decision_function(X).tobytes() == expected, "other bits"
print(killed, attempts, os.listdir(folder), flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kills", [8, pytest.param(50, marks=pytest.mark.slow)])
def test_kills(kills, tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", DRIVER, str(tmp_path), str(kills)],
        capture_output=True,
        text=True,
        timeout=500,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "cases")},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(f"{kills} ")
    assert ran.stdout.rstrip().endswith("[]")
