"""Search for crosses: score the candidates, add the best one, and repeat."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.special import ndtri

from .evidence import Evidence, Residuals, without_effects
from .found import LevelCross, StatisticCross
from .levels import Codes, Weight, fits_in_key
from .scores import ROWS_A_LEVEL, Candidate, Scores, best_candidate

__all__ = ["CrossSearch", "Extra", "ResidualModel"]

#: Smallest z of an effect, even if there are few candidates.
_LEAST_Z = 3.0
#: Number of pairs whose triples are considered ...
_MAX_LEADING = 300
#: ... and number of triples that are scored.
_MAX_TRIPLES = 2000
#: Number of rows that are used in any case.
_MIN_ROWS = 20_000
#: Number of folds of statistics within a half.
_N_FOLDS = 10


@dataclass(frozen=True)
class Extra:
    """A field that a cross adds to those of the model.

    Attributes
    ----------
    train, test : ndarray of int
        Level of each row.
    width : int
        Number of levels.
    """

    train: Codes
    test: Codes
    width: int


#: Function that fits a model with extra fields on some rows and returns the residuals
#: of others: ``model(train, test, extras)`` with the numbers of the rows.
ResidualModel = Callable[[np.ndarray, np.ndarray, Sequence[Extra]], Residuals]


@dataclass
class CrossSearch:
    """Search for the crosses that a model lacks.

    Each round fits the model on each half of the rows, takes the residuals of the
    other half, and adds the cross that explains most of them. A pair's score also
    counts the gains of the triples above it, which a model of pairs can reach once the
    pair is a field, unless a cross chosen before explains them. At the end, another
    model can judge which of the crosses it lacks, too.

    Parameters
    ----------
    codes : ndarray of int of shape (n_rows, n_fields)
        Level of each row in each field, in ``[0, width)``.
    widths : sequence of int
        Number of levels of each field.
    y : ndarray of float of shape (n_rows, n_outputs)
        Targets, for statistics; these are only tried if there is one output.
    sources : sequence
        Source of each field, such as a column. Fields of the same source are not
        crossed.
    max_crosses : int, default=5
        Largest number of crosses.
    max_degree : {2, 3}, default=3
        Largest number of fields in a cross.
    min_count : int, default=2
        Levels with fewer rows are not distinguished.
    statistics : bool, default=True
        Whether crosses may be added by statistics of the target.
    max_error : float, default=0.01
        Probability to add a cross in a round where none has an effect, by the normal
        approximation.
    max_rows : int, default=200_000
        Largest number of rows that are used.
    max_work : int, default=400_000_000
        Largest product of the numbers of rows and of candidates.
    weight : ndarray of float of shape (n_rows,) or None, default=None
        Weight of each row above 0, as a number of equal rows; None: one.
    """

    codes: Codes
    widths: Sequence[int]
    y: np.ndarray
    sources: Sequence[Hashable]
    max_crosses: int = 5
    max_degree: int = 3
    min_count: int = 2
    statistics: bool = True
    max_error: float = 0.01
    max_rows: int = 200_000
    max_work: int = 400_000_000
    weight: Weight = None

    def run(
        self,
        model: ResidualModel,
        random_state: np.random.RandomState,
        judge: ResidualModel | None = None,
    ) -> list[tuple[Candidate, Evidence]]:
        """Return the crosses in the order in which they were found.

        Parameters
        ----------
        model : callable
            See `ResidualModel`.
        random_state : RandomState
            Draws the rows and the halves.
        judge : callable or None, default=None
            Model whose residuals must show an effect of a cross as well.
        """
        candidates = self._pairs()
        if not candidates:
            return []
        halves = self._halves(len(candidates), random_state)
        chosen: list[tuple[Candidate, Evidence]] = []
        least_z = 0.0
        while len(chosen) < self.max_crosses and candidates:
            past = [candidate for candidate, _ in chosen]
            scores = self._scores(model, halves, past)
            known = {c: scores.evidence(c) for c in candidates}
            if not chosen:
                known |= {c: scores.evidence(c) for c in self._triples(known)}
                least_z = max(_LEAST_Z, -float(ndtri(self.max_error / len(known))))
            best = best_candidate(known, past, least_z)
            if best is None:
                break
            chosen.append((best, known[best]))
            # Candidates without a sign of an effect are not scored again, and a cross
            # is not added both by its levels and by its statistics.
            candidates = [
                c for c, e in known.items() if e.z > 1 and c.fields != best.fields
            ]
        if judge is None or not chosen:
            return chosen
        scores = self._scores(judge, halves, [])
        return [(c, e) for c, e in chosen if self._acts(c, scores, least_z)]

    def _acts(self, candidate: Candidate, scores: Scores, least_z: float) -> bool:
        """Return whether a cross or, of a pair, a triple above it has an effect."""
        above = [] if candidate.statistic else self._above(candidate.fields)
        return any(
            scores.evidence(c).is_significant(least_z)
            for c in (candidate, *map(Candidate, above))
        )

    def _pairs(self) -> list[Candidate]:
        """Return all pairs, and sparse ones also by their statistics."""
        n_rows = len(self.codes) if self.weight is None else self.weight.sum()
        n_rows = min(n_rows, self.max_rows)
        used = [f for f, width in enumerate(self.widths) if width > 1]
        pairs = [Candidate(p) for p in combinations(used, 2) if self._may_cross(p)]
        if not self.statistics or self.y.shape[1] > 1:
            return pairs
        sparse = (
            Candidate(pair.fields, statistic=True)
            for pair in pairs
            if self._n_levels(pair.fields) * ROWS_A_LEVEL >= n_rows
        )
        return [*pairs, *sparse]

    def _may_cross(self, fields: tuple[int, ...]) -> bool:
        distinct = len({self.sources[f] for f in fields}) == len(fields)
        return distinct and fits_in_key([self.widths[f] for f in fields])

    def _n_levels(self, fields: tuple[int, ...]) -> int:
        return math.prod(int(self.widths[f]) for f in fields)

    def _halves(
        self, n_pairs: int, random_state: np.random.RandomState
    ) -> list[np.ndarray]:
        """Return the rows of each half, in ascending order."""
        n_triples = min(math.comb(len(self.widths), 3), _MAX_TRIPLES)
        affordable = max(self.max_work // (n_pairs + n_triples), _MIN_ROWS)
        size = min(len(self.codes), self.max_rows, affordable)
        rows = random_state.permutation(len(self.codes))[:size]
        return [np.sort(rows[: size // 2]), np.sort(rows[size // 2 :])]

    def _triples(self, pairs: dict[Candidate, Evidence]) -> list[Candidate]:
        """Return the triples that contain pairs with the largest z, largest first."""
        if self.max_degree < 3:
            return []
        z = {c.fields: max(e.z, 0.0) for c, e in pairs.items() if not c.statistic}
        leading = sorted(z, key=lambda pair: (-z[pair], pair))[:_MAX_LEADING]
        sums = {
            triple: sum(z.get(pair, 0.0) for pair in combinations(triple, 2))
            for triple in {triple for pair in leading for triple in self._above(pair)}
        }
        ranked = sorted(sums, key=lambda triple: (-sums[triple], triple))
        return [Candidate(triple) for triple in ranked[:_MAX_TRIPLES]]

    def _above(self, fields: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Return the triples that contain a pair."""
        if len(fields) > 2 or self.max_degree < 3:
            return []
        triples = (
            tuple(sorted((*fields, f)))
            for f, width in enumerate(self.widths)
            if f not in fields and width > 1
        )
        return [triple for triple in triples if self._may_cross(triple)]

    def _scores(
        self,
        model: ResidualModel,
        halves: list[np.ndarray],
        past: list[Candidate],
    ) -> Scores:
        """Fit the model on each half, and return the scores of candidates."""
        a, b = halves
        # Fields are read one by one, so the codes of each are kept adjacent.
        codes = np.asfortranarray(self.codes[np.concatenate(halves)])
        weight = self._weights(np.concatenate(halves))
        levels = {
            c: LevelCross.learn(
                c.fields, self.widths, codes, self.min_count, weight=weight
            )
            for c in past
            if not c.statistic
        }
        parts = [
            model(train, test, [self._extra(c, levels, train, test) for c in past])
            for train, test in ((b, a), (a, b))
        ]
        residuals = Residuals(
            np.concatenate([part.r for part in parts]),
            np.concatenate([part.w for part in parts]),
            weight,
        )
        fields = [(codes[:, f], int(width)) for f, width in enumerate(self.widths)]
        fields += [(cross.encode(codes), cross.width) for cross in levels.values()]
        y = np.concatenate([self.y[a], self.y[b]])
        half = np.repeat([0, 1], [len(a), len(b)])
        cleaned = without_effects(residuals, fields)
        return Scores(codes, self.widths, y, half, cleaned, self.min_count, weight)

    def _weights(self, rows: np.ndarray) -> Weight:
        return None if self.weight is None else self.weight[rows]

    def _extra(
        self,
        candidate: Candidate,
        levels: dict[Candidate, LevelCross],
        train: np.ndarray,
        test: np.ndarray,
    ) -> Extra:
        """Return the field of a chosen cross for the model of one half."""
        cross: LevelCross | StatisticCross
        if not candidate.statistic:
            cross = levels[candidate]
            columns = cross.encode(self.codes[train])
        else:
            cross, columns = StatisticCross.learn(
                candidate.fields,
                self.widths,
                self.codes[train],
                self.y[train, 0],
                np.arange(len(train)) % _N_FOLDS,
                weight=self._weights(train),
            )
        return Extra(columns, cross.encode(self.codes[test]), cross.width)
