"""The best items for users, and items and users that are alike."""

from .popularity import PopularityRanker
from .recommending import recommend
from .similar import similar_items, similar_users

__all__ = ["PopularityRanker", "recommend", "similar_items", "similar_users"]
