"""Run several chains side by side until their scores agree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..runtime.threads import parallel_for
from .chain import Chain, Sample
from .data import Data
from .diagnostics import bulk_ess, split_rhat
from .keeping import Keeper
from .posterior import Posterior, posterior_of, predictions
from .problem import Problem, Settings
from .rows import MergedRows

#: Merged rows, a random sample of all, whose scores are judged.
N_WATCHED = 256
#: Iterations between two judgements, at least.
_PATIENCE = 25
#: Share of the watched scores whose R-hat has to pass.
_SHARE = 0.9


@dataclass(frozen=True)
class Diagnostics:
    """Report of a run.

    Attributes
    ----------
    n_iter : int
        Iterations of each chain.
    converged : bool
        Whether the R-hat passed the tolerance.
    rhat : float
        Quantile .9 of the split R-hats of the watched scores.
    rhat_path : ndarray of shape (n_judgements, 2)
        Iteration and R-hat of each judgement.
    gap : float
        Root mean square, over the watched rows, of the standard error of the mean
        prediction (a probability, or a target in standard deviations), estimated from
        the spread of the means of the chains' halves.
    ess : float
        Median bulk effective sample size of the watched scores over the second half of
        all chains.
    noise : ndarray of shape (n_outputs,)
        Mean standard deviation of the noise over the samples; 1 without noise.
    scales : ndarray of shape (n_fields, n_outputs, k + 1)
        Mean standard deviation of each field's factors and, last, weights.
    """

    n_iter: int
    converged: bool
    rhat: float
    rhat_path: np.ndarray
    gap: float
    ess: float
    noise: np.ndarray
    scales: np.ndarray


class State:
    """Chains of a run, with the samples and the diagnostics so far.

    `sample` makes it and advances it. A monitor sees it after every iteration.

    Attributes
    ----------
    iteration : int
        Iterations that every chain has done.
    converged : bool
    rhat_path : list of (int, float)
    interrupted : bool
        Whether a KeyboardInterrupt ended the run.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self.settings = settings
        self.data = Data.of(
            problem, settings.prior, settings.n_factors, settings.n_threads
        )
        self._print = _fingerprint(self.data)
        n = settings.n_chains
        per_chain = max(1, settings.n_threads // n)
        self.chains = [Chain(self.data, settings.seed, c, per_chain) for c in range(n)]
        capacity = max(1, settings.n_samples // n)
        self.keeper = Keeper(self.data, n, capacity, settings.burn_in)
        self._trace: list[np.ndarray] = []
        self.rhat_path: list[tuple[int, float]] = []
        self.iteration, self.converged, self.interrupted = 0, False, False

    def advance(self) -> None:
        """Run one iteration of every chain, and offer the states to the keeper."""

        def run(begin: int, end: int) -> None:
            for c in range(begin, end):
                self.chains[c].step()
                self.keeper.offer(c, self.chains[c])

        parallel_for(run, len(self.chains), self.settings.n_threads)
        n = min(N_WATCHED, self.data.rows.n_rows)
        self._trace.append(np.stack([chain.scores(n) for chain in self.chains]))
        self.iteration += 1

    def loss(self) -> float:
        """Mean training loss of the chains' present states.

        Half the squared error, or the log loss. The mean over samples has a lower one.
        """
        return float(np.mean([chain.likelihood.loss() for chain in self.chains]))

    def step(self) -> None:
        """Run one iteration, and judge the chains if that is due."""
        self.advance()
        if _is_due(self) and self.settings.tol is not None:
            self.converged = self.judge() < self.settings.tol

    def judge(self) -> float:
        """Compute the R-hat of the watched scores over the chains' second halves."""
        draws = self._second_half()
        rhat = float(np.quantile(split_rhat(draws), _SHARE))
        self.rhat_path.append((self.iteration, rhat))
        return rhat

    def _second_half(self) -> np.ndarray:
        first = self.keeper.first(self.iteration)
        first -= self.iteration - len(self._trace)
        draws = np.stack(self._trace[max(0, first) :] or self._trace[-1:])
        return draws.reshape(*draws.shape[:2], -1)

    @property
    def has_samples(self) -> bool:
        """Return whether any sample counts; otherwise, current states replace them."""
        return len(self.keeper.chosen(self.iteration)) > 0

    @property
    def posterior(self) -> Posterior:
        """The samples that count at the present length of the chains."""
        return posterior_of(*self._samples(), self.settings.seed)

    def current(self) -> Posterior:
        """The chains' present states as a posterior of one sample each."""
        return posterior_of(*self._present(), self.settings.seed)

    def _samples(self) -> tuple[Keeper, np.ndarray]:
        """The samples that count, and their slots; the present states before any."""
        chosen = self.keeper.chosen(self.iteration)
        return (self.keeper, chosen) if len(chosen) else self._present()

    def _present(self) -> tuple[Keeper, np.ndarray]:
        """The chains' present states in a keeper of their own, and its slots."""
        n = len(self.chains)
        keeper = Keeper(self.data, n, 1, 0)
        for c, chain in enumerate(self.chains):
            keeper.put(c, 0, chain)
        return keeper, np.arange(n)

    @property
    def diagnostics(self) -> Diagnostics:
        """Report of the run so far."""
        (keeper, chosen), draws = self._samples(), self._second_half()
        path = np.array(self.rhat_path).reshape(-1, 2)
        return Diagnostics(
            n_iter=self.iteration,
            converged=self.converged,
            rhat=float(np.quantile(split_rhat(draws), _SHARE)),
            rhat_path=path,
            gap=self._gap(draws),
            ess=float(np.median(bulk_ess(draws))),
            noise=keeper.noise[chosen].mean(axis=0, dtype=np.float64),
            scales=keeper.deviations[:, chosen].mean(axis=1, dtype=np.float64),
        )

    def _gap(self, draws: np.ndarray) -> float:
        """Root mean square of the standard error of mean predictions."""
        family, n_outputs = self.data.problem.family, self.data.problem.n_outputs
        if len(draws) < 2:
            return float("nan")
        scores = draws.reshape(*draws.shape[:2], -1, n_outputs).astype(np.float64)
        found = predictions(family, scores)
        half = len(found) // 2
        means = [part.mean(axis=0) for part in (found[:half], found[-half:])]
        halves = np.concatenate(means)
        variance = halves.var(axis=0, ddof=1) / len(halves)
        return float(np.sqrt(np.mean(variance)))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state without the data as plain arrays, for `resume`."""
        keeper = self.keeper
        arrays = {
            "fingerprint": np.array(self._print),
            "iteration": np.array(self.iteration),
            "converged": np.array(self.converged),
            "rhat_path": np.array(self.rhat_path).reshape(-1, 2),
            "trace": np.stack(self._trace) if self._trace else np.zeros((0,)),
            **{f"keeper/{name}": getattr(keeper, name) for name in _KEPT},
        }
        for c, chain in enumerate(self.chains):
            parts = chain.to_arrays()
            arrays.update({f"chain{c}/{name}": part for name, part in parts.items()})
        return arrays

    def start_at(self, samples: list[Sample]) -> None:
        """Start each chain from the parameters of a sample, of which none is kept."""
        for chain, one in zip(self.chains, samples, strict=True):
            chain.start_at(one)

    def resume(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a state of `to_arrays`; with other data, from its parameters.

        Raises
        ------
        ValueError
            If the number of chains, or their shape, differs.
        """
        n = n_chains(arrays)
        if n != len(self.chains):
            raise ValueError(
                f"the state has {n} chains, the settings {len(self.chains)}: pass "
                f"n_chains={n} or sample from the start"
            )
        for c, chain in enumerate(self.chains):
            start = f"chain{c}/"
            chain.restore(
                {k[len(start) :]: v for k, v in arrays.items() if k.startswith(start)}
            )
        if str(arrays["fingerprint"]) != self._print:
            for chain in self.chains:
                chain.iteration = 0
            return
        self.iteration = int(arrays["iteration"])
        self._trace = list(arrays["trace"])
        self.rhat_path = [(int(i), float(r)) for i, r in arrays["rhat_path"]]
        if arrays["keeper/table"].shape == self.keeper.table.shape:
            for name in _KEPT:
                getattr(self.keeper, name)[...] = arrays[f"keeper/{name}"]


def n_chains(arrays: dict[str, np.ndarray]) -> int:
    """Return the number of chains in a state of `State.to_arrays`."""
    return sum(name.endswith("/hyper") for name in arrays)


_KEPT = ("table", "intercept", "means", "deviations", "noise", "iterations", "grid")

Monitor = Callable[[State], Any]


def sample(
    problem: Problem,
    settings: Settings,
    state: dict[str, np.ndarray] | None = None,
    monitor: Monitor | None = None,
) -> State:
    """Sample the posterior of a factorization machine.

    Parameters
    ----------
    problem : Problem
    settings : Settings
    state : dict of arrays or None
        State of an earlier run, from `State.to_arrays`. Its chains go on for up to
        ``max_iter`` further iterations. With the same data they keep their samples.
    monitor : callable or None
        Function that is called with the state after every iteration, and ends the run
        by a true value. A KeyboardInterrupt ends it too, and is not raised again.

    Returns
    -------
    state : State

    Raises
    ------
    DivergenceError
        If a column's parameters are no longer finite. The message names the column.
    """
    run = State(problem, settings)
    if state is not None:
        run.resume(state)
    last = run.iteration + settings.max_iter
    try:
        while run.iteration < last and not run.converged:
            run.step()
            if monitor is not None and monitor(run):
                break
    except KeyboardInterrupt:
        run.interrupted = True
    return run


def _is_due(run: State) -> bool:
    """Return whether to judge now: at twice the burn-in, then a quarter more each."""
    at = run.iteration
    if at < max(2 * run.settings.burn_in, 20):
        return False
    before = run.rhat_path[-1][0] if run.rhat_path else 0
    return at >= max(before + _PATIENCE, 5 * before // 4)


def _fingerprint(data: Data) -> str:
    """Hash of the parts of the data that the chains depend on."""
    rows: MergedRows = data.rows
    digest = hashlib.blake2b(digest_size=16)
    for part in (rows.key, rows.weight, rows.target, rows.within, data.scales):
        digest.update(np.ascontiguousarray(part).data)
    digest.update(data.problem.field_of_columns().data)
    return digest.hexdigest()
