"""Sphinx configuration."""

import sys
from importlib.metadata import version as distribution_version
from pathlib import Path

from pygments.lexers.special import TextLexer
from sphinx.application import Sphinx

import lbproto.context
from lbproto.jobs.work import Work
from lbproto.middleware.credits import Meter

project = "lbproto"
author = "The lbproto authors"
copyright = "2026, The lbproto authors"
release = distribution_version("lbproto")
version = release

_DOCS = Path(__file__).parent
# Directives are here; one asks the tests what is published.
sys.path[:0] = [str(_DOCS), str(_DOCS.parent)]
extensions = [
    "dependency_table",
    "event_reference",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
default_role = "code"
myst_heading_anchors = 3

# The types of its fields are looked up in a struct's module, which cannot import these: they import
# it.
vars(lbproto.context).update(Meter=Meter, Work=Work)

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"lbproto {release}"
html_static_path = ["_static"]
html_css_files = ["messages.css", "pairs.css", "tables.css"]


def setup(app: Sphinx) -> None:
    """Commands of Redis are a language of which Pygments knows nothing."""
    app.add_lexer("redis", TextLexer)
