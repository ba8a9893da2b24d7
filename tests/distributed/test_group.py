"""The block in which fits are collective."""

import pytest
from stream_cases import clicks
from worker_cases import run_workers

import skfm
from skfm.distributed import agreement, groups
from skfm.exceptions import WorkerLostError


def test_a_group_needs_a_launcher(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(RuntimeError, match="RANK and WORLD_SIZE are not set"):
        skfm.distributed.group().__enter__()
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="RANK=2 is no process of WORLD_SIZE=2"):
        skfm.distributed.group().__enter__()
    assert (skfm.distributed.rank(), skfm.distributed.world_size()) == (0, 1)


def test_groups_are_not_nested(monkeypatch):
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with skfm.distributed.group():
        assert groups.communicator() is not None
        with pytest.raises(RuntimeError, match="a group is entered already"):
            skfm.distributed.group().__enter__()
    assert groups.communicator() is None


@pytest.mark.parametrize("error", [ValueError("bad"), OSError("full"), KeyError("x")])
def test_an_error_of_one_is_raised_by_all(error):
    def fail(rank):
        with agreement.agreeing(groups.communicator()):
            if rank == 1:
                raise error

    found = run_workers(3, fail)
    assert found[1] is error
    kind = Exception if isinstance(error, KeyError) else type(error)
    for other in (found[0], found[2]):
        assert type(other) is kind
        assert str(other) == f"Worker 1 has failed: {error}"


def test_the_end_of_one_is_seen_by_all():
    def leave(rank):
        if rank == 1:
            raise KeyError("gone")
        with agreement.agreeing(groups.communicator()):
            pass

    found = run_workers(3, leave)
    assert [type(error) for error in found] == [
        WorkerLostError,
        KeyError,
        WorkerLostError,
    ]


def test_fits_that_cannot_be_collective():
    frame = clicks()
    X, y = frame[["user", "item"]], frame["click"]

    def fit(rank):
        model = skfm.FMClassifier(random_state=0)
        return model.fit(X, y)

    (error,) = run_workers(1, fit)
    assert isinstance(error, ValueError)
    assert "X must be a dataset inside of skfm.distributed.group()" in str(error)
