"""Heterogeneity activity recognition, HHAR: six activities with smartwatches (Stisen et al. 2015; UCI data set 344)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
from scipy.ndimage import minimum_filter1d

from relcon_lightning.data.readers.labels import LabelledSamples, named, recordings_of
from relcon_lightning.data.readers.raw_files import find_files
from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY
from relcon_lightning.data.readers.tables import read_columns, stack
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

_LAYOUT = (
    "Expected Watch_accelerometer.csv in a folder or in an archive. Get "
    "https://archive.ics.uci.edu/static/public/344/heterogeneity+activity+recognition.zip; it need not be unpacked."
)
ACTIVITIES = {
    "null": None,
    **{name: name for name in ("bike", "sit", "stairsdown", "stairsup", "stand", "walk")},
}
RATES = {"gear": 100.0, "lgwatch": 200.0}  # nominal rates in Hz, by model
_TYPES: dict[str, type] = {
    "Arrival_Time": int,
    "Creation_Time": int,
    **dict.fromkeys("xyz", float),
    **dict.fromkeys(["User", "Model", "Device", "gt"], str),
}
_LATENCY_S = 10.0  # maximum delay of a sample


class Hhar:
    """9 people, six activities, four watches at once at 100 or 200 Hz, one recording per person and watch.

    In the file, the rows of the watches are mixed and not exactly in order. A watch's own clock, ``Creation_Time``, is
    precise but stops while the watch sleeps. ``Arrival_Time`` continues, but is the time at which a group of samples
    arrived. The first clock gives the times of samples, and the second the duration of sleep to add
    (:func:`wall_times`).

    Args:
        raw_dir: Folder with ``Watch_accelerometer.csv`` somewhere below, plain, zipped or zipped twice; or the archive.
        max_gap_s: Longest time between two samples of one recording, in seconds.

    Raises:
        DataError: The file is missing.
    """

    info = CohortInfo(
        name="hhar",
        sampling_rate=100.0,
        position="wrist",
        source="UCI data set 344, Watch_accelerometer.csv",
        license="CC BY 4.0 (as UCI lists it)",
        citation=(
            "Stisen, Blunck, Bhattacharya et al. (2015). Smart devices are different: assessing and mitigating mobile "
            "sensing heterogeneities for activity recognition. Conference on Embedded Networked Sensor Systems."
        ),
    )

    def __init__(self, raw_dir: str | Path | None, max_gap_s: float = 1.0) -> None:
        self.file = find_files(raw_dir, r"Watch_accelerometer\.csv", _LAYOUT)[()]
        self.max_gap_s = max_gap_s

    def recordings(self) -> Iterator[Recording]:
        """Read the recording of each person with each watch, with one segment per activity, split at gaps.

        Pairs of person and watch with almost no samples are skipped with a warning.
        """
        with self.file.open() as file:
            table = read_columns(file, self.file.where, _TYPES)
        pairs = pd.DataFrame({name: table[name] for name in ("User", "Device")}).groupby(["User", "Device"]).indices
        for (user, device), rows in cast(dict[tuple[str, str], np.ndarray], pairs).items():
            yield from self._of_watch(user, device, {name: column[rows] for name, column in table.items()})

    def _of_watch(self, user: str, device: str, table: dict[str, np.ndarray]) -> Iterator[Recording]:
        where, model = f"{self.file.where}, user {user}, {device}", table["Model"][0]
        if model not in RATES:
            raise DataError(f"{where}: unknown model {model}; expected one of {', '.join(RATES)}.")
        times = wall_times(table["Arrival_Time"], table["Creation_Time"], RATES[model], self.max_gap_s)
        signal = stack(table, ["x", "y", "z"]) / STANDARD_GRAVITY
        samples = LabelledSamples(times, signal, named(table["gt"], ACTIVITIES, where), where)
        person, start_time = f"hhar-{user}", table["Arrival_Time"].min() / 1000
        name, watch = f"{person}-{device}", {"model": model, "device": device}
        try:
            yield from recordings_of(samples, name, person, RATES[model], self.max_gap_s, start_time, watch)
        except DataError as error:
            log.warning("Left out %s: %s", name, error)


def wall_times(arrival: np.ndarray, creation: np.ndarray, rate: float, max_gap_s: float) -> np.ndarray:
    """Times ``(n,)`` at which samples were measured, in seconds since the first arrival.

    ``arrival - creation`` is the sum of a constant, the delay of the sample and the previous sleep of the watch. Delays
    are short, but sleep remains in all later differences. The minimum difference over the next seconds therefore rises
    by the duration of each sleep. A restart of the watch has the same effect.

    Args:
        arrival: Arrival times ``(n,)`` in Unix milliseconds.
        creation: Times ``(n,)`` of the watch's clock in ns, in any order.
        rate: Sampling rate in Hz.
        max_gap_s: Sleep up to this duration in seconds is ignored.
    """
    order = np.lexsort((creation, arrival))
    taken = (creation - creation.min())[order] / 1e9
    late = (arrival - arrival.min())[order] / 1e3 - taken
    ahead = round(_LATENCY_S * rate)
    lowest = minimum_filter1d(late, ahead, origin=-(ahead // 2), mode="nearest")
    rises = np.diff(lowest, prepend=lowest[:1])
    times = np.empty(len(order))
    times[order] = taken + lowest[0] + np.cumsum(np.where(rises > max_gap_s, rises, 0.0))
    return times
