"""The text of libffm files: lines, their grammar, and which field a feature is in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from skfm.datasets.numerals import PADDING, Numerals, parse_floats, parse_integers

__all__ = ["Chunk", "Claims", "chunks_of"]

#: Small enough for the arrays of one block to stay in the processor's cache.
_CHUNK = 1 << 18
_MAX_FEATURES = 100_000_000
_MAX_FIELDS = 1_000_000
_NEWLINE, _COLON = ord("\n"), ord(":")

Ints = NDArray[np.intp]


class Claims:
    """Which field each feature belongs to, as far as the file has been read."""

    def __init__(self, n_features: int | None, n_fields: int | None, base: int) -> None:
        self.n_features, self.n_fields, self.base = n_features, n_fields, base
        # 0: no field yet. Zero pages of a large array take no memory.
        self.claimed = np.zeros(1024, dtype=np.int32)
        self.largest = -1

    def add(self, fields: NDArray[Any], features: NDArray[Any], chunk: Chunk) -> None:
        """Note pairs in the order of the file; raise for the first impossible one."""
        self._check(fields, self.n_fields, _MAX_FIELDS, "field", "n_fields", chunk)
        self._check(
            features, self.n_features, _MAX_FEATURES, "feature", "n_features", chunk
        )
        if not len(features):
            return
        self.largest = max(self.largest, int(features.max()))
        if self.largest >= len(self.claimed):
            grown = np.zeros(2 * self.largest + 1, dtype=np.int32)
            grown[: len(self.claimed)] = self.claimed
            self.claimed = grown
        before = self.claimed[features]
        # Assigned backwards, the first claim of a new feature stays.
        new = np.flatnonzero(before == 0)[::-1]
        self.claimed[features[new]] = fields[new] + 1
        wrong = np.flatnonzero(self.claimed[features] != fields + 1)
        if len(wrong):
            at = int(wrong[0])
            feature, field = int(features[at]) + self.base, int(fields[at]) + self.base
            first = int(self.claimed[features[at]]) - 1 + self.base
            chunk.fail(
                at,
                f"feature {feature} is in field {field} here, but in field {first} "
                "before; a feature has one field",
            )

    def _check(
        self,
        numbers: NDArray[Any],
        size: int | None,
        most: int,
        kind: str,
        param: str,
        chunk: Chunk,
    ) -> None:
        limit = most if size is None else size
        wrong = np.flatnonzero((numbers < 0) | (numbers >= limit))
        if not len(wrong):
            return
        number = int(numbers[wrong[0]])
        if number < 0:
            reason = f"{kind} 0 in a file that zero_based=False counts from 1"
        elif size is None:
            reason = (
                f"{kind} {number + self.base} is beyond {most}; if that many {kind}s "
                f"are meant, give {param}"
            )
        else:
            reason = f"{kind} {number + self.base} does not fit {param}={size}"
        chunk.fail(int(wrong[0]), reason)

    def fields(self) -> NDArray[np.int32]:
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
    """Whole lines of a file."""

    def __init__(self, text: bytes, first_line: int) -> None:
        self.first_line = first_line
        self.text = np.frombuffer(b" " * PADDING + text, dtype=np.uint8)
        is_colon, is_newline = self.text == _COLON, self.text == _NEWLINE
        is_stop = is_colon | is_newline
        for blank in b" \t\r":
            is_stop |= self.text == blank
        stops = np.flatnonzero(is_stop)[PADDING - 1 :]
        self.newlines = np.flatnonzero(is_newline)
        starts, ends = stops[:-1] + 1, stops[1:]
        colon_after = is_colon[ends]
        empty = starts == ends
        if empty.any():
            hollow = np.flatnonzero(empty & (colon_after | is_colon[starts - 1]))
            if len(hollow):
                self._fail_at(int(starts[hollow[0]]), "a number is missing")
            starts, ends = starts[~empty], ends[~empty]
            colon_after = colon_after[~empty]
        self.starts, self.ends, self.colon_after = starts, ends, colon_after

    def parse(self, claims: Claims) -> tuple[NDArray[Any], ...]:
        """Return labels, entries per line, features and values."""
        triples, labels = self._grammar()
        self.triples = triples
        numerals = Numerals(self.text)
        base = claims.base
        y = self._numbers(numerals, parse_floats, labels, "label")
        fields = self._numbers(numerals, parse_integers, triples, "field")
        features = self._numbers(numerals, parse_integers, triples + 1, "feature")
        values = self._numbers(numerals, parse_floats, triples + 2, "value")
        claims.add(fields - base, features - base, self)
        lengths = (np.diff(np.append(labels, len(self.starts))) - 1) // 3
        return y, lengths, features - base, values

    def _grammar(self) -> tuple[Ints, Ints]:
        """Return which numerals start a triple and which are labels."""
        colon = self.colon_after
        if not len(colon):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        before = np.concatenate([[False], colon[:-1]])
        triples = np.flatnonzero(colon & ~before)
        fine = colon[np.minimum(triples + 1, len(colon) - 1)]
        fine &= ~colon[np.minimum(triples + 2, len(colon) - 1)]
        if not fine.all():
            at = int(triples[fine.argmin()])
            self._fail_at(int(self.starts[at]), "expected field:feature:value")
        inside = before.copy()
        inside[triples] = True
        # Numerals of no triple are labels: the first of each line, and no other.
        labels = np.flatnonzero(~inside)
        last = np.append(labels[1:], len(colon)) - 1
        line_of_first, line_of_last = (
            np.searchsorted(self.newlines, self.starts[at]) for at in (labels, last)
        )
        alone = np.array_equal(line_of_first, line_of_last)
        if not alone or np.any(np.diff(line_of_first) == 0) or labels[0] != 0:
            self._fail_labels(labels)
        return triples, labels

    def _fail_labels(self, labels: Ints) -> None:
        of_line = np.searchsorted(self.newlines, self.starts)
        first = np.flatnonzero(np.diff(of_line, prepend=-1))
        wrong = int(np.setxor1d(labels, first)[0])
        reason = (
            "a line starts with a label, without colons"
            if wrong in first
            else "after the label, expected field:feature:value"
        )
        self._fail_at(int(self.starts[wrong]), reason)

    def _numbers(self, numerals: Numerals, parse: Any, at: Ints, what: str) -> Any:
        values, valid = parse(numerals, self.starts[at], self.ends[at])
        if not valid.all():
            place = int(self.starts[at[valid.argmin()]])
            kind = (
                "a number" if parse is parse_floats else "an integer of 0 to 15 digits"
            )
            self._fail_at(place, f"the {what} is not {kind}")
        return values

    def fail(self, triple: int, reason: str) -> None:
        """Raise for a triple of the chunk."""
        self._fail_at(int(self.starts[self.triples[triple]]), reason)

    def _fail_at(self, place: int, reason: str) -> None:
        line = self.first_line + int(np.searchsorted(self.newlines, place))
        low, high = max(place - 60, PADDING), place + 60
        text = self.text[low:high].tobytes()
        head = text[: place - low]
        begin = max(head.rfind(blank) for blank in (b" ", b"\t", b"\n", b"\r")) + 1
        word = text[begin:].split(None, 1)
        token = word[0].decode("utf-8", "replace") if word else ""
        raise ValueError(f"Line {line}: {reason}, got {token!r}.")


def chunks_of(file: IO[bytes]) -> Iterator[bytes]:
    """Cut a file into blocks of whole lines that each end with a newline."""
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
