"""Saving and loading of estimators, in files that are safe to write and safe to load.

This room imports no other. The rooms whose objects are saved register their classes.
"""

from .files import load, save
from .header import FileFormatError

__all__ = ["FileFormatError", "load", "save"]
