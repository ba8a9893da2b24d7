"""Merging of blocks of one column that have learnt from different rows."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

from .blocks import Block, SampledBlock, ScaleBlock
from .categories import (
    CategoryBlock,
    HashBlock,
    join_categories,
    sort_order,
)
from .dates import DateBlock
from .flags import FlagBlock
from .multi_valued import MultiValuedBlock
from .nested import NestedBlock
from .vectors import VectorBlock

__all__ = ["merge", "n_categories", "settle"]


@singledispatch
def merge(block: Any, other: Any) -> None:
    """Add to ``block`` what another block of the same column has learnt."""
    raise TypeError(
        f"a {type(block).__name__} cannot be merged with what others learnt"
    )


@merge.register
def _(block: ScaleBlock, other: ScaleBlock) -> None:
    block.add_moments(other.n, other.mean, other.squares)


@merge.register
def _(block: SampledBlock, other: SampledBlock) -> None:
    block.n_seen = max(block.n_seen, other.n_seen)
    block.add_sample(other.sample, other.ranks)


@merge.register
def _(block: NestedBlock, other: NestedBlock) -> None:
    merge.dispatch(SampledBlock)(block, other)
    merge(block.value, other.value)
    block.binary &= other.binary
    block.has_missing |= other.has_missing
    if block.ids is None or other.ids is None:
        block.ids = None
    else:
        merge(block.ids, other.ids)


@merge.register
def _(block: CategoryBlock, other: CategoryBlock) -> None:
    if other.kind == "nothing":
        return
    if block.kind == "nothing":
        block.kind, block.vocabulary = other.kind, other.vocabulary
        block.counts = other.counts
        return
    _check_kinds(block.name, block.kind, other.kind)
    block.vocabulary, block.counts = join_categories(
        (block.vocabulary, block.counts), (other.vocabulary, other.counts), block.name
    )


@merge.register
def _(block: HashBlock, other: HashBlock) -> None:
    if other.kind == "nothing":
        return
    if block.kind != "nothing":
        _check_kinds(block.name, block.kind, other.kind)
    block.kind, block.ids = other.kind, other.ids


@merge.register
def _(block: FlagBlock, other: FlagBlock) -> None:
    block.has_missing |= other.has_missing


@merge.register
def _(block: VectorBlock, other: VectorBlock) -> None:
    if other.n:
        block.add_moments(other.n, other.mean, other.squares)


@merge.register
def _(block: MultiValuedBlock, other: MultiValuedBlock) -> None:
    merge(block.inner, other.inner)


@merge.register
def _(block: DateBlock, other: DateBlock) -> None:
    if block.elapsed is not None and other.elapsed is not None:
        merge(block.elapsed, other.elapsed)
    for part, own in block.parts.items():
        merge(own, other.parts[part])


def _check_kinds(name: str, one: str, other: str) -> None:
    if one != other:
        raise ValueError(
            f"Column {name!r} holds {one} in some rows and {other} in others. Convert "
            "it to one type."
        )


@singledispatch
def settle(block: Any) -> Block:
    """Return a merged block like one that has learnt all rows at once.

    Categories are sorted, because they are merged in any order.
    """
    settled: Block = block
    return settled


@settle.register
def _(block: CategoryBlock) -> Block:
    order = sort_order(block.vocabulary, block.kind)
    block.vocabulary, block.counts = block.vocabulary[order], block.counts[order]
    return block


@settle.register
def _(block: NestedBlock) -> Block:
    if block.ids is not None:
        settle(block.ids)
    return block


@settle.register
def _(block: MultiValuedBlock) -> Block:
    settle(block.inner)
    return block


@settle.register
def _(block: DateBlock) -> Block:
    for part in block.parts.values():
        settle(part)
    return block


@singledispatch
def n_categories(block: Any) -> int:
    """Return the number of categories that a block holds."""
    return 0


@n_categories.register
def _(block: CategoryBlock) -> int:
    return len(block.vocabulary)


@n_categories.register
def _(block: NestedBlock) -> int:
    return 0 if block.ids is None else len(block.ids.vocabulary)


@n_categories.register
def _(block: MultiValuedBlock) -> int:
    return n_categories(block.inner)
