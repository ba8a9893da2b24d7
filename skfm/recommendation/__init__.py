"""The best items for users, and items and users that are alike."""

from .recommending import recommend
from .similar import similar_items, similar_users

__all__ = ["recommend", "similar_items", "similar_users"]
