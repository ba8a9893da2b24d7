"""Tables to sparse matrices with fields."""

from skfm.encoding.encoder import FieldEncoder

__all__ = ["FieldEncoder"]
