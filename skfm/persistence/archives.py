"""Checks of the archives of skops: their memory, and what is called by name.

An archive has a schema, a tree of JSON whose nodes describe objects, and files with the
arrays. skops checks the types of the nodes, but not their sizes.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np

from .header import FileFormatError
from .values import Budget

#: Deepest nesting of archives: skops stores a sparse matrix as an archive in its own.
_MOST_NESTED = 2
#: Approximate number of bytes that a bracket of JSON takes in Python, that a node takes
#: in skops, and that a place in an array of objects takes.
_PER_BRACKET, _PER_NODE, _PER_PLACE = 240, 1024, 8
#: Nodes that use a type or a function without a call of it by what the file holds.
_NO_CALLS = frozenset({"ObjectNode", "FunctionNode", "TypeNode", "DTypeNode"})
_BUNCH = ("DictNode", "sklearn.utils._bunch.Bunch")


class Archive:
    """An archive of skops, whose sizes have been checked.

    Parameters
    ----------
    raw : bytes
    budget : Budget
        Memory that loading the archive may take.

    Attributes
    ----------
    called : set of str
        Names of the types and functions that loading would call with arguments of the
        archive.

    Raises
    ------
    FileFormatError
        If loading would take more memory than the budget has left, or the archive is
        not one that skops writes.
    """

    def __init__(self, raw: bytes, budget: Budget) -> None:
        self.called: set[str] = set()
        self._budget = budget
        self._counts: dict[Any, int] = {}
        _check_members(raw, budget, _MOST_NESTED)
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files = archive.infolist()
            self._sizes: dict[Any, int] = {f.filename: f.file_size for f in files}
            schema = archive.read("schema.json")
        budget.spend(_PER_BRACKET * (schema.count(b"[") + schema.count(b"{")))
        self._visit(json.loads(schema))

    def _visit(self, part: Any) -> int:
        """Check a part of the schema, and return the number of objects in it."""
        if isinstance(part, list):
            return sum(map(self._visit, part))
        if not isinstance(part, dict):
            return 0
        # The keys of a dict that was saved may be these words; its values are nodes.
        loader, number = part.get("__loader__"), part.get("__id__")
        if not isinstance(loader, str):
            if not isinstance(number, dict | None):
                raise FileFormatError("it refers to an object without describing it")
            return sum(map(self._visit, part.values()))
        count = self._node(part, loader)
        # skops takes nodes of one number for one object. Lists in an array of objects
        # are copied: if nodes could stand for larger ones, a few would fill the memory.
        if number is not None and self._counts.setdefault(number, count) != count:
            raise FileFormatError("two objects in it have the same number")
        return count

    def _node(self, node: dict[str, Any], loader: str) -> int:
        """Check a node, and return the number of objects in it."""
        if loader == "CachedNode":
            raise FileFormatError("it refers to an object without describing it")
        name = f"{node['__module__']}.{node['__class__']}"
        if loader not in _NO_CALLS and (loader, name) != _BUNCH:
            self.called.add(name)
        # Each reference to a file reads it anew.
        self._budget.spend(_PER_NODE + self._sizes.get(node.get("file"), 0))
        count = 1 + sum(map(self._visit, node.values()))
        if loader == "JsonNode":
            count += node["content"].count(",")
        if loader == "NdArrayNode":
            self._budget.spend(_PER_PLACE * count)
        return count


def _check_members(raw: bytes, budget: Budget, levels: int) -> None:
    """Spend the budget on the unpacked sizes of the members of an archive.

    zipfile never reads a member beyond the size that the archive states.
    """
    if not levels:
        raise FileFormatError("it holds archives inside archives, nested too deeply")
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in archive.infolist():
            budget.spend(member.file_size)
            if member.filename.endswith(".npz"):
                _check_members(archive.read(member), budget, levels - 1)
            elif member.filename.endswith(".npy"):
                with archive.open(member) as file:
                    _check_array(file, member.file_size)


def _check_array(file: Any, size: int) -> None:
    """Raise an error for an array whose header states a larger size than its file."""
    version = np.lib.format.read_magic(file)
    if version not in _READ_HEADER:
        raise FileFormatError("an array in it has an unknown version")
    shape, _, dtype = _READ_HEADER[version](file)
    n_items = 1
    for length in shape:
        n_items *= length
    if n_items * max(dtype.itemsize, 1) > size:
        raise FileFormatError("an array in it is larger than its file")


_READ_HEADER: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
