"""Figures of the report, as PNG bytes. They use matplotlib's objects, without global state or a display."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.manifold import TSNE
from sklearn.metrics import auc, roc_curve
from sklearn.preprocessing import StandardScaler

from relcon_lightning.downstream.statistics import Interval
from relcon_lightning.downstream.systems import HANDCRAFTED, MEAN, NORMALISED, RANDOM, SCRATCH
from relcon_lightning.reporting.png import png

_COLOURS = ("#1b6ca8", "#588b4a", "#7d5ba6", "#d9a441", "#2a9d8f", "#9c3d63")  # colours of the evaluated systems
_BESIDE = {
    RANDOM: "#c8553d",
    NORMALISED: "#e8a798",
    HANDCRAFTED: "#8a8d91",
    MEAN: "#c9cdd1",
    SCRATCH: "#5b6670",
    "deepconvlstm": "#6b4f3a",
    "conv": "#a3805f",
    "lstm": "#d2b48c",
}
_TARGET, _PERSON = "#1b6ca8", "#c8553d"
_FEWEST_DIFFERENT = 10  # minimum number of different windows for a map


def score_bars(intervals: Mapping[str, Mapping[str, Interval]], title: str) -> bytes:
    """Draw bars of one metric: one group per level and one bar per system, with the 95 % interval over people.

    Args:
        intervals: Intervals, indexed by level and system.
        title: Label of the axis.
    """
    systems = list(dict.fromkeys(name for group in intervals.values() for name in group))
    colours = system_colours(systems)
    figure = Figure(figsize=(max(7.0, 0.45 * len(systems) * len(intervals)), 3.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(systems)
    top = 0.0
    for i, system in enumerate(systems):
        found = [group[system] for group in intervals.values()]
        places = np.arange(len(found)) + (i - (len(systems) - 1) / 2) * width
        heights = np.array([one.value for one in found])
        # the interval of a bootstrap may not contain the estimate
        errors = [heights - [min(one) for one in found], [max(one) for one in found] - heights]
        axes.bar(places, heights, width * 0.9, yerr=errors, capsize=3, label=system, color=colours[system])
        for place, one in zip(places, found, strict=True):
            axes.annotate(
                f"{one.value:.2f}", (place, max(one)), (0, 3), textcoords="offset points", ha="center", fontsize=8
            )
        top = max(top, *(max(one) for one in found))
    axes.set_ylim(0, 1.12 * top if top > 0 else 1)  # room for the numbers above the tallest bar
    axes.set_xticks(range(len(intervals)), list(intervals))
    axes.set_ylabel(title)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(len(systems), 4), frameon=False, fontsize=8)
    return png(figure)


def system_colours(systems: Sequence[str]) -> dict[str, str]:
    """One colour per system. Baselines have the same colour in every report."""
    free = itertools.cycle(_COLOURS)
    return {name: _BESIDE[name] if name in _BESIDE else next(free) for name in systems}


def confusion_panels(
    panels: Mapping[str, tuple[np.ndarray, np.ndarray]], classes: Sequence[str], shown: Sequence[str] | None = None
) -> bytes:
    """Confusion matrices of several systems side by side (paper, Figure 5); numbers are percent of the true class.

    Args:
        panels: Mapping from system to true and predicted classes ``(N,)``.
        classes: Names of the C classes, sorted.
        shown: Names on the axes, in the order of the classes; None: the names of the classes.
    """
    names = list(shown or classes)
    size = 1.2 + 0.3 * len(classes)
    figure, grid = _grid(len(panels), size, size)
    for axes, (system, (label, predicted)) in zip(grid, panels.items(), strict=False):
        share = _shares(label, predicted, classes)
        axes.set_axis_on()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.argwhere(share >= 0.005):
            colour = "white" if share[row, column] > 0.55 else "black"
            text = f"{100 * share[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=6)
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=6)
        axes.set_yticks(range(len(names)), names, fontsize=6)
        axes.set_xlabel("predicted", fontsize=7)
        axes.set_ylabel("true", fontsize=7)
        axes.set_title(system, fontsize=9)
    return png(figure)


def _shares(label: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """Confusion matrix ``(C, C)``: fraction of each true class (row) with each predicted class (column)."""
    counts = np.zeros((len(classes), len(classes)))
    np.add.at(counts, (np.searchsorted(classes, label), np.searchsorted(classes, predicted)), 1)
    return np.asarray(counts / np.maximum(counts.sum(1, keepdims=True), 1))


def roc_panels(panels: Mapping[str, tuple[np.ndarray, np.ndarray]], classes: Sequence[str]) -> bytes:
    """One-vs-rest ROC curves of several systems side by side (paper, Figure 4), with macro AUC in the titles.

    Args:
        panels: Mapping from system to true classes ``(N,)`` and probabilities ``(N, C)``.
        classes: Names of the C classes, sorted.
    """
    figure, grid = _grid(len(panels), 2.8, 2.9, beside=1.8)
    for axes, (system, (label, probability)) in zip(grid, panels.items(), strict=False):
        axes.set_axis_on()
        axes.plot([0, 1], [0, 1], color="#c9cdd1", linewidth=1)
        areas = []
        for k, name in enumerate(classes):
            if 0 < (label == name).sum() < len(label):
                false, true, _ = roc_curve(label == name, probability[:, k])
                areas.append(auc(false, true))
                dashes = ("-", "--", ":")[k // 10 % 3]
                axes.plot(false, true, linewidth=1.1, label=name, color=_many(k), linestyle=dashes)
        axes.set_title(f"{system}: macro AUC {np.mean(areas):.4f}" if areas else system, fontsize=8)
        axes.set_xlabel("false positive rate", fontsize=7)
        axes.set_ylabel("true positive rate", fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_aspect("equal")
    _legend(figure, grid)
    return png(figure)


def scatter_panels(panels: Mapping[str, tuple[np.ndarray, np.ndarray]], unit: str) -> bytes:
    """Predicted against true averages of participants, several systems side by side, with r (paper, Figure 3).

    Args:
        panels: Mapping from system to true and predicted averages ``(participants,)``.
        unit: Unit of the averages.
    """
    figure, grid = _grid(len(panels), 2.6, 2.7)
    numbers = [array for pair in panels.values() for array in pair]
    low, high = min(x.min() for x in numbers), max(x.max() for x in numbers)
    for axes, (system, (true, predicted)) in zip(grid, panels.items(), strict=False):
        axes.set_axis_on()
        axes.plot([low, high], [low, high], color="#8a8d91", linewidth=1)
        axes.scatter(true, predicted, s=14, color=_COLOURS[0], linewidths=0, alpha=0.7)
        spread = min(np.ptp(true), np.ptp(predicted)) if len(true) > 1 else 0.0
        r = f"r = {np.corrcoef(true, predicted)[0, 1]:.4f}" if spread > 1e-9 * abs(high) else "no r"
        axes.set_title(f"{system}: {r}", fontsize=8)
        axes.set_xlabel(f"true, {unit}", fontsize=7)
        axes.set_ylabel(f"predicted, {unit}", fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_aspect("equal")
    return png(figure)


def _grid(count: int, width: float, height: float, beside: float = 0.0) -> tuple[Figure, list[Axes]]:
    """Create a figure with ``count`` hidden panels, at most four per row, and room for a legend."""
    columns = min(4, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(beside + width * columns, 0.3 + height * rows), layout="constrained")
    panels = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for axes in panels:
        axes.set_axis_off()
    return figure, panels


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside right upper", frameon=False, fontsize=7)


def confusion(label: np.ndarray, predicted: np.ndarray, classes: Sequence[str], title: str) -> bytes:
    """Draw a confusion matrix; cells contain counts, and shades show the fraction of the true class."""
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
    return png(figure)


def roc(label: np.ndarray, probability: np.ndarray, classes: Sequence[str], title: str) -> bytes:
    """Draw one-vs-rest ROC curves of the classes that occur, with their areas, and the mean of the curves."""
    present = [k for k, name in enumerate(classes) if 0 < (label == name).sum() < len(label)]
    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="#c9cdd1", linewidth=1)
    grid, curves = np.linspace(0, 1, 501), []
    for place, k in enumerate(present):
        false, true, _ = roc_curve(label == classes[k], probability[:, k])
        curves.append(np.interp(grid, false, true))
        name, dashes = f"{classes[k]} {auc(false, true):.2f}", ("-", "--", ":")[place // 10 % 3]
        axes.plot(false, true, linewidth=1.2, label=name, color=_many(place), linestyle=dashes)
    if curves:
        area = np.mean([auc(*roc_curve(label == classes[k], probability[:, k])[:2]) for k in present])
        axes.plot(grid, np.mean(curves, axis=0), color="black", linewidth=2.4, label=f"mean {area:.2f}")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8, title="area under the curve")
    return png(figure)


def tsne(embeddings: Mapping[str, np.ndarray], label: np.ndarray, perplexity: float = 100.0) -> bytes:
    """Draw t-SNE of the same windows for several systems, one panel per system (paper, Figure 2).

    Args:
        embeddings: Mapping from system to embeddings ``(M, F)``.
        label: Labels ``(M,)``.
        perplexity: Perplexity (100 in the paper); with few windows, at most a quarter of their number.
    """
    columns = min(3, len(embeddings))
    rows = -(-len(embeddings) // columns)
    figure = Figure(figsize=(1.8 + 2.8 * columns, 0.4 + 2.9 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    names = sorted(set(label.tolist()))
    for axes in panels:
        axes.set_axis_off()
    for axes, (system, embedding) in zip(panels, embeddings.items(), strict=False):
        map_ = _map(embedding, perplexity)
        for place, name in enumerate(names):
            points = map_[label == name]
            marker = "os^"[place // 10 % 3]
            axes.scatter(*points.T, s=7, color=_many(place), marker=marker, linewidths=0, label=name)
        axes.set_title(system, fontsize=9)
    handles, texts = panels[0].get_legend_handles_labels()
    figure.legend(handles, texts, loc="outside right upper", frameon=False, fontsize=7, markerscale=2)
    return png(figure)


def _map(embedding: np.ndarray, perplexity: float) -> np.ndarray:
    """Positions ``(M, 2)`` of windows. Equal windows share one, because t-SNE's tree must not repeat a point often.

    Raises:
        ValueError: There are too few different windows, or they are not finite.
    """
    scaled = StandardScaler().fit_transform(embedding.astype(np.float64))
    if not np.isfinite(scaled).all():
        raise ValueError("embeddings are not finite")
    different, place = np.unique(scaled.round(6), axis=0, return_inverse=True)
    if len(different) < _FEWEST_DIFFERENT:
        raise ValueError(f"only {len(different)} different windows")
    near = min(perplexity, len(different) / 4)
    drawn: np.ndarray = TSNE(perplexity=near, random_state=0, init="pca").fit_transform(different)
    return drawn[place.ravel()]


def _many(place: int) -> tuple[float, float, float]:
    """One of ten colours. With more classes, colours repeat, and line or marker differ."""
    red, green, blue = colormaps["tab10"](place % 10)[:3]
    return red, green, blue


def scatter(target: np.ndarray, predicted: np.ndarray, participant: np.ndarray, unit: str, title: str) -> bytes:
    """Draw predicted against true values of windows, the averages of participants, and the identity line."""
    figure = Figure(figsize=(4.6, 4.4), layout="constrained")
    axes = figure.add_subplot()
    low, high = np.min([target.min(), predicted.min()]), np.max([target.max(), predicted.max()])
    axes.plot([low, high], [low, high], color="#8a8d91", linewidth=1, label="no error")
    axes.scatter(target, predicted, s=6, alpha=0.25, color=_TARGET, linewidths=0, label="window")
    means = pd.DataFrame({"target": target, "predicted": predicted}).groupby(participant).mean()
    axes.scatter(means["target"], means["predicted"], s=36, color=_PERSON, edgecolors="white", label="participant")
    axes.set(xlabel=f"true, {unit}", ylabel=f"predicted, {unit}", aspect="equal")
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    return png(figure)
