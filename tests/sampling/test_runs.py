"""Runs of several chains: same bits, bad data, interrupts, continuing."""

import numpy as np
import pytest
import scipy.sparse as sp
from sampling_cases import cells, mixed, problem_of, quick

from skfm.sampling import Problem, Settings, sample
from skfm.sampling.sampler import State

FAMILIES = ["gaussian", "logistic", "multinomial"]


def posterior_arrays(problem, **changes):
    return vars(sample(problem, quick(**changes)).posterior)


def assert_same_bits(one, other):
    assert one.keys() == other.keys()
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_threads_change_no_bit(family):
    X, fields = mixed(3000, seed=1)
    problem = problem_of(X, fields, family, 3 if family == "multinomial" else 2)
    runs = [posterior_arrays(problem, max_iter=12, n_threads=t) for t in (1, 2, 5)]
    assert_same_bits(runs[0], runs[1])
    assert_same_bits(runs[0], runs[2])


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_and_order_of_rows_change_no_bit(family):
    X, fields = mixed(80, seed=2)
    n_outputs = 3 if family == "multinomial" else 1
    weight = np.random.default_rng(0).integers(0, 3, 80).astype(float)
    weighted = problem_of(X, fields, family, n_outputs, weight=weight)
    order = np.random.default_rng(1).permutation(
        np.repeat(np.arange(80), weight.astype(int))
    )
    repeated = Problem(
        sp.csr_array(X[order]),
        fields,
        3,
        weighted.target[order],
        None,
        family,
        weighted.n_classes,
    )
    assert_same_bits(posterior_arrays(weighted), posterior_arrays(repeated))


def test_data_are_only_read():
    X, fields = mixed(50)
    problem = problem_of(X, fields)
    for array in (X.data, X.indices, X.indptr, problem.target):
        array.flags.writeable = False
    run = sample(problem, quick(max_iter=10))
    assert run.iteration == 10


