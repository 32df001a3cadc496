"""Draw ``docs/results.svg`` from the measured table of experiments/open_wrist: ``python docs/results_figure.py``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

DOCS = Path(__file__).parent
PAGE = DOCS.parent / "experiments" / "open_wrist" / "README.md"
OURS = ("open-wrist-small", "RelCon")
SYSTEMS = (*OURS, "SimCLR", "REBAR", "AugPred", "random encoder", "hand-crafted + forest")
_CELL = re.compile(r"(?P<mean>[\d.]+) \[(?P<low>[\d.]+), (?P<high>[\d.]+)\]")

Scores = dict[str, dict[str, tuple[float, float, float]]]


def read_scores(text: str) -> Scores:
    """Macro F1 of windows from the page's first table: data set, system, then mean and 95 % interval (low, high)."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("| windows |"))
    sets = [cell.strip() for cell in lines[first].strip("|").split("|")[1:]]
    scores: Scores = {name: {} for name in sets}
    for line in lines[first + 2 :]:
        if not line.startswith("|"):
            break
        system, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        for name, cell in zip(sets, cells, strict=True):
            found = _CELL.match(cell)
            assert found, f"{PAGE}: {cell}"
            mean, low, high = (float(found[key]) for key in ("mean", "low", "high"))
            scores[name][re.split(r"[(,]", system)[0].strip("* ")] = (mean, low, high)
    return scores


def draw(scores: Scores, path: Path) -> None:
    """One panel per data set: a dot per system at its mean, with its 95 % interval over people."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "results", "font.size": 9})
    figure = Figure(figsize=(10, 2.8), layout="constrained")
    panels = figure.subplots(1, len(scores), sharey=True)
    for axes, (name, systems) in zip(panels, scores.items(), strict=True):
        for row, system in enumerate(SYSTEMS):
            mean, low, high = systems[system]
            color = "#1f5fa8" if system in OURS else "#7b8794"
            axes.errorbar(mean, row, xerr=[[mean - low], [high - mean]], fmt="o", color=color, capsize=3)
        where, *rest = name.split(", ")
        axes.set_title(f"{where}\n{', '.join(rest)}", fontsize=9)
        axes.set_xlabel("macro F1")
        axes.grid(axis="x", color="#e4e7eb")
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(range(len(SYSTEMS)), SYSTEMS)
    panels[0].invert_yaxis()
    figure.savefig(
        path, metadata={"Date": None, "Creator": None, "Description": json.dumps(scores, ensure_ascii=False)}
    )


if __name__ == "__main__":
    draw(read_scores(PAGE.read_text("utf-8")), DOCS / "results.svg")
