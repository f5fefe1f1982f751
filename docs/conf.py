"""How Sphinx builds these pages: `make docs`."""

from __future__ import annotations

import sys
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parent
# The commands of plugins that are not installed here are described, too.
sys.path[:0] = [str(_HERE), str(_ROOT), *map(str, sorted(_ROOT.glob("plugins/hsup-*")))]

import docstrings  # noqa: E402 - found by the path above
import generated  # noqa: E402

from hsup import __version__  # noqa: E402

project = "hsup"
author = "The hsup Contributors"
copyright = f"{author}; BSD, two clauses"  # noqa: A001 - Sphinx's name for it
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["build"]
root_doc = "index"
default_role = "code"  # docstrings have one backtick on each side, as Markdown has
# Anchors of headings as a git host makes them, so that links work there and here.
myst_heading_anchors = 4
myst_enable_extensions = ["deflist", "fieldlist"]
nitpicky = False  # types of the standard library would need its inventory, from the network

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_class_signature = "mixed"
autodoc_preserve_defaults = True
add_module_names = False
python_use_unqualified_type_names = True
pygments_style = "friendly"

html_theme = "furo"
html_title = f"hsup {__version__}"
html_static_path = ["static"]
html_css_files = ["hsup.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}


def setup(app):
    """Fill in what is made from the code, and read docstrings as they are written."""
    app.connect("source-read", generated.fill_in)
    app.connect("autodoc-process-docstring", docstrings.to_restructured_text)
    app.connect("autodoc-process-signature", docstrings.leave_out_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