@pytest.mark.parametrize("wide", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_of_the_matrix_change_no_bit(wide, dtype):
    X, fields = mixed(50)
    problem = problem_of(X, fields)
    other = sp.csr_array(
        (X.data.astype(dtype), X.indices.astype(wide), X.indptr.astype(wide)),
        shape=X.shape,
    )
    assert_same_bits(
        posterior_arrays(problem, max_iter=10),
        posterior_arrays(
            Problem(other, fields, 3, problem.target, None, "gaussian"), max_iter=10
        ),
    )


def mean_scores(problem, X, seed):
    settings = Settings(2, 4, 600, 100, 200, None, seed)
    return sample(problem, settings).posterior.scores(X).mean(axis=(1, 2))


def test_units_of_columns_and_their_order_change_nothing_but_noise():
    X, fields = mixed(60, seed=5)
    problem = problem_of(X, fields)
    base = [mean_scores(problem, X, seed) for seed in (0, 1)]
    noise = np.abs(base[0] - base[1]).max()
    units = np.r_[np.ones(4), 7.0, 0.01, 1, 1, 1, 1e6]
    scaled = sp.csr_array(X * units)
    other = Problem(scaled, fields, 3, problem.target, None, "gaussian")
    assert np.abs(mean_scores(other, scaled, 0) - base[0]).max() < 2.5 * noise
    swap = np.array([2, 0, 3, 1, 8, 7, 4, 5, 6, 9])  # within fields
    swapped = sp.csr_array(X[:, swap])
    swapped.sort_indices()
    other = Problem(swapped, fields, 3, problem.target, None, "gaussian")
    assert np.abs(mean_scores(other, swapped, 0) - base[0]).max() < 2.5 * noise
    assert noise < 0.1 < np.ptp(base[0])


def test_units_that_are_powers_of_two_are_exact():
    X, fields = cells(60, [3, 4])
    y = problem_of(X, fields).target
    columns = []
    for unit in (1.0, 2.0**20):
        problem = Problem(sp.csr_array(X * unit), fields, 2, y, None, "gaussian")
        columns.append(State(problem, quick()).data.layout.columns)
    np.testing.assert_array_equal(columns[1].scales, 2.0**20 * columns[0].scales)
    assert len(columns[1].values) == 0


def rough(kind):
    """Problems that are hard on the arithmetic."""
    rng = np.random.default_rng(0)
    X, fields = cells(200, [5, 4], seed=1)
    y = rng.integers(2, size=200)
    if kind == "separable":
        y = (X[:, [0]].toarray()[:, 0] > 0).astype(int)
    elif kind == "one row":
        X, y = X[:1], y[:1]
    elif kind == "one class":
        y = np.ones(200, int)
    elif kind == "large numbers":
        X = sp.csr_array(sp.hstack([X, 1e8 * rng.normal(size=(200, 2)) + 1e9]))
        fields = np.r_[fields, 2, 3]
    elif kind == "outlier":
        number = rng.normal(size=(200, 1))
        number[3] = 1e9
        X, fields = sp.csr_array(sp.hstack([X, number])), np.r_[fields, 2]
    elif kind == "tiny weights":
        return Problem(X, fields, 2, y, np.full(200, 1e-6), "logistic")
    elif kind == "large weights":
        return Problem(X, fields, 2, y, np.full(200, 1e6), "logistic")
    elif kind == "empty rows":
        X = sp.csr_array(X.shape)
    return Problem(sp.csr_array(X), fields, int(fields.max()) + 1, y, None, "logistic")


@pytest.mark.parametrize(
    "kind",
    [
        "separable",
        "one row",
        "one class",
        "large numbers",
        "outlier",
        "tiny weights",
        "large weights",
        "empty rows",
    ],
)
def test_rough_classes_are_finite_and_sane(kind):
    problem = rough(kind)
    run = sample(problem, quick())
    mean, deviation = run.posterior.mean(problem.csr)
    assert np.all(np.isfinite(mean))
    assert np.all(np.isfinite(deviation))
    assert np.all((mean >= 0) & (mean <= 1))
    y = problem.target
    if kind in ("separable", "large weights"):
        assert mean[y == 1].mean() > mean[y == 0].mean()
    if kind == "one class":
        assert mean.min() > 0.8
    if kind in ("large numbers", "outlier", "empty rows"):
        assert abs(mean.mean() - y.mean()) < 0.1


@pytest.mark.parametrize("kind", ["constant", "outlier", "one row"])
def test_rough_numbers_are_finite_and_sane(kind):
    X, fields = cells(100, [5, 4], seed=1)
    y = np.zeros((100, 1))
    if kind == "outlier":
        y = np.random.default_rng(0).normal(size=(100, 1))
        y[5] = 1e9
        y = (y - y.mean()) / y.std()
    elif kind == "one row":
        X, y = X[:1], y[:1]
    run = sample(Problem(X, fields, 2, y, None, "gaussian"), quick())
    mean, _ = run.posterior.mean(X)
    assert np.all(np.isfinite(mean))
    # The priors say little about a single row.
    most = {"constant": 0.5, "outlier": np.abs(y).max(), "one row": 10.0}
    assert np.abs(mean).max() < most[kind]


def test_wide_data_are_drawn_whole():
    # One column in all rows beside many of one row each, all of one field.
    n = 20_000
    X = sp.csr_array(sp.hstack([np.ones((n, 1)), sp.eye_array(n)], format="csr"))
    X = sp.csr_array(X, dtype=np.float32)
    y = np.random.default_rng(0).normal(size=(n, 1))
    run = sample(Problem(X, None, 1, y, None, "gaussian"), quick(max_iter=6, burn_in=2))
    assert np.all(np.isfinite(run.posterior.factors))
    dense = sp.csr_array(np.ones((1, n), np.float32))  # a row with an entry in each
    run = sample(Problem(dense, None, 1, y[:1], None, "gaussian"), quick(max_iter=4))
    assert np.all(np.isfinite(run.posterior.factors))


def test_scores_that_overflow_name_their_column():
    X, fields = cells(30, [3, 2])
    y = np.full((30, 1), 0.5)
    run = State(problem_of(X, fields), quick())
    chain = run.chains[0]
    chain.step()
    chain.machines[0].table[3, 0] = np.inf
    chain.resume()
    with pytest.raises(FloatingPointError, match=r"column \d+ .*scale it"):
        chain.step()
    assert len(y)


@pytest.mark.parametrize("at", [1, 20])
def test_an_interrupt_keeps_what_was_drawn(at):
    X, fields = mixed(60)

    def monitor(state):
        if state.iteration == at:
            raise KeyboardInterrupt

    problem = problem_of(X, fields)
    run = sample(problem, quick(), monitor=monitor)
    assert run.interrupted
    assert run.iteration == at
    mean, _ = run.posterior.mean(X)
    assert np.all(np.isfinite(mean))
    again = sample(problem, quick(max_iter=5), run.to_arrays())
    assert again.iteration == at + 5
    assert not again.interrupted


def test_an_interrupt_within_an_iteration_keeps_what_was_drawn(monkeypatch):
    X, fields = mixed(60)
    run = State(problem_of(X, fields), quick())
    for _ in range(12):
        run.advance()
    machine = run.chains[1].machines[0]

    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "draw_hyper", interrupt)
    before = run.posterior
    with pytest.raises(KeyboardInterrupt):
        run.advance()
    assert run.iteration == 12
    assert set(run.posterior.chain) == set(before.chain)
    np.testing.assert_array_equal(run.keeper.chosen(12).size > 0, True)


