"""Estimators in files that are safe to write and safe to load."""

from .container import FileFormatError
from .files import load, save

__all__ = ["FileFormatError", "load", "save"]
