"""Figure of a cohort: hours per participant and label, the norm at rest, and short excerpts."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from relcon_lightning.data.inspect import Inspection
from relcon_lightning.reporting.png import png

_BLUE, _RED = "#1b6ca8", "#c8553d"
_MOST_LABELS = 20


def overview(found: Inspection, rate: float) -> bytes:
    """Draw an :class:`~relcon_lightning.data.inspect.Inspection` of a cohort at ``rate`` Hz as PNG."""
    labels = found.labels.head(_MOST_LABELS)
    figure = Figure(figsize=(10, 3.2 + max(2.4, 0.2 * len(labels)) + 1.1 * len(found.examples)), layout="constrained")
    heights = [max(3.2, 0.28 * len(labels)), 1.3 * len(found.examples)]
    top, bottom = np.asarray(figure.subfigures(2, 1, height_ratios=heights))
    left, middle, right = top.subplots(1, 3)
    _hours(left, found)
    _labels(middle, found)
    _rest(right, found)
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    panels = np.atleast_1d(bottom.subplots(len(found.examples), 1, sharex=True))
    for axes, (name, signal) in zip(panels, found.examples.items(), strict=True):
        for line, axis in zip(signal, "xyz", strict=True):
            axes.plot(np.arange(signal.shape[1]) / rate, line, linewidth=0.8, label=axis)
        axes.set_title(name, fontsize=8, loc="left")
        axes.set_ylabel("g")
        axes.spines[["top", "right"]].set_visible(False)
    panels[-1].set_xlabel("s")
    panels[0].legend(ncols=3, frameon=False, fontsize=8, loc="lower right", bbox_to_anchor=(1, 0.95))
    return png(figure, dpi=110)


def _hours(axes: Axes, found: Inspection) -> None:
    bins = min(30, max(5, len(found.hours) // 2))
    axes.hist(found.hours, bins=bins, range=(0, float(found.hours.max())), color=_BLUE)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.set(xlim=(0, None), xlabel="hours", ylabel="participants", title="Hours by participant")


def _labels(axes: Axes, found: Inspection) -> None:
    shown = found.labels.head(_MOST_LABELS)[::-1]
    axes.barh(shown.index.astype(str), shown["hours"], color=_BLUE)
    axes.tick_params(axis="y", labelsize=7)
    more = len(found.labels) - len(shown)
    axes.set(xlabel="hours", title=f"Labels{f' ({more} more)' if more else ''}" if len(shown) else "No labels")


def _rest(axes: Axes, found: Inspection) -> None:
    title = f"Norm at rest ({found.still_share:.0%} still)"
    if not len(found.still_norm):
        axes.set_axis_off()
        axes.set_title("Norm at rest")
        axes.text(
            0.5, 0.5, "no still windows:\nthe unit cannot be checked at rest", transform=axes.transAxes, ha="center"
        )
        return
    near = max(0.05, float(np.abs(found.still_norm - 1).max()) * 1.05)
    axes.hist(found.still_norm, bins=40, range=(1 - near, 1 + near), color=_BLUE)
    axes.axvline(1, color=_RED, linewidth=1)
    axes.set(xlabel="norm, g", ylabel="still windows", title=title)
