"""Naive float64 NumPy versions of the models: loops over rows and pairs.

They read a network's arrays by name (`Network.arrays`), never its code.
"""

import itertools

import numpy as np
import torch

from skfm.data.csr import canonical_csr
from skfm.data.rows import Rows
from skfm.models.afm import AFMNetwork
from skfm.models.deepfm import DeepFMNetwork
from skfm.models.nfm import NFMNetwork
from skfm.nn.factorization import FMNetwork
from skfm.nn.shape import Shape

#: Two hidden layers of different widths, so that a transposed weight cannot pass.
MLP = {
    "hidden_layer_sizes": (7, 5),
    "activation": "relu",
    "dropout": 0.0,
    "batch_norm": True,
}
NETWORKS = {
    "FM": (FMNetwork, {}),
    "NFM": (NFMNetwork, {**MLP, "interaction_dropout": 0.0}),
    "DeepFM": (DeepFMNetwork, MLP),
    "AFM": (AFMNetwork, {"attention_size": 6, "interaction_dropout": 0.0}),
}
BATCH_NORM_EPSILON = 1e-3


def batch_of(X, dtype="float64"):
    """All rows of a dense X as one batch."""
    X = canonical_csr(np.asarray(X, dtype))
    return Rows(X, dtype).span(0, X.shape[0])


def scores_of(network, X):
    """A network's raw scores of a dense X, (n, C)."""
    return network.score(batch_of(X, network.shape.dtype)).numpy()


def interactions_of(network, X):
    """Scores beyond bias and linear part, (n, C)."""
    lookup = network.table.look_up(batch_of(X, network.shape.dtype))
    with torch.no_grad():
        return network.interaction(lookup).numpy()


@torch.no_grad()
def random_network(name, n_columns=9, n_factors=4, n_outputs=1, *, seed=0, **options):
    """An architecture in eval mode, every weight and running statistic drawn."""
    network_class, defaults = NETWORKS[name]
    shape_options = {k: options.pop(k) for k in ("fields", "dtype") if k in options}
    shape_options.setdefault("dtype", "float64")
    if name == "DeepFM":
        shape_options.setdefault("fields", np.arange(n_columns, dtype=np.int32) // 3)
    shape = Shape(n_columns, n_factors, n_outputs, **shape_options)
    network = network_class.build(shape, **{**defaults, **options})
    rng = np.random.default_rng(seed)
    for tensor in [*network.table.weight.tensors(), *network.parameters()]:
        tensor.copy_(torch.from_numpy(0.7 * rng.standard_normal(tuple(tensor.shape))))
    for key, buffer in network.named_buffers():
        if "running" in key:
            buffer.copy_(torch.from_numpy(rng.uniform(0.3, 1.5, tuple(buffer.shape))))
    return network.eval()


def copy_arrays(network):
    return {k: v.astype(np.float64) for k, v in network.arrays().items()}


def linear_and_factors(network):
    """w of shape (n, C) and V of shape (n, k)."""
    arrays = copy_arrays(network)
    return arrays["linear"], arrays["factors"]


def bi_interaction(x, V):
    """Sum over i < j of the element-wise products x_i v_i * x_j v_j, (k,)."""
    total = np.zeros(V.shape[1])
    for i, j in itertools.combinations(np.flatnonzero(x), 2):
        total += x[i] * x[j] * V[i] * V[j]
    return total


def attention_pooling(x, V, arrays):
    """AFM's sum over pairs, weighted by a softmax over the row's pairs, (k,)."""
    products, logits = [], []
    for i, j in itertools.combinations(np.flatnonzero(x), 2):
        product = x[i] * x[j] * V[i] * V[j]
        W, b = arrays["attention.hidden.weight"], arrays["attention.hidden.bias"]
        products.append(product)
        logits.append(np.maximum(W @ product + b, 0) @ arrays["attention.projection"])
    if not products:
        return np.zeros(V.shape[1])
    attention = np.exp(np.array(logits) - max(logits))
    attention /= attention.sum()
    return sum(a * product for a, product in zip(attention, products, strict=True))


def batch_norm(x, arrays, prefix):
    centred = x - arrays[f"{prefix}.running_mean"]
    normed = centred / np.sqrt(arrays[f"{prefix}.running_var"] + BATCH_NORM_EPSILON)
    return normed * arrays[f"{prefix}.weight"] + arrays[f"{prefix}.bias"]


def mlp(x, arrays):
    """ReLU layers: linear, batch norm if there is one, ReLU; a linear output."""
    numbers = sorted(
        {int(key.split(".")[2]) for key in arrays if key.startswith("mlp.hidden.")}
    )
    for number in numbers:
        prefix = f"mlp.hidden.{number}"
        if f"{prefix}.running_mean" in arrays:
            continue
        # A layer before a batch norm needs no bias of its own.
        x = arrays[f"{prefix}.weight"] @ x + arrays.get(f"{prefix}.bias", 0)
        if f"mlp.hidden.{number + 1}.running_mean" in arrays:
            x = batch_norm(x, arrays, f"mlp.hidden.{number + 1}")
        x = np.maximum(x, 0)
    return arrays["mlp.output.weight"] @ x + arrays.get("mlp.output.bias", 0)


def head(pooled, arrays):
    """Sum of the factors, or one weighted sum per output."""
    weight = arrays.get("head.weight")
    return pooled.sum() if weight is None else pooled @ weight


def fm(x, V, arrays, fields):
    return head(bi_interaction(x, V), arrays)


def nfm(x, V, arrays, fields):
    pooled = bi_interaction(x, V)
    if "norm.weight" in arrays:
        pooled = batch_norm(pooled, arrays, "norm")
    return mlp(pooled, arrays)


def deepfm(x, V, arrays, fields):
    embeddings = [
        sum((x[i] * V[i] for i in np.flatnonzero(fields == f)), np.zeros(V.shape[1]))
        for f in range(fields.max() + 1)
    ]
    pairs = sum(a * b for a, b in itertools.combinations(embeddings, 2))
    return head(pairs, arrays) + mlp(np.concatenate(embeddings), arrays)


def afm(x, V, arrays, fields):
    return attention_pooling(x, V, arrays) @ arrays["projection.weight"]


INTERACTIONS = {"FM": fm, "NFM": nfm, "DeepFM": deepfm, "AFM": afm}


def naive_interactions(name, network, X):
    """Scores beyond bias and linear part, (n, C), row by row."""
    arrays, (_, V) = copy_arrays(network), linear_and_factors(network)
    scores = [INTERACTIONS[name](x, V, arrays, network.shape.fields) for x in X]
    return np.reshape(scores, (len(X), network.shape.n_outputs))


def naive_scores(name, network, X):
    """Raw scores (n, C), row by row."""
    w, _ = linear_and_factors(network)
    linear = np.array([sum(x[i] * w[i] for i in range(len(x))) for x in X])
    bias = copy_arrays(network)["bias"]
    return bias + linear + naive_interactions(name, network, X)
