"""Groups of processes that Ray and Spark start."""

import os
import sys
from pathlib import Path

import pytest
from stream_cases import FEATURES, clicks, write

pytestmark = [pytest.mark.external, pytest.mark.filterwarnings("default")]
CASES = str(Path(__file__).parents[1] / "cases")


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Arguments of the task, for processes that find this package."""
    path = os.pathsep.join([CASES, *sys.path])
    for name, value in {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)
    write(clicks()[[*FEATURES, "click"]], tmp_path / "data", (100, 350))
    (tmp_path / "results").mkdir()
    names = ("data", "checkpoint", "results")
    return {name: str(tmp_path / name) for name in names}


def check(given, monkeypatch):
    """Compare what two workers have written with the digest of one."""
    from launcher_cases import train

    results = Path(given["results"])
    found = [path.read_text() for path in results.iterdir()]
    for name, value in {"RANK": "0", "WORLD_SIZE": "1"}.items():
        monkeypatch.setenv(name, value)
    train(given)
    assert found == [(results / "0").read_text()] * 2


def test_ray(given, monkeypatch):
    ray = pytest.importorskip("ray")
    torch = pytest.importorskip("ray.train.torch")
    from launcher_cases import train

    ray.init(num_cpus=2, include_dashboard=False)
    try:
        trainer = torch.TorchTrainer(
            train,
            train_loop_config=given,
            torch_config=torch.TorchConfig(backend="gloo"),
            scaling_config=ray.train.ScalingConfig(num_workers=2),
            run_config=ray.train.RunConfig(storage_path=given["results"] + "-ray"),
        )
        trainer.fit()
    finally:
        ray.shutdown()
    check(given, monkeypatch)


def test_spark(given, monkeypatch):
    pytest.importorskip("pyspark")
    from launcher_cases import train
    from pyspark.ml.torch.distributor import TorchDistributor
    from pyspark.sql import SparkSession

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    session = SparkSession.builder.master("local[2]").getOrCreate()
    try:
        distributor = TorchDistributor(num_processes=2, local_mode=True, use_gpu=False)
        distributor.run(train, given)
    finally:
        session.stop()
    check(given, monkeypatch)
