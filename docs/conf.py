"""Configuration of Sphinx, which builds the documentation (`make docs`).

The build needs no network and ends with an error if it raises a warning.
"""

import re
import sys
import tomllib
from pathlib import Path

import matplotlib as mpl
from sphinx_gallery.sorting import ExplicitOrder

import skfm

mpl.use("agg")
HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(HERE / "_ext"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]

project = "skfm"
author = "the skfm developers"
copyright = author
version = release = skfm.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "groups",
    "links",
]
exclude_patterns = ["_build", "_templates", "auto_examples/*.ipynb"]
if not (ROOT / "benchmarks" / "RESULTS.md").exists():
    # `make bench` writes this file. The page about it is left out if it is missing.
    exclude_patterns.append("benchmarks/results.md")
templates_path = ["_templates"]
# Names in backquotes in docstrings, such as `FMClassifier`, are links if they exist.
default_role = "py:obj"

# Pages in Markdown.
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

# The pages of the reference are made by templates, which list the members.
autosummary_generate = True
autosummary_imported_members = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"
autodoc_member_order = "alphabetical"
numpydoc_show_class_members = False

# The gallery runs scripts named plot_*.py when the pages are built. The others take
# minutes and are shown with a picture from docs/images.
sphinx_gallery_conf = {
    "examples_dirs": [str(ROOT / "examples")],
    "gallery_dirs": ["auto_examples"],
    "filename_pattern": r"[\\/]plot_",
    "ignore_pattern": r"[\\/]output[\\/]",
    "within_subsection_order": ExplicitOrder(
        [
            "plot_raw_dataframe.py",
            "flights.py",
            "plot_flight_crosses.py",
            "plot_flight_explained.py",
            "plot_attention.py",
            "plot_ranking.py",
            "*",
        ]
    ),
    "abort_on_example_error": True,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "capture_repr": (),
    "write_computation_times": False,
    "plot_gallery": "True",
    # The pages of the reference list the examples that use their object.
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skfm",),
}

# Output is not for copying, nor are prompts.
copybutton_selector = "div:not(.highlight-output) > div.highlight > pre"
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
viewcode_line_numbers = True

html_theme = "pydata_sphinx_theme"
html_title = "skfm"
html_static_path = ["_static"]
html_css_files = ["skfm.css"]
html_logo = html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
toc_object_entries_show_parents = "hide"
# Pages without subpages have no sidebar.
LEAVES = [
    "index",
    "getting_started",
    "models",
    "installation",
    "add_an_architecture",
    "extend",
    "changelog",
    "deprecation",
]
html_sidebars = {page: [] for page in LEAVES}
html_theme_options = {
    "show_toc_level": 2,
    "navbar_persistent": ["search-button"],
    "navigation_with_keys": False,
    "header_links_before_dropdown": 6,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc", "edit-this-page"],
    "logo": {"text": f"skfm {release.partition('.dev')[0]}"},
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}

# Links to the repository, once pyproject.toml names one: an icon, and "Edit this page".
REPOSITORY = PROJECT.get("urls", {}).get("Repository", "").rstrip("/")
if REPOSITORY:
    html_theme_options["icon_links"] = [
        {"name": "Repository", "url": REPOSITORY, "icon": "fa-solid fa-code-branch"}
    ]
    html_theme_options["navbar_end"] = ["theme-switcher", "navbar-icon-links"]
    html_theme_options["use_edit_page_button"] = True
    html_context = {
        "edit_page_url_template": f"{REPOSITORY}/edit/main/docs/{{{{ file_name }}}}",
        "edit_page_provider_name": "the repository",
    }


#: Links to sections of scikit-learn's guide, with and without a title.
TITLED = re.compile(r":ref:`([^`<]+?)\s*<[^`>]+>`")
UNTITLED = re.compile(r":ref:`[^`<]+`")


def name_foreign_sections(app, what, name, obj, options, lines):
    """Replace these links in the docstrings of inherited methods by text."""
    text = [TITLED.sub(r"\1", line) for line in lines]
    lines[:] = [UNTITLED.sub("scikit-learn's guide", line) for line in text]


def setup(app):
    app.connect("autodoc-process-docstring", name_foreign_sections)
