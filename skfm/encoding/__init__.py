"""Tables to sparse matrices with fields."""

from skfm.encoding.crosses.crosses import CrossInfo
from skfm.encoding.crosses.transformer import FieldCrosses
from skfm.encoding.encoder import FieldEncoder

__all__ = ["CrossInfo", "FieldCrosses", "FieldEncoder"]
