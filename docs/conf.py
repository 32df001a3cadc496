"""The documentation's site: ``make docs``. Its sources are the pages of the repository, where they stand."""

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "relcon-lightning"
release = importlib.metadata.version("relcon-lightning")
extensions = [
    "command_help",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    *(["sphinx_copybutton"] if importlib.util.find_spec("sphinx_copybutton") else []),
]
copybutton_exclude = ".linenos, .gp"

root_doc = "docs/index"
include_patterns = ["*.md", "tests/README.md", "docs/**.md", "experiments/**.md", "benchmarks/*.md"]
exclude_patterns = ["SECURITY.md"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # links as GitHub makes them: page.md#a-heading

html_theme = "furo"
html_show_copyright = False
html_title = "relcon-lightning"
html_additional_pages = {"index": "front.html"}  # the folder's own address leads to the first page
templates_path = ["."]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
