"""The best items for users, and items and users that are alike."""

from .negatives import sample_negatives
from .popularity import PopularityRanker
from .recommending import recommend
from .similar import similar_items, similar_users

__all__ = [
    "PopularityRanker",
    "recommend",
    "sample_negatives",
    "similar_items",
    "similar_users",
]
