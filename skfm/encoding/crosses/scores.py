"""Candidates for crosses, and their scores in one round of the search."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from .evidence import NO_EVIDENCE, Evidence, Residuals, weigh_levels, without_effects
from .levels import Codes, Weight, compact, joint_keys
from .statistics import bin_means, find_columns, n_columns, out_of_fold

__all__ = ["ROWS_A_LEVEL", "Candidate", "Scores", "best_candidate"]

#: Largest average number of rows of a level for a cross by statistics.
ROWS_A_LEVEL = 20
#: Nor is it worth less than this gain: rows to predict have the statistics of more rows
#: than those in training, which costs a model something.
_LEAST_GAIN_A_ROW = 0.002


@dataclass(frozen=True)
class Candidate:
    """A cross that may be added.

    Attributes
    ----------
    fields : tuple of int
        Numbers of the fields, in ascending order.
    statistic : bool
        Whether it is added by statistics of the target, and not by its levels.
    """

    fields: tuple[int, ...]
    statistic: bool = False


@dataclass
class Scores:
    """Evidence for candidates in the residuals of one round.

    Attributes
    ----------
    codes : ndarray of int of shape (n_rows, n_fields)
    widths : sequence of int
        Number of levels of each field.
    y : ndarray of float of shape (n_rows, n_outputs)
    half : ndarray of int of shape (n_rows,)
        Half of each row, 0 or 1. Its residual is that of a model of the other half.
    residuals : Residuals
    min_count : int
        Levels with fewer rows do not contribute to a gain.
    weight : ndarray of float of shape (n_rows,) or None, default=None
        Weight of each row, as a number of equal rows; None: one.
    """

    codes: Codes
    widths: Sequence[int]
    y: np.ndarray
    half: np.ndarray
    residuals: Residuals
    min_count: int
    weight: Weight = None

    @cached_property
    def _n_rows(self) -> float:
        return len(self.codes) if self.weight is None else float(self.weight.sum())

    def evidence(self, candidate: Candidate) -> Evidence:
        """Return the evidence for a candidate."""
        levels, n_levels = self._levels(candidate.fields)
        evidence = weigh_levels(self.residuals, levels, n_levels, self.min_count)
        # If rows of a level do not agree, their targets do not predict one another, and
        # the statistics need not be computed.
        if candidate.statistic and evidence.z > 0:
            return self._of_statistics(levels, n_levels)
        return evidence

    def _levels(self, fields: tuple[int, ...]) -> tuple[Codes, int]:
        widths = [int(self.widths[f]) for f in fields]
        keys = joint_keys([self.codes[:, f] for f in fields], widths)
        return compact(keys, math.prod(widths))

    def _of_statistics(self, levels: Codes, n_levels: int) -> Evidence:
        n_seen = np.count_nonzero(np.bincount(levels, minlength=n_levels))
        if n_seen * ROWS_A_LEVEL < self._n_rows:
            return NO_EVIDENCE
        evidence = weigh_levels(
            self._beyond_statistics,
            *self._statistics(levels, n_levels),
            self.min_count,
        )
        least = _LEAST_GAIN_A_ROW * self._n_rows
        return evidence if evidence.gain > least else NO_EVIDENCE

    def _statistics(self, levels: Codes, n_levels: int) -> tuple[Codes, int]:
        y = self.y[:, 0]
        c, s = out_of_fold(levels, n_levels, y, self.half, self.weight)
        means = (s + self._mean) / (c + 1)
        edges = bin_means(c, means, self.weight)
        # The statistics of a half are those of the targets of the other half, and
        # therefore independent of its residuals.
        width = n_columns(edges)
        return find_columns(c, means, edges) + self.half * width, 2 * width

    @cached_property
    def _mean(self) -> float:
        return float(np.average(self.y[:, 0], weights=self.weight))

    @cached_property
    def _beyond_statistics(self) -> Residuals:
        """Residuals without the effects of the statistics of single fields.

        Models err most at rare or extreme levels. This is not an effect of a cross, but
        it shows in the statistics of every cross with the field.
        """
        single = [
            self._statistics(self.codes[:, f], int(width))
            for f, width in enumerate(self.widths)
        ]
        return without_effects(self.residuals, single)


def best_candidate(
    known: dict[Candidate, Evidence], past: list[Candidate], least_z: float
) -> Candidate | None:
    """Return the candidate with the highest score, or None if none is significant."""
    gains = {c: e.gain if e.is_significant(least_z) else 0.0 for c, e in known.items()}
    scores = dict(gains)
    explained = [set(c.fields) for c in past if not c.statistic]
    for triple, gain in gains.items():
        above = set(triple.fields)
        if len(above) < 3 or not gain or any(fields <= above for fields in explained):
            continue
        for pair in combinations(triple.fields, 2):
            if Candidate(pair) in scores:
                scores[Candidate(pair)] += gain
    # A single triple has the score of each of its pairs, but a larger gain.
    best = min(scores, key=lambda c: (-scores[c], -gains[c], c.fields, c.statistic))
    return best if scores[best] > 0 else None
