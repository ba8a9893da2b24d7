"""The steps of attention over pairs, for one vector of pairs (i, j), begin <= j.

Arrays are of two dimensions. ``rows`` (m, k) are the embeddings e_i of a row of X,
``by_factor`` (k, n) their transpose; ``products``, ``hidden`` and all sums have a
column for each lane.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..vectors import Rows, add_to


def _step(generate, *arrays):
    """An intrinsic's answer: i, begin and arrays in, nothing out.

    ``generate(builder, i, begin, *arrays)`` writes the code.
    """

    def codegen(context, builder, signature, args):
        given = zip(signature.args[2:], args[2:], strict=True)
        rows = (Rows(context, builder, type_, value) for type_, value in given)
        generate(builder, *args[:2], *rows)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp, *arrays), codegen


@intrinsic
def hidden_units(
    typingctx, i, begin, rows, by_factor, weight, bias, head, products, hidden, logits
):
    """products = e_i * e_j; hidden = ReLU(W products + b); logits[i] from hidden."""

    def generate(builder, i, begin, rows, by_factor, weight, bias, head, *outs):
        products, hidden, logits = outs
        zero = ir.Constant(i.type, 0)
        with cgutils.for_range(builder, by_factor.n_rows) as loop:
            d = loop.index
            pair = builder.fmul(rows.number(i, d), by_factor.vector(d, begin))
            products.put(d, zero, pair)
        total = by_factor.register()
        with cgutils.for_range(builder, weight.n_rows) as units:
            u = units.index
            x = by_factor.register(bias.number(zero, u))
            with cgutils.for_range(builder, by_factor.n_rows) as loop:
                d = loop.index
                add_to(builder, x, weight.number(u, d), products.vector(d))
            x = builder.load(x)
            none = ir.Constant(x.type, None)
            # NaN stays NaN.
            x = builder.select(builder.fcmp_ordered("<", x, none), none, x)
            hidden.put(u, zero, x)
            add_to(builder, total, head.number(zero, u), x)
        logits.put(i, begin, builder.load(total))

    outs = products, hidden, logits
    return _step(generate, rows, by_factor, weight, bias, head, *outs)


@intrinsic
def pooled_pairs(typingctx, i, begin, rows, by_factor, shares, sums):
    """sums += shares[i] e_i * e_j."""

    def generate(builder, i, begin, rows, by_factor, shares, sums):
        zero, share = ir.Constant(i.type, 0), shares.vector(i, begin)
        with cgutils.for_range(builder, by_factor.n_rows) as loop:
            d = loop.index
            mine = builder.fmul(share, rows.number(i, d))
            sums.add(d, zero, mine, by_factor.vector(d, begin))

    return _step(generate, rows, by_factor, shares, sums)


@intrinsic
def share_gradient(typingctx, i, begin, rows, by_factor, shares, upstream, out, sums):
    """out[i] = <upstream, e_i * e_j>; sums += shares[i] out[i]."""

    def generate(builder, i, begin, rows, by_factor, shares, upstream, out, sums):
        zero, total = ir.Constant(i.type, 0), by_factor.register()
        with cgutils.for_range(builder, by_factor.n_rows) as loop:
            d = loop.index
            mine = builder.fmul(upstream.number(zero, d), rows.number(i, d))
            add_to(builder, total, mine, by_factor.vector(d, begin))
        total = builder.load(total)
        out.put(i, begin, total)
        sums.add(zero, zero, shares.vector(i, begin), total)

    return _step(generate, rows, by_factor, shares, upstream, out, sums)


@intrinsic
def dense_gradients(
    typingctx,
    i,
    begin,
    of_logits,
    head,
    products,
    hidden,
    of_hidden,
    of_weight,
    of_bias,
    of_head,
):
    """of_hidden, and what it adds to the gradients of W, b and the head.

    Row u k + d of ``of_weight`` is of W[u, d].
    """

    def generate(builder, i, begin, of_logits, head, products, hidden, *outs):
        of_hidden, of_weight, of_bias, of_head = outs
        zero, above = ir.Constant(i.type, 0), of_logits.vector(i, begin)
        none = ir.Constant(above.type, None)
        ones = ir.Constant(above.type, [1.0] * above.type.count)
        with cgutils.for_range(builder, hidden.n_rows) as units:
            u = units.index
            x = hidden.vector(u)
            mine = builder.fmul(head.number(zero, u), above)
            mine = builder.select(builder.fcmp_ordered(">", x, none), mine, none)
            of_hidden.put(u, zero, mine)
            of_bias.add(u, zero, ones, mine)
            of_head.add(u, zero, above, x)
            first = builder.mul(u, products.n_rows)
            with cgutils.for_range(builder, products.n_rows) as loop:
                d = loop.index
                of_weight.add(builder.add(first, d), zero, mine, products.vector(d))

    outs = of_hidden, of_weight, of_bias, of_head
    return _step(generate, of_logits, head, products, hidden, *outs)


@intrinsic
def embedding_gradients(
    typingctx,
    i,
    begin,
    rows,
    by_factor,
    shares,
    upstream,
    weight,
    of_hidden,
    of_by_factor,
    of_first,
):
    """What pairs add to the gradients of the e_j, (k, n), and of e_i."""

    def generate(builder, i, begin, rows, by_factor, shares, upstream, *rest):
        weight, of_hidden, of_by_factor, of_first = rest
        zero, share = ir.Constant(i.type, 0), shares.vector(i, begin)
        with cgutils.for_range(builder, by_factor.n_rows) as loop:
            d = loop.index
            x = builder.fmul(share, upstream.number(zero, d))
            total = by_factor.register(x)
            with cgutils.for_range(builder, weight.n_rows) as units:
                u = units.index
                add_to(builder, total, weight.number(u, d), of_hidden.vector(u))
            x = builder.load(total)
            of_by_factor.add(d, begin, rows.number(i, d), x)
            of_first.add(d, zero, by_factor.vector(d, begin), x)

    inputs = rows, by_factor, shares, upstream, weight, of_hidden
    return _step(generate, *inputs, of_by_factor, of_first)
