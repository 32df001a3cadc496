"""Find rows that represent missing samples: zeros of a device in sleep mode, and fill values."""

from __future__ import annotations

import logging

import numpy as np

log = logging.getLogger(__name__)

FILL_VALUES = (-9999.0, -9999.9, -999.0, -999.9, -999.25, -99999.0, 9999.0, 9999.9, 99999.0)
SHORTEST_ZEROS = 3  # rows; in free fall, noise and offset prevent so many consecutive 0,0,0


def missing_rows(signal: np.ndarray) -> np.ndarray:
    """Find rows that represent missing samples.

    These are runs of at least :data:`SHORTEST_ZEROS` rows that are exactly 0,0,0, as devices write them while they save
    power, and single rows with one of :data:`FILL_VALUES` on all axes. A run of zeros at the first or the last row
    counts at any length, because it may continue in the neighbouring block of a stream.

    Args:
        signal: Signal ``(n, 3)`` in the unit of the file, because a conversion would change fill values.

    Returns:
        Mask ``(n,)``, True for missing samples.
    """
    if not len(signal):
        return np.zeros(0, dtype=bool)
    first = signal[:, :1]
    filled = (signal == first).all(axis=1) & np.isclose(first, np.asarray(FILL_VALUES), rtol=1e-6, atol=0).any(axis=1)
    zeros = (signal == 0).all(axis=1)
    edges = np.flatnonzero(np.diff(zeros, prepend=~zeros[:1]))
    lengths = np.diff(edges, append=len(zeros))
    long = lengths >= SHORTEST_ZEROS
    long[[0, -1]] = True
    return np.asarray(filled | (zeros & np.repeat(long, lengths)))


def name_missing(where: str, missing: int, rows: int) -> None:
    """Log how many rows of a file represent missing samples, if there are any.

    Args:
        where: Name of the file.
        missing: Number of rows that :func:`missing_rows` found.
        rows: Total number of rows.
    """
    if missing:
        log.warning(
            "%s: %d of %d rows (%.3g %%) are 0,0,0 or a fill value such as -9999: they are treated as missing.",
            where,
            missing,
            rows,
            100 * missing / rows,
        )
