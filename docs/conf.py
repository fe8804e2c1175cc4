"""How Sphinx builds the documentation: `make docs`."""

from __future__ import annotations

import importlib.metadata

project = "mvr_wrappers"
author = "The mvr_wrappers team"
release = version = importlib.metadata.version("mvr-wrappers")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["third_party_entry.md"]

html_theme = "celshast"
html_title = "mvr_wrappers"
html_static_path = ["pictures"]

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings give shapes and units, which types do not
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_use_rtype = False
napoleon_use_ivar = True
nitpicky = False
