"""Summary of a cohort: participants, hours, labels, gaps, and the norm at rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.errors import whole

STILL_G = 0.02  # standard deviation of the norm in g below which a window is at rest
_WINDOW_S = 2.56


@dataclass(frozen=True)
class Inspection:
    """Statistics of a cohort.

    Attributes:
        hours: Hours per participant.
        labels: One row per label, with columns ``hours`` and ``participants``.
        gaps_s: Pauses ``(G,)`` in seconds between recordings of the same participant with known start times.
        still_norm: Mean norm ``(K,)`` in g of the drawn windows that are at rest.
        still_share: Fraction of the drawn windows that are at rest.
        clipped_share: Fraction of the drawn windows in which an axis has its extreme value for three samples in a row,
            as when a sensor exceeds its range.
        examples: Mapping from recording id to ten seconds of its signal ``(3, T)``.
    """

    hours: pd.Series[float]
    labels: pd.DataFrame
    gaps_s: np.ndarray
    still_norm: np.ndarray
    still_share: float
    clipped_share: float
    examples: dict[str, np.ndarray]


def inspect(store: CohortStore, windows: int = 2000, examples: int = 4, seed: int = 0) -> Inspection:
    """Summarise a cohort from its tables and some random windows, without reading all signals.

    Args:
        store: Cohort store.
        windows: Number of windows of 2.56 s to draw, in proportion to the length of the recordings.
        examples: Number of recordings to draw.
        seed: Seed of the draws.

    Raises:
        ConfigError: A number is not whole or too small.
    """
    for name, value, least in (("n_windows", windows, 1), ("examples", examples, 0), ("seed", seed, 0)):
        whole(name, value, least)
    rng = np.random.default_rng(seed)
    recordings, rate = store.recordings, store.sampling_rate
    hours = recordings.groupby("participant_id")["n_samples"].sum() / rate / 3600
    drawn = _draw(store, round(_WINDOW_S * rate), windows, rng)
    norm = np.linalg.norm(drawn, axis=1)
    still = norm.std(1) < STILL_G
    chosen = rng.choice(len(recordings), min(examples, len(recordings)), replace=False)
    return Inspection(
        hours=hours,
        labels=_labels(store),
        gaps_s=_gaps(recordings, rate),
        still_norm=norm[still].mean(1),
        still_share=float(still.mean()) if len(still) else float("nan"),
        clipped_share=float(_clipped(drawn).mean()) if len(drawn) else float("nan"),
        examples={str(recordings["recording_id"].iloc[row]): _example(store, int(row)) for row in sorted(chosen)},
    )


def _draw(store: CohortStore, length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    samples = store.recordings["n_samples"].to_numpy()
    room = np.maximum(samples - length + 1, 0)
    if not room.any():
        return np.empty((0, 3, length), dtype=np.float32)
    rows = rng.choice(len(samples), count, p=room / room.sum())
    return store.gather(rows, rng.integers(0, room[rows]), length)


def _clipped(windows: np.ndarray) -> np.ndarray:
    """Mask ``(N,)``: True where an axis has its extreme value, above 1.5 g, for three samples in a row."""
    extreme = np.abs(windows).max(2, keepdims=True)
    at = (np.abs(windows) == extreme) & (extreme > 1.5)
    run = at[..., 2:] & at[..., 1:-1] & at[..., :-2]
    return np.asarray(run.any(axis=(1, 2)))


def _labels(store: CohortStore) -> pd.DataFrame:
    segments = store.segments.dropna(subset=["label"]).merge(
        store.recordings[["recording_id", "participant_id"]], on="recording_id"
    )
    hours = ((segments["end_s"] - segments["start_s"]) / 3600).groupby(segments["label"]).sum()
    people = segments.groupby("label")["participant_id"].nunique()
    return pd.DataFrame({"hours": hours, "participants": people}).sort_values("hours", ascending=False)


def _gaps(recordings: pd.DataFrame, rate: float) -> np.ndarray:
    timed = recordings.dropna(subset=["start_time"]).sort_values(["participant_id", "start_time"])
    end = timed["start_time"] + timed["n_samples"] / rate
    pause = (timed["start_time"] - end.groupby(timed["participant_id"]).shift()).dropna()
    return np.asarray(pause[pause > 0], dtype=float)


def _example(store: CohortStore, row: int) -> np.ndarray:
    length = min(round(10 * store.sampling_rate), int(store.recordings["n_samples"].iloc[row]))
    start = (int(store.recordings["n_samples"].iloc[row]) - length) // 2
    return np.asarray(store.gather(np.array([row]), np.array([start]), length)[0])
