"""The benchmarks run, on data too small to measure anything."""

import importlib
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common_cases import one_hot

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
pytestmark = pytest.mark.skipif(
    not BENCHMARKS.is_dir(), reason="the benchmarks are not here"
)
X, CELLS = one_hot(200, (4, 5, 3))
Y = CELLS[:, 0] % 2


@pytest.fixture
def load(monkeypatch):
    """Import a module of the benchmarks."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


def test_the_profile_of_a_step(load, capsys):
    load("steps").profile(X, Y, batch=64)
    out = capsys.readouterr().out
    for part in ("gather rows", "look up", "reduce and update", "whole step"):
        assert out.count(part) >= 3


def test_rates_of_many_workers(load, capsys):
    scaling = load("scaling")
    scaling.report()
    assert capsys.readouterr().out.count("1000 workers") == len(scaling.MODELS)
    for model in scaling.MODELS:
        alone, two = model.step(1, 10), model.step(2, 10)
        assert alone == (scaling.ROWS * model.seconds_per_row, 0, 0)
        columns, dense = 140 * model.columns, 8 * model.dense
        assert two[1] == pytest.approx((columns + dense) / 2 / (10e9 / 8))


def test_rates_on_a_device(load, capsys):
    gpu = load("gpu")
    gpu.measure(gpu.models()[0], "cpu", X, Y)
    name, difference = capsys.readouterr().out.split("resident")
    assert name.strip() == "FMClassifier"
    assert float(difference.split("within")[1]) < 1e-6


def test_notes_at_the_end_of_the_page_are_kept(load, tmp_path):
    report, page = load("report"), tmp_path / "RESULTS.md"
    tables = {"Small": [report.Row("a fit", 0.5, "s", "target", 0.25, 1.0, low=True)]}
    report.write(page, ["a machine"], tables)
    first = page.read_text(encoding="utf-8")
    assert "| a fit | 0.5 s | target | 0.25 s | 2.00 | ≤ 1: not met |" in first
    page.write_text(f"{first}\n{report.NOTES}\n\nwhy\n", encoding="utf-8")
    report.write(page, ["another machine"], tables)
    second = page.read_text(encoding="utf-8")
    assert "- another machine" in second
    assert second.endswith(f"{report.NOTES}\n\nwhy\n")


@pytest.mark.parametrize("skew", [1, 3])
def test_a_lock_free_epoch(load, skew):
    workloads, lock_free = load("workloads"), load("lock_free")
    data, y = workloads.one_hot(300, 3900, skew=skew), workloads.labels(300)
    model = lock_free.LockFreeFM(data.shape[1], 4, n_threads=1)
    assert model.epoch(data, y) > 0


def test_rows_beside_loops(load, capsys):
    prediction, workloads = load("prediction"), load("workloads")
    X, y = workloads.few_categories(60, 5)
    model = prediction.fitted(X, y)
    found = prediction.ForwardLoop(model).predict(X)
    np.testing.assert_allclose(found, model.predict_proba(X)[:, 1], rtol=1e-5)
    (many,) = prediction.many_rows(X, y)
    assert many.ratio > 0
    assert all(row.value > 0 for row in prediction.one_row(60, 5, calls=1))
    prediction.profile(60, calls=2)
    assert capsys.readouterr().out.count("predict_proba of one row") == 3


@pytest.mark.slow
def test_small_fits(load):
    rows = load("small").few_rows(60, 5)
    assert [row.beside for row in rows] == ["target", "LogisticRegression"] * 3


def test_the_processor_is_named(load):
    name = load("roofline").processor()
    assert name
    assert name.endswith(")")


@pytest.fixture
def defaults(load, monkeypatch):
    # The module sets this when it is imported.
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    return load("defaults")


def test_the_defaults_are_measured_once_and_reported(
    defaults, load, monkeypatch, tmp_path
):
    results, page = tmp_path / "lines.jsonl", tmp_path / "page.md"
    models = ["FM", "FM(n_factors=2)", "const*", "linear model"]
    command = ["defaults.py", "--results", str(results), "--sets", "planted-300"]
    command += ["planted-1000", "planted-600", "--seeds", "0", "--models", *models]
    monkeypatch.setattr("sys.argv", command)
    defaults.run(defaults.options().parse_args())
    lines = results.read_text(encoding="utf-8")
    assert lines.count("\n") == 3 * len(models)
    assert "error" not in lines
    defaults.run(defaults.options().parse_args())
    assert results.read_text(encoding="utf-8") == lines

    report = load("defaults_report")
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    command = ["", "--results", str(results), "--report", str(page)]
    monkeypatch.setattr("sys.argv", [*command, "--images", str(tmp_path)])
    report.main()
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| planted-1000 |" in text
    assert {path.name for path in tmp_path.glob("*.png")} == {
        "defaults_ranks.png",
        "learning_curves.png",
    }


def test_a_failed_fit_is_reported_and_tried_again(
    defaults, load, monkeypatch, tmp_path
):
    results = tmp_path / "lines.jsonl"
    command = ["defaults.py", "--results", str(results), "--sets", "planted-300"]
    command += ["--seeds", "0", "--models", "FM(n_factors=-1)"]
    monkeypatch.setattr("sys.argv", command)
    for turn in (1, 2):
        defaults.run(defaults.options().parse_args())
        assert len(results.read_text().splitlines()) == turn
    report = load("defaults_report")
    told = report.failures(report.read(results))
    assert "FM(n_factors=-1) on planted-300, seed 0: " in told
    assert "n_factors" in told.split("seed 0")[1]


def test_sets_of_the_same_data_share_their_test_rows(load):
    sets = load("defaults_sets")
    small, large = sets.SETS["flights-2000"], sets.SETS["flights-267000"]
    train, test = small.split(327_346, 1)
    more, same = large.split(327_346, 1)
    assert (len(train), len(more)) == (2000, 267_000)
    assert (train == more[:2000]).all()
    assert (test == same).all()
    assert not np.intersect1d(more, test).size
    assert not (small.split(327_346, 2)[1] == test).all()
    with pytest.raises(ValueError, match="DATA-ROWS"):
        sets.parse_set("flight-100")


def test_a_table_becomes_a_task(load):
    data, tables = load("defaults_data"), load("defaults_tables")
    frame = pd.DataFrame(
        {
            "rownames": [1, 2, 3, 4],
            "id": [7, 8, 7, 9],
            "name": ["a", None, "b", "b"],
            "price": [1.0, np.e, np.nan, 5.0],
            "sold": ["no", "yes", "no", None],
        }
    )
    table = tables.Table("shop/sales", "price", ids=("id",), drop=("sold",), log=True)
    task = data.task_of(table, frame)
    assert task.is_regression
    np.testing.assert_allclose(task.y, [0, 1, np.log(5)])
    assert list(task.table.select_dtypes("category")) == ["id", "name"]
    sold = data.task_of(tables.Table("shop/sales", "sold", drop=("price",)), frame)
    assert sold.y.tolist() == [False, True, False]
    assert list(sold.table) == ["id", "name"]


def test_no_drawn_item_was_rated_by_the_user(load):
    data = load("defaults_data")
    rated = pd.DataFrame({"user_id": [1, 1, 2, 2], "item_id": [10, 20, 20, 30]})
    users = np.repeat([1, 2], 50)
    drawn = data.drawn_items(users, rated, np.array([10, 20, 30]))
    assert (drawn == np.where(users == 1, 30, 10)).all()


@pytest.mark.parametrize(("n_models", "q"), [(2, 1.960), (5, 2.728), (10, 3.164)])
def test_the_critical_difference(load, n_models, q):
    """Values of q from table 5a of Demšar (2006)."""
    plots = load("defaults_plots")
    expected = q * np.sqrt(n_models * (n_models + 1) / (6 * 20))
    found = plots.critical_difference(n_models, n_sets=20)
    assert found == pytest.approx(expected, rel=1e-3)


def test_models_are_compared_on_what_both_have(defaults, load):
    report, sets = load("defaults_report"), ["HI", "TV16", "diamonds"]
    index = pd.MultiIndex.from_product([sets, [0, 1]], names=["set", "seed"])
    losses = pd.DataFrame(
        {
            "FM": [1.0, 2.2, 3.0, 9.0, 4.0, 4.0],
            "HistGradientBoosting": [2.0, 2.0, 2.0, np.nan, np.nan, np.nan],
            "CatBoost": [1.0, 1.0, 4.0, 4.0, 5.0, 5.0],
        },
        index=index,
    )
    rows = report.versus(losses, losses, "HistGradientBoosting").splitlines()
    assert rows[2] == "| FM | 2 | 1 | 50% | 1.150 | 1.500 (TV16) | 1.15 |"
    assert report.means(losses).loc["TV16"].tolist() == [3.0, 2.0, 4.0]
    assert report.means(losses).loc["diamonds"].isna().tolist() == [False, True, False]
    rows = report.worst_gap(losses).splitlines()
    assert rows[2] == "| FM | 2 | 0 | +60.0% (HI) | TV16, HI |"


def test_random_settings_are_measured_beside_the_defaults(
    defaults, load, monkeypatch, tmp_path, capsys
):
    search, results = load("defaults_search"), tmp_path / "lines.jsonl"
    command = ["", "--results", str(results), "--models", "FM", "--settings", "2"]
    monkeypatch.setattr("sys.argv", [*command, "--sets", "planted-200"])
    search.main()
    losses = load("defaults_report").read(results).set_index("model")["loss"]
    assert len(losses) == 3
    ours, best = losses["FM"], losses.drop("FM").min()
    row = capsys.readouterr().out.splitlines()[-1]
    assert f"| planted-200 | {ours:.4f} | {best:.4f} | {ours / best:.4f} |" in row


def test_settings_have_only_parameters_of_the_model(defaults, load):
    for model in ("FM", "AFM", "NFM"):
        first, *others = load("defaults_search").settings(model, 5)
        name, params = defaults.parse_model(first)
        assert name == model
        assert params.keys() <= defaults.make(model, False, 0).get_params().keys()
        assert len({first, *others}) == 5


def test_the_cost_of_sampling(load, monkeypatch, capsys):
    sampling = load("sampling")
    given = ["--rows", "300", "--columns", "3900", "--turns", "1", "--iterations", "1"]
    monkeypatch.setattr("sys.argv", ["sampling.py", *given])
    sampling.main()
    out = capsys.readouterr().out
    assert out.count("ms an iteration") == 6
    assert out.count("bytes a row") == 4


def test_the_readme_agrees_with_the_tables_of_the_defaults():
    root = BENCHMARKS.parent
    readme = " ".join((root / "README.md").read_text("utf-8").split())
    told = re.search(
        r"On (\d+) tables.*HistGradientBoosting on (\d+) and than CatBoost on (\d+),"
        r" in ([\d.]+) of CatBoost's",
        readme,
    )
    tables = (BENCHMARKS / "DEFAULTS.md").read_text("utf-8")
    row = re.compile(r"^\| FM \| (\d+) \| (\d+) \|.* ([\d.]+) \|$", re.MULTILINE)
    hist, cat = row.findall(tables)[:2]
    assert told is not None
    assert told.groups() == (hist[0], hist[1], cat[1], cat[2])


def test_a_stream(load, capsys):
    load("streams").measure(300, 1, batch_size=100)
    out = capsys.readouterr().out
    for step in ("pass 1", "pass 2", "epoch"):
        assert step in out
