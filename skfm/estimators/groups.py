"""Groups of parameters, in the order in which they are documented."""

from collections.abc import Iterable

__all__ = ["GROUPS", "group_of", "in_groups"]

#: The important parameters of a group come first. What is named nowhere, such as the
#: parameters that a single architecture has, follows those of the model.
GROUPS = {
    "Model": ("loss", "quantile", "epsilon", "power", "n_factors"),
    "Regularisation": (
        "alpha_factors",
        "alpha_linear",
        "alpha",
        "dropout",
        "interaction_dropout",
        "l1_ratio_factors",
        "l1_ratio_linear",
    ),
    "Training": (
        "solver",
        "n_chains",
        "n_samples",
        "n_members",
        "max_iter",
        "learning_rate",
        "network_learning_rate",
        "batch_size",
        "early_stopping",
        "validation_fraction",
        "scoring",
        "hold_out",
        "n_iter_no_change",
        "tol",
        "class_weight",
        "negatives",
        "sampling",
        "user",
        "item",
        "n_pairs",
        "n_ranks",
        "optimizer",
        "momentum",
        "learning_rate_schedule",
        "warmup_epochs",
        "clip_norm",
        "init_from",
        "freeze",
        "init_scale",
    ),
    "Input": (
        "categorical_features",
        "shared_categories",
        "crosses",
        "fields",
        "field_pooling",
        "warn_unknown",
    ),
    "Run": (
        "random_state",
        "n_jobs",
        "verbose",
        "warm_start",
        "checkpoint",
        "cache",
        "device",
        "dtype",
        "precision",
    ),
}

_GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}


def group_of(name: str) -> str:
    """Return the group of a parameter."""
    return _GROUP_OF.get(name, "Model")


def in_groups(names: Iterable[str]) -> list[str]:
    """Return the names of parameters in the order of the groups."""
    rest = list(names)
    ordered = []
    for group, known in GROUPS.items():
        own = [name for name in rest if group_of(name) == group]
        listed = [name for name in known if name in own]
        ordered += listed + [name for name in own if name not in listed]
    return ordered
