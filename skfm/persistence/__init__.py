"""Estimators in files that are safe to write and safe to load.

This room imports nothing of skfm: the rooms that own what is saved register it.
"""

from .container import FileFormatError
from .files import load, save

__all__ = ["FileFormatError", "load", "save"]
