"""The documentation's site: ``make docs``. Its sources are the pages of the repository, where they stand."""

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

project = "relcon-lightning"
release = importlib.metadata.version("relcon-lightning")
extensions = [
    "contents",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    *(["sphinx_copybutton"] if importlib.util.find_spec("sphinx_copybutton") else []),
]
copybutton_exclude = ".linenos, .gp"

root_doc = "docs/index"
include_patterns = ["*.md", "tests/README.md", "docs/**.md", "docs/gallery/*.rst"]
include_patterns += ["experiments/**.md", "benchmarks/*.md"]
exclude_patterns = ["SECURITY.md"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3  # links as GitHub makes them: page.md#a-heading

# Each name in a signature or docstring must lead to its page.
nitpicky = True
nitpick_ignore_regex = [
    # other packages: their inventories are on the web, and the site is built offline
    (
        r"py:.*",
        r"(abc|collections|datetime|jaxtyping|lightning|matplotlib|nn|numpy|pandas|pathlib|pd|sklearn|torch|typing)\..+",
    ),
    (r"py:class", r"Path|Optimizer|LRScheduler|Tensor|Float|Bool|Int|Shaped|np\.ndarray"),
    (r"py:class", r"'.*'"),  # shapes of jaxtyping: 'B 3 T'
    # modules without a page, whose classes the users of a documented class do not meet
    (r"py:.*", r"relcon_lightning\.(data\.stream|data\.store\.\w+|training\.\w+)\.\w+"),
    # aliases of types in the arguments of classes, which autodoc does not evaluate
    (r"py:class", r"Bucket|Folder|Nets|RankingLoss|Stem|Verify|Views"),
    # private bases and type variables
    (r"py:.*", r"relcon_lightning\..+\.(_\w+|P|T)"),
]

# docs/tutorials/*.py are executed. A page is made again when its program has changed, or docs/gallery is removed.
sphinx_gallery_conf = {
    "examples_dirs": ["docs/tutorials"],
    "gallery_dirs": ["docs/gallery"],
    "filename_pattern": r"\.py$",
    "image_scrapers": ["matplotlib", "tutorial_pages.returned_figures"],
    "reset_modules": ["matplotlib", "tutorial_pages.quiet"],
    "capture_repr": ["_repr_html_"],
    "within_subsection_order": "ExampleTitleSortKey",
    "abort_on_example_error": True,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "furo"
html_show_copyright = False
html_title = "relcon-lightning"
html_additional_pages = {"index": "front.html"}  # the folder's own address leads to the first page
templates_path = ["."]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
