"""Figures in the run folder: the curves, and the nearest and farthest candidates of some anchors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pandas as pd
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import CSVLogger
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.embed.windows import embed_windows
from relcon_lightning.methods.base import Batch, EmbeddingMethod, Method
from relcon_lightning.nets import MotifDistance, SpectralDistance
from relcon_lightning.reporting.png import png

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
_AGAINST_UNTRAINED = {"average precision", "macro F1 of the online probe"}
_LEFT_OUT = {"step", "epoch"}
_STEADY = 1e-3  # relative change of the number of candidates up to which both panels of the loss show the same
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
_MARGIN = 0.03  # of the steps, beside the first and the last
_CALM = 0.1  # minimum height of an axis as a fraction of its values, so that noise is not magnified
_ANCHORS, _SHOWN, _WINDOWS = 3, 3, 32
_GAP = 0.25  # between near and far windows, as a share of the width of one


class Pictures(Callback):
    """Draws pictures of a training when it ends: ``curves.png`` from the CSV log, and neighbours of some anchors.

    ``ranking.png`` has the neighbours by the distance of a method that has one, ``ranking_embedding.png`` those by the
    embedding.

    Args:
        folder: Folder of the run.
        sampling_rate: Hz, for the time axis.
    """

    def __init__(self, folder: str, sampling_rate: float) -> None:
        self.folder, self.sampling_rate = Path(folder), sampling_rate
        self._batch: Batch | None = None

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the first batch to draw from."""
        if batch_idx == 0:
            self._batch = batch

    @torch.no_grad()
    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Draw, on the first rank."""
        if not trainer.is_global_zero:
            return
        log = next((logger for logger in trainer.loggers if isinstance(logger, CSVLogger)), None)
        if log is not None:
            log.save()
            path = Path(log.log_dir) / "metrics.csv"
            if path.exists():
                (self.folder / "curves.png").write_bytes(png(curves({"": pd.read_csv(path)})))
        if self._batch is not None and isinstance(pl_module, Method):
            self._draw_rankings(pl_module, trainer.datamodule.store)  # type: ignore[attr-defined]

    def _draw_rankings(self, method: Method, store: CohortStore) -> None:
        """The same anchors twice: as the distance ranks their neighbours, and as the embedding does."""
        assert self._batch is not None
        windows = self._batch["anchor"][:_WINDOWS]
        person = self._batch["participant"][:_WINDOWS].cpu().numpy()
        rows, starts = (self._batch[name][:_WINDOWS, 0].cpu().numpy() for name in ("recording", "start"))
        label = labels_at(store, rows, starts, windows.shape[-1])
        shown = windows.cpu().numpy()
        distance = getattr(method, "distance", None)
        if isinstance(distance, MotifDistance | SpectralDistance):
            distance.eval()
            found = distance.in_batch(windows).float().cpu().numpy()
            figure = ranking(shown, found, person, self.sampling_rate, distance.unit, label)
            (self.folder / "ranking.png").write_bytes(png(figure))
        if isinstance(method, EmbeddingMethod):
            z = embed_windows(method.encoder, shown, device=str(method.device))
            z /= np.linalg.norm(z, axis=1, keepdims=True).clip(1e-12)
            figure = ranking(
                shown, 1 - z @ z.T, person, self.sampling_rate, "units of 1 - cosine of the embeddings", label
            )
            (self.folder / "ranking_embedding.png").write_bytes(png(figure))


def curves(runs: Mapping[str, pd.DataFrame]) -> Figure:
    """Draw small panels of all logged values over steps, with all runs in each panel.

    Panels of average precision and of the probe also show chance and the untrained network (the value at step 0).

    Args:
        runs: Name to the table of Lightning's CSV logger, in which each row has values in some of the columns.
    """
    panels = _panels(list(runs.values()))
    columns = min(4, max(1, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    figure = Figure(figsize=(3.1 * columns, 2.5 * rows), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    several = len(runs) > 1
    last = max((float(table["step"].max()) + 1 for table in runs.values() if len(table) and "step" in table), default=1)
    if several:  # a colour per run, told once
        marks = [Line2D([], [], color=f"C{place}", label=run) for place, run in enumerate(runs)]
        figure.legend(handles=marks, loc="outside upper left", ncols=3, frameon=False, fontsize=8)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, names) in zip(grid, panels.items(), strict=False):
        pale = several and any(name.startswith("val/") for name in names)  # training, beside validation
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
    """Title and columns of each panel: first those with a panel of their own, then the others."""
    logged = dict.fromkeys(name for table in tables for name in table if table[name].notna().any())
    kept = {title: [name for name in names if name in logged] for title, names in CURVES.items()}
    placed = {name for names in kept.values() for name in names} | _LEFT_OUT
    for name in logged:
        if name not in placed:
            rest = str(name).rpartition("/")[2]
            kept.setdefault("learning rate" if rest.startswith("lr-") else rest.replace("_", " "), []).append(str(name))
    if all(map(_same_losses, tables)):
        kept.pop(_LOSS)
    return {title: names for title, names in kept.items() if names}


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


def _number(value: float) -> str:
    """Three digits, but whole numbers from 100 on and no powers of ten before a million."""
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
        windows: Windows ``(N, 3, T)`` in g; the first window of some participants is an anchor.
        distances: Distances ``(N, N)``, one row per anchor.
        participant: Numbers ``(N,)`` of the participants.
        rate: Sampling rate in Hz.
        unit: Unit of the distances.
        label: Class of each window, empty for a window without label; None if no window has one.
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


def labels_at(store: CohortStore, recording: np.ndarray, start: np.ndarray, window: int) -> list[str]:
    """Label of the segment that has the middle of each window, empty where none has it.

    Args:
        store: Cohort of the windows.
        recording: ``(N,)`` rows of the store's recordings.
        start: ``(N,)`` first samples.
        window: Samples of a window.
    """
    segments = store.segments.dropna(subset=["label"])
    ids = store.recordings["recording_id"].to_numpy()[recording]
    middle = (start + window / 2) / store.sampling_rate
    found = []
    for name, second in zip(ids, middle, strict=True):
        own = segments[segments["recording_id"] == name]
        fitting = own[(own["start_s"] <= second) & (second < own["end_s"])]["label"]
        found.append(str(fitting.iloc[0]) if len(fitting) else "")
    return found
