"""Write the page of a table or figure, as HTML and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from relcon_lightning.markdown import inline, markdown_table
from relcon_lightning.reporting.page import write_page
from relcon_lightning.reporting.tables.figures import FIGURES
from relcon_lightning.reporting.tables.layout import LAYOUTS, comparisons
from relcon_lightning.reporting.tables.published import published
from relcon_lightning.reporting.tables.results import Results

SPREAD = {
    "table1": "± is the standard deviation over seeds.",
    "table2": "± is the standard deviation over seeds.",
    "table3": "± is the standard deviation over folds of participants, each scored separately.",
    "table4": "± is the standard deviation over folds of participants, each scored separately.",
    "table5": "The first row contains means; the other rows contain the change from them in percent.",
    "table6": "The first row contains means; the other rows contain the change from them in percent.",
    "table7": "± is the standard deviation over folds of participants, each scored separately.",
}
LEAK = (
    "The quoted numbers of RelCon fine-tuned and from scratch come from public code that also trains on test "
    "participants. Ours do not, and are lower for that reason alone."
)
QUOTED = (
    "Columns marked as quoted contain the published numbers. They were measured on private data with other weights. "
    "They are context, not a target for our numbers."
)


def write_book(
    name: str,
    title: str,
    found: Mapping[str, Results],
    facts: Mapping[str, object],
    notes: Sequence[str],
    folder: Path,
) -> Path:
    """Write ``NAME.html``, ``NAME.md`` and the figure as PNG.

    Args:
        name: Name of the table or figure, such as ``table1``.
        title: Title of the page.
        found: Evaluations by part of the page.
        facts: Facts that a reader needs, as a mapping from name to value.
        notes: Sentences that say what is missing, and why.
        folder: Output folder; created if missing.

    Returns:
        Path of the HTML page.
    """
    folder.mkdir(parents=True, exist_ok=True)
    judged = {f"Evaluated on, {part}": results.evaluation.data for part, results in found.items()}
    known = dict(facts) | judged
    simulated = any("SIMULATED" in str(text) for text in known.values())
    if simulated:
        known["Note"] = (
            "SIMULATED people show that the pipeline works. The results say nothing about real people or methods."
        )
    if notes:
        known["Missing"] = " ".join(notes)
    images: dict[str, bytes] = {}
    tables = {}
    text = SPREAD.get(name, "")
    if name in FIGURES:
        part, draw, caption = FIGURES[name]
        if part in found:
            images[caption] = draw(found[part])
            (folder / f"{name}.png").write_bytes(images[caption])
    else:
        tables = LAYOUTS[name](found) | comparisons(found)
        text = " ".join([text, QUOTED, *([LEAK] if name in ("table3", "table7") else []), published()["citation"]])
    lines = [f"# {inline(title)}", "", *(f"- {inline(key)}: {inline(value)}" for key, value in known.items()), ""]
    for heading, table in tables.items():
        lines += [f"## {inline(heading)}", "", *markdown_table(table), ""]
    lines += [text, "", *(f"![{inline(caption)}]({name}.png)\n" for caption in images)]
    (folder / f"{name}.md").write_text("\n".join(lines), "utf-8")
    return write_page(folder / f"{name}.html", title, known, tables, images, text)
