"""Tracing of networks to ONNX graphs that compute raw scores."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..data.scaling import ALMOST_ZERO, ColumnScaling
from ..nn.network import Network
from ..sparse import EntryLookup, FieldLookup, Lookup, PooledLookup, SampleLookup

OPSET = 17


class PaddedScores(nn.Module):
    """Module that computes raw scores of rows given by padded columns and values.

    It replaces the look-up by kernels with operations of torch that ONNX has. The
    layers are those of the network.

    Parameters
    ----------
    network : Network
        Network to export.
    mean_fields : ndarray of shape (n_columns,) or None
        Fields whose entries are averaged: see `skfm.data.rows.Rows`.
    scaling : ColumnScaling or None
        Units in which the network reads the columns.
    """

    weight: Tensor
    fields: Tensor
    mean_fields: Tensor

    def __init__(
        self,
        network: Network,
        mean_fields: np.ndarray | None,
        scaling: ColumnScaling | None = None,
    ) -> None:
        super().__init__()
        self.network = _in_float32(network)
        shape, table = network.shape, network.table
        self.n_linear, self.lookup = table.n_linear, network.lookup
        self.n_fields = shape.n_fields
        self.n_mean = 0 if mean_fields is None else int(mean_fields.max()) + 1
        self.register_buffer("weight", table.weight[:].cpu().float())
        for name, fields in (("fields", shape.fields), ("mean_fields", mean_fields)):
            known = np.zeros(1) if fields is None else fields
            self.register_buffer(name, torch.from_numpy(known.astype(np.int64)))
        self.units = None if scaling is None else Units(scaling)

    def forward(self, columns: Tensor, values: Tensor) -> Tensor:
        """Map columns and values (B, m), padded with zeros, to scores (B, C)."""
        if self.units is not None:
            columns, values = self.units(columns, values)
        present = (values != 0).to(values.dtype)
        if self.n_mean:
            values = values / self._times(columns, present)
        values = self.network.scale_values(values)
        if self.lookup == "by_nonzero":
            columns, values, present = _gathered(columns, values, present)
        return self._scores(columns, values, present)

    def _times(self, columns: Tensor, present: Tensor) -> Tensor:
        """Count the entries of a row in the field of each entry, 1 for padding."""
        fields = self.mean_fields[columns]
        members = (fields[..., None] == torch.arange(self.n_mean)).to(present.dtype)
        counts = (members * present[..., None]).sum(dim=1)  # (B, F)
        return counts.gather(1, fields).clamp(min=1)

    def _scores(self, columns: Tensor, values: Tensor, present: Tensor) -> Tensor:
        entries = self.weight[columns] * values[..., None]  # (B, m, C + k)
        linear = entries[..., : self.n_linear].sum(dim=1)
        embeddings = entries[..., self.n_linear :]
        lengths = present.sum(dim=1).to(torch.int64)
        if self.lookup == "by_field":
            members = self.fields[columns][..., None] == torch.arange(self.n_fields)
            slots = members.to(values.dtype).transpose(1, 2) @ embeddings
            lookup: Lookup = FieldLookup(linear, lengths, slots)
        elif self.lookup == "by_nonzero":
            real = columns[present.bool()]
            lookup = EntryLookup(linear, lengths, embeddings, real)
        else:
            squares = embeddings.square().sum(dim=1)
            if self.lookup == "pooled_total":
                squares = squares.sum(dim=1, keepdim=True)
            lookup = PooledLookup(linear, lengths, embeddings.sum(dim=1), squares)
            if self.lookup == "by_sample":
                lookup = SampleLookup.of(lookup)
        scores: Tensor = self.network(lookup)
        return scores


class Units(nn.Module):
    """Values of padded rows in the units of a network: see `ColumnScaling`."""

    center: Tensor
    scale: Tensor
    centered: Tensor

    def __init__(self, scaling: ColumnScaling) -> None:
        super().__init__()
        self.register_buffer("center", torch.from_numpy(scaling.center).float())
        self.register_buffer("scale", torch.from_numpy(scaling.scale).float())
        self.register_buffer("centered", torch.from_numpy(scaling.centered))

    def forward(self, columns: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Scale values, and add entries for what centered columns lack."""
        present = values != 0
        scaled = (values - self.center[columns]) / self.scale[columns]
        scaled = torch.where(scaled == 0, ALMOST_ZERO, scaled)
        scaled = torch.where(present, scaled, 0.0)
        if not len(self.centered):
            return columns, scaled
        held = (columns[..., None] == self.centered) & present[..., None]
        absent = held.to(values.dtype).sum(dim=1) == 0  # (B, centered columns)
        added = -self.center[self.centered] / self.scale[self.centered]
        added = torch.where(absent, added.expand(absent.shape), 0.0)
        more = self.centered.expand(absent.shape)
        return torch.cat([columns, more], dim=1), torch.cat([scaled, added], dim=1)


