"""Tables to sparse matrices with fields."""

from skfm.encoding.crosses import FieldCrosses
from skfm.encoding.encoder import FieldEncoder

__all__ = ["FieldCrosses", "FieldEncoder"]
