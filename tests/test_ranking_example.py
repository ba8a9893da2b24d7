"""The example of rankers, on synthetic data: its statements about them hold."""

import runpy
from pathlib import Path

import pytest
import sklearn

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "plot_ranking.py"


@pytest.mark.slow
def test_the_default_ranker_beats_the_regressor(monkeypatch, capsys):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("agg")
    monkeypatch.delenv("MOVIELENS_100K", raising=False)
    names = runpy.run_path(str(EXAMPLE))
    plt.close("all")
    results = names["results"]
    assert results["pairwise"] > results["regressor"]
    search = names["search"]
    assert search.cv_results_["mean_test_score"].min() > 0.5
    assert not sklearn.get_config()["enable_metadata_routing"]
    assert "NDCG@10" in capsys.readouterr().out
