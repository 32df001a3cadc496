"""Convert samples with time stamps to recordings without gaps."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from relcon_lightning.data.resample import regularise, stamp_rate
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

STANDARD_GRAVITY = 9.80665  # m/s^2 per g
PLAUSIBLE_HZ = (5.0, 1000.0)  # Hz; a rate outside means that the unit of the stamps is wrong
_FILLED = 10  # maximum grid points per sample: with more, nearly the whole signal would be interpolated
_TOLERANCE = 0.2  # relative, of a configured rate: linear interpolation has no anti-aliasing filter
_SHORTEST_S = 1.0


def gap_free(
    times: np.ndarray,
    signal: np.ndarray,
    where: str,
    max_gap_s: float,
    rate: float | None = None,
    quiet: bool = False,
    units: Mapping[str, float] = MappingProxyType({}),
) -> tuple[float, list[tuple[float, np.ndarray]]]:
    """Interpolate samples on a regular grid, split at gaps. Stretches below 1 s are dropped with a warning.

    Args:
        times: Time stamps ``(n,)`` in seconds.
        signal: Signal ``(n, 3)``; samples that are not finite are missing.
        where: Name of the file, for the error.
        max_gap_s: Longest time between two samples of one stretch, in seconds.
        rate: Sampling rate of the grid in Hz, close to that of the stamps; None: the rate of the stamps.
        quiet: Drop short stretches without a warning.
        units: Settings of other units of the stamps, and the factor by which each changes the rate, for the error.

    Returns:
        Sampling rate, and start time and signal ``(m, 3)`` of each stretch; see
        :func:`~relcon_lightning.data.resample.regularise`.

    Raises:
        DataError: The rate of the stamps is implausible or not ``rate``, the stamps are too irregular, or no stretch
            has 1 s.
    """
    present = np.isfinite(times) & np.isfinite(signal).all(axis=1)
    try:
        own = stamp_rate(times[present])
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    low, high = PLAUSIBLE_HZ
    if not low <= own <= high:
        better = next((setting for setting, factor in units.items() if low <= own * factor <= high), None)
        raise DataError(
            f"{where}: the time stamps imply {own:.3g} Hz, expected {low:g} to {high:g}; is their unit right?"
            + (f" If not, give {better}." if better else "")
            + (" Values per epoch, such as counts per second, cannot be used." if own < low and not better else "")
        )
    grid_rate = own if rate is None else rate
    if abs(own / grid_rate - 1) > _TOLERANCE:
        raise DataError(f"{where}: the time stamps imply {own:.4g} Hz, not the {grid_rate:g} Hz that are configured.")
    steps = np.diff(np.sort(times[present]))
    if steps[steps <= max_gap_s].sum() * grid_rate > _FILLED * present.sum():
        raise DataError(
            f"{where}: the time stamps are too irregular for {grid_rate:.4g} Hz: fewer than one sample in {_FILLED} is "
            "there."
        )
    stretches = regularise(times, signal, grid_rate, max_gap_s)
    kept = [stretch for stretch in stretches if len(stretch[1]) >= _SHORTEST_S * grid_rate]
    if not kept:
        raise DataError(f"{where} has no {_SHORTEST_S:g} s of samples without a gap of more than {max_gap_s:g} s.")
    if len(kept) < len(stretches) and not quiet:
        log.warning("%s: left out %d stretches shorter than %g s.", where, len(stretches) - len(kept), _SHORTEST_S)
    return grid_rate, kept


def part_ids(recording_id: str, parts: int) -> list[str]:
    """Ids of the parts of a recording: its own if there is one part, else ``id#1``, ``id#2`` ..."""
    return [recording_id] if parts == 1 else [f"{recording_id}#{i}" for i in range(1, parts + 1)]