def test_a_monitor_sees_every_iteration_and_may_end_the_run():
    X, fields = cells(40, [3, 2])
    seen = []

    def monitor(state):
        mean, _ = state.current().mean(X)
        seen.append((state.iteration, mean[0, 0]))
        return state.iteration == 7

    run = sample(problem_of(X, fields), quick(), monitor=monitor)
    assert [at for at, _ in seen] == list(range(1, 8))
    assert len({value for _, value in seen}) == 7
    assert run.iteration == 7


@pytest.mark.parametrize("family", FAMILIES)
def test_continuing_gives_the_bits_of_one_longer_run(family):
    X, fields = mixed(60, seed=3)
    problem = problem_of(X, fields, family, 3)
    whole = sample(problem, quick(max_iter=64))
    part = sample(problem, quick(max_iter=32))
    rest = sample(problem, quick(max_iter=32), part.to_arrays())
    assert_same_bits(vars(whole.posterior), vars(rest.posterior))
    assert_same_bits(whole.to_arrays(), rest.to_arrays())


def test_other_data_go_on_from_the_parameters_with_samples_of_their_own():
    X, fields = mixed(60, seed=3)
    part = sample(problem_of(X, fields), quick(max_iter=32))
    other = problem_of(X, fields, seed=5)
    run = sample(other, quick(max_iter=30), part.to_arrays())
    assert run.iteration == 30
    assert run.keeper.iterations.max() <= 30
    with pytest.raises(ValueError, match="n_chains=2"):
        sample(other, quick(n_chains=3), part.to_arrays())
    with pytest.raises(ValueError, match="start new chains"):
        sample(other, quick(n_factors=5), part.to_arrays())


def test_samples_are_spread_over_the_second_half():
    X, fields = cells(40, [3, 2])
    seen = {}

    def monitor(state):
        if state.iteration in (9, 30, 64, 100):
            chosen = state.keeper.chosen(state.iteration)
            seen[state.iteration] = state.keeper.iterations.ravel()[chosen]

    settings = Settings(2, 2, 100, 8, 16, None)
    run = sample(problem_of(X, fields), settings, monitor=monitor)
    for at, kept in seen.items():
        chains = np.split(kept, 2)
        np.testing.assert_array_equal(*chains)
        assert chains[0].min() > max(8, at // 2)
        steps = np.diff(chains[0])
        assert len(set(steps)) <= 1
        assert at < 30 or 4 <= len(chains[0]) <= 8
    assert run.posterior.n_samples == len(seen[100])


def test_a_run_ends_when_its_scores_agree():
    X, fields = cells(200, [4, 3])
    problem = problem_of(X, fields)
    run = sample(problem, Settings(2, 2, 500, 20, 16, 1.2))
    assert run.converged
    assert run.iteration < 500
    assert run.diagnostics.rhat < 1.2
    assert run.rhat_path[-1] == (run.iteration, run.diagnostics.rhat)
    strict = sample(problem, Settings(2, 2, 60, 20, 16, 1.0000001))
    assert not strict.converged
    assert strict.iteration == 60


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_is_that_of_the_rows(family):
    X, fields = cells(60, [3, 2])
    weight = np.random.default_rng(0).uniform(0, 2, 60)
    problem = problem_of(X, fields, family, 3, weight=weight)
    run = State(problem, quick(n_chains=1))
    for _ in range(3):
        run.advance()
    scores = run.current().scores(X)[:, 0].astype(float)
    y = problem.target
    if family == "gaussian":
        losses = ((scores - y) ** 2).mean(axis=1) / 2
    elif family == "logistic":
        losses = np.logaddexp(0, scores[:, 0]) - y * scores[:, 0]
    else:
        losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(60), y]
    np.testing.assert_allclose(
        run.loss(), np.average(losses, weights=weight), rtol=1e-4
    )
