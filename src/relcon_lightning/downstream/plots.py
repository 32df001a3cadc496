"""Figures of the report, as PNG bytes. Drawn with matplotlib's objects: no global state, no display."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_COLOURS = ("#1b6ca8", "#c8553d", "#8a8d91", "#588b4a", "#7d5ba6", "#d9a441")


def score_bars(scores: pd.DataFrame, metric: str, title: str) -> bytes:
    """Bars of one metric, a group a level and a bar a system, with the standard deviation over seeds."""
    means = scores[scores["metric"] == metric].groupby(["system", "level"])["value"].mean()
    levels, systems = list(scores["level"].unique()), list(scores["system"].unique())
    chosen = scores[scores["metric"] == metric]
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(systems)
    for i, system in enumerate(systems):
        groups = [chosen[(chosen["system"] == system) & (chosen["level"] == level)]["value"] for level in levels]
        places = np.arange(len(levels)) + (i - (len(systems) - 1) / 2) * width
        heights, stds = [g.mean() for g in groups], [g.std(ddof=0) for g in groups]
        colour = _COLOURS[i % len(_COLOURS)]
        bars = axes.bar(places, heights, width * 0.9, yerr=stds, capsize=3, label=system, color=colour)
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=8)
    axes.set_xticks(range(len(levels)), levels)
    axes.set_ylim(0, 1.15 * means.max())
    axes.set_ylabel(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(len(systems), 4), frameon=False, fontsize=8)
    return _png(figure)


def confusion(label: np.ndarray, predicted: np.ndarray, classes: Sequence[str], title: str) -> bytes:
    """Confusion matrix; cells hold counts, shades the share of the true class."""
    index = {name: i for i, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, ([index[x] for x in label], [index[x] for x in predicted]), 1)
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = 2.2 + 0.42 * len(classes)
    figure = Figure(figsize=(size, size * 0.92), layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.argwhere(counts > 0):
        colour = "white" if share[row, column] > 0.55 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=colour, fontsize=8)
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.set(xlabel="predicted", ylabel="true")
    axes.set_title(title, fontsize=10)
    return _png(figure)


def scatter(target: np.ndarray, predicted: np.ndarray, participant: np.ndarray, unit: str, title: str) -> bytes:
    """Predicted against true numbers of windows, each participant's average on top, and the line of no error."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    low, high = np.min([target.min(), predicted.min()]), np.max([target.max(), predicted.max()])
    axes.plot([low, high], [low, high], color="#8a8d91", linewidth=1, label="no error")
    axes.scatter(target, predicted, s=6, alpha=0.25, color=_COLOURS[0], linewidths=0, label="window")
    means = pd.DataFrame({"target": target, "predicted": predicted}).groupby(participant).mean()
    axes.scatter(means["target"], means["predicted"], s=36, color=_COLOURS[1], edgecolors="white", label="participant")
    axes.set(xlabel=f"true, {unit}", ylabel=f"predicted, {unit}", aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return _png(figure)


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=130)
    return buffer.getvalue()
