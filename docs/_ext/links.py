"""Links from the guide to the reference and back, made from the names in the text."""

from docutils import nodes
from names import foreign_url, full_name
from sphinx import addnodes

#: Pages whose backquotes are links by the default role of reStructuredText already.
REFERENCE = ("api/", "auto_examples/")


def link_names(app, doctree):
    """Make links of the names in literals of the guide, and remember the pages."""
    docname = app.env.docname
    if docname.startswith(REFERENCE):
        return
    mentions = app.env.skfm_mentions.setdefault(docname, set())
    for literal in list(doctree.findall(nodes.literal)):
        target = full_name(literal.astext())
        if target is None or isinstance(literal.parent, nodes.reference):
            continue
        if target.startswith("skfm"):
            mentions.add(target)
        link = addnodes.pending_xref(
            "",
            refdoc=docname,
            refdomain="py",
            reftype="obj",
            reftarget=target,
            refexplicit=True,
            refwarn=False,
        )
        literal.replace_self(link)
        link += literal


def link_foreign(app, env, node, contnode):
    """Resolve names of other libraries, such as `sklearn.pipeline.Pipeline`."""
    url = foreign_url(node.get("reftarget", ""))
    if url is None:
        return None
    return nodes.reference("", "", contnode, refuri=url, internal=False)


def link_back(app, doctree, docname):
    """List the pages of the guide that name the object of a page of the reference."""
    name = docname.removeprefix("api/generated/")
    pages = sorted(
        page for page, names in app.env.skfm_mentions.items() if name in names
    )
    if not pages or name == docname:
        return
    line = nodes.paragraph("", "In the guide: ", classes=["skfm-mentions"])
    for number, page in enumerate(pages):
        title = app.env.titles[page].astext()
        uri = app.builder.get_relative_uri(docname, page)
        line += nodes.Text(", " if number else "")
        line += nodes.reference("", title, refuri=uri, internal=True)
    line += nodes.Text(".")
    next(doctree.findall(nodes.section)).append(line)


def _start(app):
    if not hasattr(app.env, "skfm_mentions"):
        app.env.skfm_mentions = {}


def _purge(app, env, docname):
    getattr(env, "skfm_mentions", {}).pop(docname, None)


def _merge(app, env, docnames, other):
    env.skfm_mentions |= {name: other.skfm_mentions[name] for name in docnames}


def setup(app):
    app.connect("builder-inited", _start)
    app.connect("env-purge-doc", _purge)
    app.connect("env-merge-info", _merge)
    app.connect("doctree-read", link_names)
    app.connect("missing-reference", link_foreign)
    app.connect("doctree-resolved", link_back)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
