"""From stamped samples to recordings without gaps."""

from __future__ import annotations

import logging

import numpy as np

from relcon_lightning.data.resample import regularise, stamp_rate
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

STANDARD_GRAVITY = 9.80665  # m/s^2 in a g
PLAUSIBLE_HZ = (5.0, 1000.0)  # Hz; beyond, the unit of the stamps is not what it was said to be
_FILLED = 10  # grid points a sample: beyond, nearly all of the signal would be interpolated
_TOLERANCE = 0.2  # of a configured rate: linear interpolation does not filter as a change of rate must
_SHORTEST_S = 1.0


def gap_free(
    times: np.ndarray,
    signal: np.ndarray,
    where: str,
    max_gap_s: float,
    rate: float | None = None,
    quiet: bool = False,
) -> tuple[float, list[tuple[float, np.ndarray]]]:
    """Put stamped samples on a grid, in stretches parted at gaps; those shorter than 1 s are left out, with a warning.

    Args:
        times: ``(n,)`` seconds.
        signal: ``(n, 3)``; a sample that is not finite counts as missing.
        where: For the error.
        max_gap_s: Seconds between samples above which they belong to different stretches.
        rate: Hz of the grid, about that of the stamps; None for that of the stamps.
        quiet: Leave out short stretches without a warning.

    Returns:
        The rate, and start time and ``(m, 3)`` signal of each stretch; see
        :func:`~relcon_lightning.data.resample.regularise`.

    Raises:
        DataError: The stamps give another or no plausible rate, are too irregular, or there is no stretch of 1 s.
    """
    present = np.isfinite(times) & np.isfinite(signal).all(axis=1)
    try:
        own = stamp_rate(times[present])
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    low, high = PLAUSIBLE_HZ
    if not low <= own <= high:
        raise DataError(
            f"{where}: the steps of the time stamps mean {own:.3g} Hz, expected {low:g} to {high:g}; "
            "is their unit right? If not, give it, such as data.source.time_unit=ms."
        )
    grid_rate = own if rate is None else rate
    if abs(own / grid_rate - 1) > _TOLERANCE:
        raise DataError(f"{where}: the time stamps mean {own:.4g} Hz, not the {grid_rate:g} Hz that are configured.")
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
