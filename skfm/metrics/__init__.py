"""Metrics of rankings and recommendations, and scorers for model selection."""

from .queries import (
    hit_rate_at_k,
    map_at_k,
    mrr_at_k,
    ndcg_at_k,
    precision_at_k,
    ranking_scorer,
    recall_at_k,
)
from .recommendations import coverage, evaluate_recommendations, novelty

__all__ = [
    "coverage",
    "evaluate_recommendations",
    "hit_rate_at_k",
    "map_at_k",
    "mrr_at_k",
    "ndcg_at_k",
    "novelty",
    "precision_at_k",
    "ranking_scorer",
    "recall_at_k",
]
