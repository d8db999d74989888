"""Sphinx configuration."""

import sys
from importlib.metadata import version as distribution_version
from pathlib import Path

import lbproto.context
from lbproto.holds import RepeatKey
from lbproto.jobs.work import Work
from lbproto.middleware.credits import Meter
from lbproto.registry import Route
from lbproto.session import Session

project = "lbproto"
author = "The lbproto authors"
copyright = "2026, The lbproto authors"
release = distribution_version("lbproto")
version = release

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["event_reference", "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
default_role = "code"
myst_heading_anchors = 3

# The types of its fields are looked up in a struct's module, which has some for type checkers only.
vars(lbproto.context).update(
    Meter=Meter, RepeatKey=RepeatKey, Route=Route, Session=Session, Work=Work
)

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"lbproto {release}"
