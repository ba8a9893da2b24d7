"""Text of libffm files: parsing, faults of lines, and the field of each feature."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from .libffm_scan import scan

__all__ = ["Chunk", "Claims", "Lines", "chunks_of"]

#: Size of a block in bytes, so small that its arrays stay in the processor's cache.
_CHUNK = 1 << 18
_MAX_FEATURES = 100_000_000
_MAX_FIELDS = 1_000_000
_LONGEST_SHOWN = 80
_BLANK = re.compile(rb"[ \t\r\n]")
_INTEGER = re.compile(rb"[0-9]{1,18}")
_FLOAT_BYTES = b"0123456789+-.eEinftyaINFTYA "

Array = np.ndarray


@dataclass(frozen=True)
class Lines:
    """Content of some lines as arrays.

    Attributes
    ----------
    labels : ndarray of float64 of shape (n_lines,)
        Label of each line.
    lengths : ndarray of int64 of shape (n_lines,)
        Number of entries of each line.
    fields, features : ndarray of int64 of shape (n_entries,)
        Field and feature of each entry, as numbered in the file.
    values : ndarray of float64 of shape (n_entries,)
        Value of each entry.
    starts : ndarray of int64 of shape (n_entries,)
        Start of each entry in the text.
    """

    labels: Array
    lengths: Array
    fields: Array
    features: Array
    values: Array
    starts: Array

    def only(self, kept: np.ndarray) -> Lines:
        """Return the lines with only the entries that a mask keeps."""
        line = np.repeat(np.arange(len(self.labels)), self.lengths)
        return Lines(
            labels=self.labels,
            lengths=np.bincount(line[kept], minlength=len(self.labels)),
            fields=self.fields[kept],
            features=self.features[kept],
            values=self.values[kept],
            starts=self.starts[kept],
        )


class Claims:
    """Record of the field of each feature that has been read.

    Parameters
    ----------
    n_features, n_fields : int or None
        Number of features, and of fields; None: as many as occur.
    base : int
        Number of the first feature, and of the first field, in the file.
    """

    def __init__(self, n_features: int | None, n_fields: int | None, base: int) -> None:
        self.n_features, self.n_fields, self.base = n_features, n_fields, base
        # 0 means no field yet. Untouched zeros of a large array take no memory.
        self.claimed = np.zeros(1024, dtype=np.int32)
        self.largest = -1

    def known(self, lines: Lines) -> Lines:
        """Return the lines without the entries whose feature or field does not fit."""
        kept = np.ones(len(lines.values), dtype=bool)
        for numbers, size in [
            (lines.fields, self.n_fields),
            (lines.features, self.n_features),
        ]:
            if size is not None:
                kept &= numbers - self.base < size
        return lines if kept.all() else lines.only(kept)

    def add(self, lines: Lines, chunk: Chunk) -> None:
        """Record the fields of features, and raise an error for the first conflict."""
        fields, features = lines.fields - self.base, lines.features - self.base
        for numbers, kind, size, most in [
            (fields, "field", self.n_fields, _MAX_FIELDS),
            (features, "feature", self.n_features, _MAX_FEATURES),
        ]:
            wrong = np.flatnonzero((numbers < 0) | (numbers >= (size or most)))
            if len(wrong):
                reason = self._misfit(int(numbers[wrong[0]]), kind, size, most)
                chunk.fail(int(lines.starts[wrong[0]]), reason)
        if not len(features):
            return
        self.largest = max(self.largest, int(features.max()))
        if self.largest >= len(self.claimed):
            grown = np.zeros(2 * self.largest + 1, dtype=np.int32)
            grown[: len(self.claimed)] = self.claimed
            self.claimed = grown
        before = self.claimed[features]
        # Assignment in reverse order lets the first claim of a new feature win.
        new = np.flatnonzero(before == 0)[::-1]
        self.claimed[features[new]] = fields[new] + 1
        wrong = np.flatnonzero(self.claimed[features] != fields + 1)
        if len(wrong):
            at = int(wrong[0])
            feature, field = int(features[at]) + self.base, int(fields[at]) + self.base
            first = int(self.claimed[features[at]]) - 1 + self.base
            chunk.fail(
                int(lines.starts[at]),
                f"feature {feature} is in field {field} here, but was in field {first} "
                "before; a feature must have one field",
            )

    def _misfit(self, number: int, kind: str, size: int | None, most: int) -> str:
        if number < 0:
            return f"{kind} 0 occurs, but zero_based=False means that they start from 1"
        number += self.base
        if size is not None:
            return f"{kind} {number} does not fit n_{kind}s={size}"
        return (
            f"{kind} {number} is beyond {most}; if there are really so many {kind}s, "
            f"pass n_{kind}s"
        )

    def fields(self) -> np.ndarray:
        """Return the field of each column."""
        size = self.largest + 1 if self.n_features is None else self.n_features
        fields = np.zeros(size, dtype=np.int32)
        shared = min(size, len(self.claimed))
        fields[:shared] = self.claimed[:shared]
        seen = np.flatnonzero(fields)
        if not len(seen):
            return fields
        fields -= 1
        gaps = np.diff(np.append(seen, size))
        fields[seen[0] :] = np.repeat(fields[seen], gaps)
        fields[: seen[0]] = fields[seen[0]]
        return fields


class Chunk:
    """Block of whole lines of a file, each ending with a newline.

    Parameters
    ----------
    text : bytes
        Text of the lines.
    first_line : int
        Number of the first of these lines in the file.

    Attributes
    ----------
    n_lines : int
        Number of lines.
    """

    def __init__(self, text: bytes, first_line: int) -> None:
        self.text, self.first_line = text, first_line
        self.n_lines = text.count(b"\n")

    def parse(self) -> Lines:
        """Return the content of the lines.

        Raises
        ------
        ValueError
            If a word is malformed; the message shows the first such word.
        """
        text = np.frombuffer(self.text, np.uint8)
        # The shortest line is "1\n", the shortest entry " 1:1:1".
        most = len(text) // 2 + 1
        numbers, starts = np.empty(most), np.empty(most, np.int64)
        pairs = np.empty((len(text) // 6 + 1, 2), np.int64)
        lengths, rare = np.empty(most, np.int64), np.empty(most, np.int64)
        spelled = np.empty_like(text)
        n_lines, n, n_rare, n_spelled, place = scan(
            text, numbers, starts, pairs, lengths, rare, spelled
        )
        self._read_rare(rare[:n_rare], spelled[:n_spelled].tobytes(), numbers, starts)
        if place >= 0:
            self.fail(place)
        numbers, starts, lengths = numbers[:n], starts[:n], lengths[:n_lines]
        is_label = np.zeros(n, dtype=bool)
        is_label[np.cumsum(lengths + 1) - lengths - 1] = True
        return Lines(
            labels=numbers[is_label],
            lengths=lengths,
            fields=pairs[: n - n_lines, 0],
            features=pairs[: n - n_lines, 1],
            values=numbers[~is_label],
            starts=starts[~is_label],
        )

    def _read_rare(
        self, rare: Array, spelled: bytes, numbers: Array, starts: Array
    ) -> None:
        """Read the numbers that the scanner has left out by Python's float."""
        words = spelled.split(b" ")[:-1]
        try:
            # Python's float also accepts underscores, and blanks at the ends.
            if not spelled.translate(None, _FLOAT_BYTES):
                numbers[rare] = [*map(float, words)]
                return
        except ValueError:
            pass
        wrong = next(i for i, word in enumerate(words) if not _is_number(word))
        self.fail(int(starts[rare[wrong]]))

    def fail(self, place: int, reason: str | None = None) -> None:
        """Raise an error for the word at ``place``; find the reason if it is None."""
        begin = self.text.rfind(b"\n", 0, place) + 1
        line = self.first_line + self.text.count(b"\n", 0, place)
        end = next(_BLANK.finditer(self.text, place)).start()
        word = self.text[place:end]
        if reason is None:
            is_label = not self.text[begin:place].strip(b" \t\r")
            reason = (_fault_of_label if is_label else _fault_of_entry)(word)
        token = word[:_LONGEST_SHOWN].decode("utf-8", "replace")
        raise ValueError(f"Line {line}: {reason}, got {token!r}.")


def _is_number(word: bytes) -> bool:
    with contextlib.suppress(ValueError):
        float(word)
        return not word.translate(None, _FLOAT_BYTES)
    return False


def _fault_of_label(word: bytes) -> str:
    if b":" in word:
        return "a line starts with a label, without colons"
    return "the label is not a number"


def _fault_of_entry(word: bytes) -> str:
    parts = word.split(b":")
    if len(parts) != 3:
        return "after the label, expected field:feature:value"
    if not all(parts):
        return "a number is missing"
    for name, part in zip(("field", "feature"), parts[:2], strict=True):
        if not _INTEGER.fullmatch(part):
            return f"the {name} is not an integer of 1 to 18 digits"
    return "the value is not a number"


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Yield blocks of whole lines of a file, each line ending with a newline."""
    pieces: list[bytes] = []
    while block := file.read(_CHUNK):
        if isinstance(block, str):
            raise ValueError("Open the file in binary mode.")
        head, newline, tail = block.rpartition(b"\n")
        if newline:
            yield b"".join([*pieces, head, newline])
            pieces = []
        pieces.append(tail)
    rest = b"".join(pieces)
    if rest:
        yield rest + b"\n"