class DenseScores(nn.Module):
    """Module that computes raw scores of dense rows (B, n_columns)."""

    def __init__(self, scores: PaddedScores) -> None:
        super().__init__()
        self.scores = scores

    def forward(self, X: Tensor) -> Tensor:
        columns = torch.arange(X.shape[1]).expand(X.shape)
        scores: Tensor = self.scores(columns, X)
        return scores


def _gathered(columns: Tensor, values: Tensor, present: Tensor) -> tuple[Tensor, ...]:
    """Move the padding behind the entries, and keep the order of the entries."""
    m = columns.shape[1]
    _, order = (present * (m - torch.arange(m))).topk(m, dim=1)
    return tuple(part.gather(1, order) for part in (columns, values, present))


def _in_float32(network: Network) -> Network:
    """Copy the network to the CPU, with an empty table."""
    config = dict(network.config)
    config["shape"] = replace(network.shape, dtype="float32", device="cpu")
    if "precision" in config:
        config["precision"] = "full"  # runtimes lack products in bfloat16
    twin = network.build(**config)
    tensors = network.state_dict()
    twin.load_dense({k: t.detach().cpu().numpy() for k, t in tensors.items()})
    twin.eval()
    return twin


class _Exportable(TorchFunctionMode):
    """Mode that replaces an operation that the exporter lacks by others."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if func is torch.triu_indices:
            n_rows, n_columns, offset = args
            rows, columns = torch.arange(n_rows), torch.arange(n_columns)
            return (columns >= rows[:, None] + offset).nonzero().T
        return func(*args, **(kwargs or {}))


def trace(
    network: Network,
    mean_fields: np.ndarray | None,
    scaling: ColumnScaling | None = None,
    *,
    dense: bool,
) -> bytes:
    """Return the serialised ONNX model that maps rows to raw scores.

    Its inputs are ``X`` with ``dense``, and ``columns`` and ``values`` without. Its
    output is ``scores``. The numbers of rows and of entries per padded row may vary.
    """
    padded = PaddedScores(network, mean_fields, scaling).eval()
    n_columns = network.shape.n_columns
    module: nn.Module = DenseScores(padded) if dense else padded
    # The example has axes longer than one, which the trace would treat as constants.
    example: tuple[Tensor, ...] = (torch.ones(3, n_columns),)
    names, axes = ["X"], {"X": {0: "rows"}}
    if not dense:
        n_entries = min(n_columns, 5)
        columns = torch.arange(n_entries).expand(3, n_entries)
        example = (columns, torch.ones(columns.shape))
        names = ["columns", "values"]
        axes = {name: {0: "rows", 1: "entries"} for name in names}
    file = io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad(), _Exportable():
        _ignore_known_warnings()
        torch.onnx.export(
            module,
            example,
            file,  # type: ignore[arg-type]  # the tracing exporter takes it
            dynamo=False,
            input_names=names,
            output_names=["scores"],
            dynamic_axes={**axes, "scores": {0: "rows"}},
            opset_version=OPSET,
        )
    return file.getvalue()


def _ignore_known_warnings() -> None:
    """Ignore the known warnings of the exporter, and no others."""
    # The exporter that traces is deprecated, though no removal is announced. Its
    # successor (dynamo=True) was measured with torch 2.13 and onnxscript 0.7: a model
    # takes 6 to 23 s to export, where tracing takes less than 1 s. It fixes the number
    # of entries per row in the graph of AFM, and needs two more packages.
    warnings.simplefilter("ignore", DeprecationWarning)
    # Loops over pairs of fields have the same length for all rows.
    warnings.simplefilter("ignore", torch.jit.TracerWarning)
    # Indices are never negative.
    warnings.filterwarnings("ignore", "Exporting aten::index operator", UserWarning)
