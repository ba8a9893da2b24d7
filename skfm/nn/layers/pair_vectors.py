"""Steps of attention over a row's pairs, each for one vector of pairs.

All arrays are of two dimensions. Pairs (i, j) are numbered p in the order of
`torch.triu_indices`; ``at`` is the first p of the vector. ``products`` (k, P) are the
e_i * e_j. ``hidden``, ``of_hidden`` and all sums have a column for each lane.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...runtime.simd import Rows, add_to


def _step(n_places, generate, *arrays):
    """Return the signature and the code generator of an intrinsic without result.

    ``generate(builder, *places, *arrays)`` writes the code.
    """

    def codegen(context, builder, signature, args):
        given = zip(signature.args[n_places:], args[n_places:], strict=True)
        rows = (Rows(context, builder, type_, value) for type_, value in given)
        generate(builder, *args[:n_places], *rows)
        return context.get_dummy_value()

    return types.void(*[types.intp] * n_places, *arrays), codegen


@intrinsic
def multiply_pairs(typingctx, i, j, at, rows, by_factor, products):
    """Set products[:, at] = e_i * e_j for j and following; ``by_factor`` is rows^T."""

    def generate(builder, i, j, at, rows, by_factor, products):
        with cgutils.for_range(builder, by_factor.n_rows) as loop:
            d = loop.index
            pair = builder.fmul(rows.number(i, d), by_factor.vector(d, j))
            products.put(d, at, pair)

    return _step(3, generate, rows, by_factor, products)


@intrinsic
def hidden_units(typingctx, at, products, weight, bias, head, hidden, logits):
    """Set hidden = ReLU(W products + b) and logits[0] = head^T hidden."""

    def generate(builder, at, products, weight, bias, head, hidden, logits):
        zero, total = ir.Constant(at.type, 0), products.register()
        with cgutils.for_range(builder, weight.n_rows) as units:
            u = units.index
            x = products.register(bias.number(zero, u))
            with cgutils.for_range(builder, products.n_rows) as loop:
                d = loop.index
                add_to(builder, x, weight.number(u, d), products.vector(d, at))
            x = builder.load(x)
            none = ir.Constant(x.type, None)
            # Keep NaN.
            x = builder.select(builder.fcmp_ordered("<", x, none), none, x)
            hidden.put(u, zero, x)
            add_to(builder, total, head.number(zero, u), x)
        logits.put(zero, at, builder.load(total))

    return _step(1, generate, products, weight, bias, head, hidden, logits)


@intrinsic
def pool_products(typingctx, at, products, shares, sums):
    """Add shares[0] products to sums."""

    def generate(builder, at, products, shares, sums):
        zero = ir.Constant(at.type, 0)
        share = shares.vector(zero, at)
        with cgutils.for_range(builder, products.n_rows) as loop:
            sums.add(loop.index, zero, share, products.vector(loop.index, at))

    return _step(1, generate, products, shares, sums)


@intrinsic
def share_gradient(typingctx, at, products, shares, upstream, out, sums):
    """Set out[0] = upstream^T products, and add shares[0] out[0] to sums."""

    def generate(builder, at, products, shares, upstream, out, sums):
        zero, total = ir.Constant(at.type, 0), products.register()
        with cgutils.for_range(builder, products.n_rows) as loop:
            d = loop.index
            add_to(builder, total, upstream.number(zero, d), products.vector(d, at))
        total = builder.load(total)
        out.put(zero, at, total)
        sums.add(zero, zero, shares.vector(zero, at), total)

    return _step(1, generate, products, shares, upstream, out, sums)


@intrinsic
def dense_gradients(
    typingctx,
    at,
    products,
    of_logits,
    head,
    hidden,
    of_hidden,
    of_weight,
    of_bias,
    of_head,
):
    """Compute of_hidden, and add to the gradients of W, b and the head.

    Row u k + d of ``of_weight`` is the gradient of W[u, d].
    """

    def generate(builder, at, products, of_logits, head, hidden, *outs):
        of_hidden, of_weight, of_bias, of_head = outs
        zero = ir.Constant(at.type, 0)
        above = of_logits.vector(zero, at)
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
                pair = products.vector(d, at)
                of_weight.add(builder.add(first, d), zero, mine, pair)

    outs = of_hidden, of_weight, of_bias, of_head
    return _step(1, generate, products, of_logits, head, hidden, *outs)


@intrinsic
def product_gradients(typingctx, at, shares, upstream, weight, of_hidden, out):
    """Set out = shares[0] upstream + W^T of_hidden."""

    def generate(builder, at, shares, upstream, weight, of_hidden, out):
        zero = ir.Constant(at.type, 0)
        share = shares.vector(zero, at)
        with cgutils.for_range(builder, out.n_rows) as loop:
            d = loop.index
            start = builder.fmul(share, upstream.number(zero, d))
            total = out.register(start)
            with cgutils.for_range(builder, weight.n_rows) as units:
                u = units.index
                add_to(builder, total, weight.number(u, d), of_hidden.vector(u))
            out.put(d, at, builder.load(total))

    return _step(1, generate, shares, upstream, weight, of_hidden, out)


@intrinsic
def split_gradients(
    typingctx, i, j, at, rows, by_factor, of_products, of_by_factor, of_first
):
    """Add the pairs of i with j and following to the gradients of e_j and e_i."""

    def generate(builder, i, j, at, rows, by_factor, of_products, *outs):
        of_by_factor, of_first = outs
        zero = ir.Constant(i.type, 0)
        with cgutils.for_range(builder, by_factor.n_rows) as loop:
            d = loop.index
            mine = of_products.vector(d, at)
            of_by_factor.add(d, j, rows.number(i, d), mine)
            of_first.add(d, zero, by_factor.vector(d, j), mine)

    outs = of_by_factor, of_first
    return _step(3, generate, rows, by_factor, of_products, *outs)
