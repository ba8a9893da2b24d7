"""Crosses of fields: found by their evidence in residuals, and added to a table."""

from .crosses import CrossInfo
from .transformer import FieldCrosses

__all__ = ["CrossInfo", "FieldCrosses"]
