"""Tables to sparse matrices with fields."""

from .crosses.crosses import CrossInfo
from .crosses.transformer import FieldCrosses
from .encoder import FieldEncoder

__all__ = ["CrossInfo", "FieldCrosses", "FieldEncoder"]
