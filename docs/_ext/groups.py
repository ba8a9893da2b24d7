"""Headings between the groups of an estimator's parameters."""

from itertools import groupby

from docutils import nodes
from sphinx import addnodes

from skfm.estimators.groups import group_of


def split_parameters(app, doctree):
    """Divide the parameters of each estimator into a list for each group."""
    if not app.env.docname.startswith("api/generated/skfm."):
        return
    for description in doctree.findall(addnodes.desc):
        if description.get("objtype") == "class":
            for field in description.findall(nodes.field):
                if field[0].astext() == "Parameters":
                    _split(field[1])


def _split(body):
    for parameters in list(body.findall(nodes.definition_list)):
        runs = [(g, list(run)) for g, run in groupby(parameters.children, _group)]
        if parameters.parent is not body or len(runs) < 3:
            continue
        parts = []
        for group, items in runs:
            parts += [nodes.paragraph("", group, classes=["skfm-group"])]
            parts += [nodes.definition_list("", *items)]
        parameters.replace_self(parts)


def _group(item):
    name = item[0].astext().partition(":")[0].strip()
    return group_of(name)


def setup(app):
    app.connect("doctree-read", split_parameters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
