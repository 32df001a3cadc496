"""The contents of the site. Pages are written to be read in the repository too, so they hold no directive for it."""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_QUICK_START = "Quick start <../README>"
_RESULTS = "Experiments and benchmarks <results>"
CONTENTS: dict[str, dict[str, list[str]]] = {  # page -> caption -> pages below it
    "docs/index": {
        "": [_QUICK_START, "gallery/index", "method", "differences", "limits"],
        "How to": [
            *("own_cohort", "files", "choices", "runs", "sweeps", "search"),
            *("clusters", "dashboards", "publish", "tables"),
        ],
        "Results": [_RESULTS],
        "Reference": ["commands", "reference", "../CHANGELOG"],
        "Development": ["../CONTRIBUTING", "add_method", "add_data", "../tests/README"],
    },
    "docs/reference": {
        "": [
            *("reference/top", "reference/methods", "reference/losses", "reference/nets", "reference/augment"),
            *("reference/data", "reference/downstream", "reference/callbacks", "reference/checkpoint"),
            "reference/errors",
        ]
    },
    "docs/results": {
        "": ["../experiments/README", "../experiments/*/*", "../benchmarks/README", "../benchmarks/*"],
    },
}


def _toctree(caption: str, pages: list[str]) -> str:
    options = [":hidden:", ":glob:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["```{toctree}", *options, "", *pages, "```"])


def add_contents(app: Sphinx, page: str, source: list[str]) -> None:
    """Add the contents below a page, and link tutorials to their pages with output and pictures."""
    trees = [_toctree(caption, pages) for caption, pages in CONTENTS.get(page, {}).items()]
    text = re.sub(r"(\]\((?:docs/)?)tutorials/(\w+)\.py\)", r"\1gallery/\2.rst)", source[0])
    source[0] = "\n\n".join([text, *trees])


def setup(app: Sphinx) -> dict[str, bool]:
    """Call :func:`add_contents` for each page that Sphinx reads."""
    app.connect("source-read", add_contents)
    return {"parallel_read_safe": True}
