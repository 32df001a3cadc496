"""How the tutorials are run when the site is built: without logs, and with the figures that the library returns."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import lightning.pytorch  # sets the level of its logs
from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst


def quiet(gallery_conf: dict[str, Any], fname: str) -> None:
    """Hide the logs and warnings of libraries. A tutorial prints what its reader needs."""
    warnings.simplefilter("ignore")
    for name in (lightning.pytorch.__name__, "lightning.fabric", "relcon_lightning"):
        logging.getLogger(name).setLevel(logging.ERROR)


def returned_figures(block: Any, block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Show a figure that the last line of a cell returns, as a notebook does.

    pyplot does not know figures of :class:`matplotlib.figure.Figure`, and so Sphinx-Gallery does not see them.
    """
    figure = block_vars["example_globals"].get("___")
    if not isinstance(figure, Figure) or hasattr(figure, "number"):  # pyplot numbers its own
        return ""
    path = next(block_vars["image_path_iterator"])
    figure.savefig(path, dpi=120)
    return str(figure_rst([path], gallery_conf["src_dir"]))
