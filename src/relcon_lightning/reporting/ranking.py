"""Figure of anchors with their nearest and farthest windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

_ANCHORS, _SHOWN = 3, 3
_GAP = 0.25  # between near and far windows, as a fraction of a panel's width


def _number(value: float) -> str:
    """Format with three digits, whole numbers from 100, and an exponent only from a million."""
    return f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:.3g}"


def ranking(
    windows: np.ndarray,
    distances: np.ndarray,
    participant: np.ndarray,
    rate: float,
    unit: str = "",
    label: Sequence[str] | None = None,
) -> Figure:
    """Draw some anchors with their nearest and, after a gap, their farthest candidates.

    Args:
        windows: Windows ``(N, 3, T)`` in g; the anchors are the first windows of some participants.
        distances: Distances ``(N, N)``, one row per anchor.
        participant: Participant number ``(N,)`` of each window.
        rate: Sampling rate in Hz.
        unit: Unit of the distances.
        label: Class of each window, empty if it has no label; None: no labels.
    """
    _, firsts = np.unique(participant, return_index=True)
    anchors = (sorted(firsts.tolist()) + [i for i in range(len(windows)) if i not in firsts])[:_ANCHORS]
    shown = min(_SHOWN, (len(windows) - 1) // 2)
    named = label if label is not None and any(label) else None
    figure = Figure(figsize=(2.1 * (1.3 + 2 * shown), 1.7 * len(anchors) + 0.6), layout="constrained")
    widths = [1.0] * (1 + shown) + [_GAP] + [1.0] * shown
    grid = figure.subplots(len(anchors), len(widths), squeeze=False, sharex=True, sharey="row", width_ratios=widths)
    time = np.arange(windows.shape[-1]) / rate
    for row, anchor in zip(grid, anchors, strict=True):
        order = [int(i) for i in np.argsort(distances[anchor], kind="stable") if i != anchor]
        chosen = [anchor, *order[:shown], *order[len(order) - shown :]]
        row[1 + shown].set_axis_off()
        row[1 + shown].text(0.5, 0.5, "…", transform=row[1 + shown].transAxes, ha="center", va="center", fontsize=14)
        for place, (axes, i) in enumerate(zip(np.delete(row, 1 + shown), chosen, strict=True)):
            for line, axis in zip(windows[i], "xyz", strict=True):
                axes.plot(time, line, linewidth=0.7, label=axis)
            whose = "same person" if participant[i] == participant[anchor] else "other person"
            title = "anchor" if place == 0 else f"{_number(distances[anchor, i])}, {whose}"
            if named is not None:
                title += f"\n{named[i] or 'no label'}"
            axes.set_title(title, fontsize=7, fontweight="bold" if place == 0 else "normal")
            axes.tick_params(labelsize=6)
            axes.spines[["top", "right"]].set_visible(False)
        row[0].set_ylabel("acceleration, g", fontsize=7)
    for axes in grid[-1]:
        axes.set_xlabel("time, s", fontsize=7)
    figure.legend(*grid[0, 0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=7)
    told = f"distances in {unit}" if unit else "distances"
    figure.suptitle(f"anchors, their {shown} nearest and {shown} farthest windows with {told}", fontsize=9)
    return figure
