"""Curves of trainings: small panels of all logged values, with all runs in each panel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

_LOSS, _PER_CANDIDATE = "loss", "loss per candidate"
CURVES: Mapping[str, tuple[str, ...]] = {
    _PER_CANDIDATE: ("train/loss_per_candidate", "val/loss_per_candidate"),
    _LOSS: ("train/loss", "val/loss"),
    "average precision": ("val/average_precision", "val/average_precision_chance"),
    "macro F1 of the online probe": ("val/knn_f1", "val/knn_f1_chance", "val/linear_f1", "val/linear_f1_chance"),
    "diversity of the embedding": ("val/diversity",),
    "alignment": ("val/alignment",),
    "uniformity": ("val/uniformity",),
    "distances within a person": tuple(f"val/distance_within_q{q}" for q in (10, 50, 90)),
    "distances between people": tuple(f"val/distance_between_q{q}" for q in (10, 50, 90)),
    "gradient norm": ("train/grad_norm",),
}
_FIXED = ("distances within a person", "distances between people")  # constant if the distance is frozen
_AGAINST_UNTRAINED = {"average precision", "macro F1 of the online probe"}
_LEFT_OUT = {"step", "epoch"}
_STEADY = 1e-3  # maximum relative change of a curve, or of a ratio of losses, that counts as constant
_LEGEND: Mapping[str, Any] = {
    "loc": "lower center",
    "bbox_to_anchor": (0.5, 1.0),
    "frameon": False,
    "fontsize": 7,
    "borderpad": 0.2,
    "handlelength": 1.2,
    "columnspacing": 0.8,
}
_ABOVE_LEGEND = 16  # points
_MARGIN = 0.03  # margin at both ends, as a fraction of the steps
_CALM = 0.1  # minimum height of an axis as a fraction of its values, so that noise is not magnified


def curves(runs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw small panels of all logged values over steps, with all runs in each panel.

    Panels of average precision and of the probe also show chance and the untrained network (the value at step 0).

    Args:
        runs: Mapping from run name to the table of Lightning's CSV logger, whose rows are partly empty.
    """
    panels = _panels(list(runs.values()))
    columns = min(4, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(3.1 * columns, 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    several = len(runs) > 1
    last = max((float(table["step"].max()) + 1 for table in runs.values() if len(table) and "step" in table), default=1)
    if several:  # one legend for the colours of the runs
        marks = [Line2D([], [], color=f"C{place}", label=run) for place, run in enumerate(runs)]
        figure.legend(handles=marks, loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, names) in zip(grid, panels.items(), strict=False):
        pale = several and any(name.startswith("val/") for name in names)  # draw training pale if validation is shown
        for place, table in enumerate(runs.values()):
            for line, name in enumerate(names):
                colour = f"C{place if several else line}"
                _draw(axes, table, name, colour, pale=pale, untrained=title in _AGAINST_UNTRAINED)
        legend = not several and len(axes.lines) > 1
        axes.set_title(title, fontsize=9, pad=_ABOVE_LEGEND if legend else None)
        axes.set_xlabel("step", fontsize=8)
        axes.set_xlim(-_MARGIN * last, (1 + _MARGIN) * last)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
        _calm(axes)
        if legend:  # between title and panel, where it covers no curve
            axes.legend(**_LEGEND, ncols=len(axes.lines))
    if any(_untrained(table).any() for table in runs.values()):
        figure.supxlabel("Step 0 is the untrained network, on validation people.", fontsize=8)
    return figure


def _untrained(table: pd.DataFrame) -> pd.Series:
    """Rows of the validation before the first step."""
    return table["step"] < 0


def _panels(tables: Sequence[pd.DataFrame]) -> dict[str, list[str]]:
    """Mapping from the title of each panel to its columns: first those with a fixed panel, then the others."""
    logged = dict.fromkeys(name for table in tables for name in table if table[name].notna().any())
    kept = {title: [name for name in names if name in logged] for title, names in CURVES.items()}
    placed = {name for names in kept.values() for name in names} | _LEFT_OUT
    for name in logged:
        if name not in placed:
            rest = str(name).rpartition("/")[2]
            kept.setdefault("learning rate" if rest.startswith("lr-") else rest.replace("_", " "), []).append(str(name))
    if all(map(_same_losses, tables)):
        kept.pop(_LOSS)
    for title in _FIXED:
        if all(_constant(table, kept[title]) for table in tables):
            kept.pop(title)
    return {title: names for title, names in kept.items() if names}


def _constant(table: pd.DataFrame, names: Sequence[str]) -> bool:
    """True if each curve has several points, which are equal up to rounding."""
    curves_of = [table[name].dropna() for name in names if name in table]
    return all(len(curve) > 1 and curve.max() - curve.min() <= _STEADY * abs(curve.max()) for curve in curves_of)


def _same_losses(table: pd.DataFrame) -> bool:
    """True if the loss is the loss per candidate times a number that is the same at all steps of a curve."""
    for whole in CURVES[_LOSS]:
        each = f"{whole}_per_candidate"
        if whole not in table or each not in table:
            return False
        ratio = (table[whole] / table[each]).dropna()
        if ratio.empty or ratio.max() - ratio.min() > _STEADY * abs(ratio.max()):
            return False
    return True


def _draw(axes: Axes, table: pd.DataFrame, name: str, colour: str, *, pale: bool, untrained: bool) -> None:
    """Draw one curve; logs count steps from 0 and contain the values after a step."""
    drawn = table[["step", name]].dropna() if name in table else table.iloc[:0]
    if not len(drawn):
        return
    steps, values = drawn["step"].to_numpy() + 1, drawn[name].to_numpy()
    style: dict[str, Any] = {"marker": "o" if len(drawn) < 30 else None, "markersize": 3, "color": colour}
    if name.endswith("_chance"):
        style |= {"marker": None, "linestyle": ":", "color": "#8a8d91"}
    elif name.startswith("train/") and pale:
        style |= {"alpha": 0.4, "marker": None}
    axes.plot(steps, values, label=_short(name), **style)
    if untrained and steps[0] == 0 and len(steps) > 1 and not name.endswith("_chance"):
        axes.axhline(values[0], linestyle="--", linewidth=1, color=colour, alpha=0.6, label="untrained")


def _short(name: str) -> str:
    """Labels of the curves of one panel."""
    stage, _, rest = name.rpartition("/")
    if rest.endswith("_chance"):
        return "chance"
    if "_q" in rest and (percent := rest.rsplit("_q", 1)[-1]).isdigit():
        return f"{percent} %"
    return stage or rest


def _calm(axes: Axes) -> None:
    """Make an axis span at least a tenth of its values."""
    low, high = axes.get_ylim()
    least = _CALM * max(abs(low), abs(high))
    if high - low < least:
        middle = (low + high) / 2
        axes.set_ylim(middle - least / 2, middle + least / 2)
