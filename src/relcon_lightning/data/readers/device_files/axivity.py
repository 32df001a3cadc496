"""Reader of Axivity AX3 and AX6 files (``.cwa``), from the format description of the Open Movement project.

A header of 1024 bytes is followed by blocks of 512 bytes. A block has one time stamp, a checksum and 40 to 120 samples.
A sample is a 32-bit word with three 10-bit numbers and a common exponent (AX3), or three 16-bit numbers, which follow
those of the gyroscope (AX6).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import IO

import numpy as np

from relcon_lightning.data.readers.device_files.contents import Contents, Damage, Samples

MAGIC = b"MD"
_HEADER, _BLOCK, _DATA = 1024, 512, 480  # bytes
_AT_ONCE = 512  # blocks: 61,440 samples of an AX3
_DRIFT = 0.05  # maximum relative error of the oscillator
_FIELDS = np.dtype(
    {
        "names": ["tag", "length", "fraction", "stamp", "light", "rate", "layout", "offset", "count", "data"],
        "formats": ["<u2", "<u2", "<u2", "<u4", "<u2", "u1", "u1", "<i2", "<u2", (np.uint8, _DATA)],
        "offsets": [0, 2, 4, 14, 18, 24, 25, 26, 28, 30],
        "itemsize": _BLOCK,
    }
)
_TAG = int.from_bytes(b"AX", "little")


def read_axivity(file: IO[bytes], damage: Damage) -> Contents:
    """Read a ``.cwa`` file.

    The samples of a block are spread evenly up to the next block, because the true rate differs from the nominal one by
    up to a few percent. If the next block starts much later there is a gap, and the nominal rate is used.

    Args:
        file: Open file.
        damage: Decides whether damage is refused or skipped.

    Raises:
        DataError: No header or no readable block. Damaged blocks are raised while samples are read.
    """
    header = file.read(_HEADER)
    if len(header) < _HEADER:
        raise damage.error("it ends within its header")
    blocks = _blocks(file, damage)
    first = next(blocks, None)
    if first is None:
        raise damage.error("it has no block of samples")
    rate = float(_rates(first)[0])
    return Contents(rate, None, _samples(first, blocks), damage, _duration_s(file, int(first["count"].max()) / rate))


def _duration_s(file: IO[bytes], block_s: float) -> float | None:
    """Duration if all blocks are full and there is no pause; None for a compressed file."""
    if not isinstance(getattr(file, "raw", None), io.FileIO):
        return None
    return (os.fstat(file.fileno()).st_size - _HEADER) / _BLOCK * block_s


def _blocks(file: IO[bytes], damage: Damage) -> Iterator[np.ndarray]:
    """Undamaged blocks, some hundred at a time."""
    number = 0
    while content := file.read(_BLOCK * _AT_ONCE):
        whole = len(content) // _BLOCK
        if len(content) % _BLOCK:
            damage.note(f"it ends within block {number + whole}, which is left out")
        blocks = np.frombuffer(content, _FIELDS, whole)
        words = np.frombuffer(content, "<u2", whole * _BLOCK // 2).reshape(whole, -1)
        untagged = (blocks["tag"] != _TAG) | (blocks["length"] != _BLOCK - 4)
        sums = words.sum(axis=1, dtype=np.uint32) & 0xFFFF
        bad = untagged | (sums != 0) | ~_readable(blocks)
        for i in np.flatnonzero(bad):
            reason = (
                "has no block header" if untagged[i] else "fails its checksum" if sums[i] else "has no valid samples"
            )
            damage.found(f"block {number + i} {reason}")
        if not bad.all():
            yield blocks[~bad]
        number += whole


def _readable(blocks: np.ndarray) -> np.ndarray:
    """Mask ``(b,)``, True if the layout is known, the samples fit into the block and the time is valid."""
    axes, stamp = blocks["layout"] >> 4, blocks["stamp"]
    known = np.isin(axes, (3, 6, 9)) & np.isin(blocks["layout"] & 15, (0, 2)) & ~((axes > 3) & _packed(blocks))
    fitting = (blocks["count"] > 0) & (blocks["count"].astype(np.int64) * _sample_bytes(blocks) <= _DATA)
    month, day = (stamp >> 22) & 15, (stamp >> 17) & 31
    dated = (month >= 1) & (month <= 12) & (day >= 1)
    dated &= ((stamp >> 12 & 31) < 24) & ((stamp >> 6 & 63) < 60) & ((stamp & 63) < 60)
    return np.asarray(known & fitting & dated & (_rates(blocks) > 0))


def _packed(blocks: np.ndarray) -> np.ndarray:
    return np.asarray((blocks["layout"] & 15) == 0)


def _sample_bytes(blocks: np.ndarray) -> np.ndarray:
    return np.where(_packed(blocks), 4, 2 * (blocks["layout"] >> 4).astype(np.int64))


def _rates(blocks: np.ndarray) -> np.ndarray:
    """Sampling rates ``(b,)`` in Hz; the oldest firmware stores them in the field of the offset."""
    return np.where(blocks["rate"] == 0, blocks["offset"], 3200 / 2.0 ** (15 - (blocks["rate"] & 15).astype(int)))


def _starts(blocks: np.ndarray) -> np.ndarray:
    """Times ``(b,)`` of the first sample of each block, int64 in ns.

    The time stamp is that of sample number ``offset``. Firmware that stores fractions of a second also adds them to the
    offset, for older readers; this is undone here.
    """
    stamp, rates = blocks["stamp"].astype(np.int64), _rates(blocks)
    months = ((stamp >> 26) + 30) * 12 + (stamp >> 22 & 15) - 1  # since 1970
    days = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) + (stamp >> 17 & 31) - 1
    seconds = days * 86400 + (stamp >> 12 & 31) * 3600 + (stamp >> 6 & 63) * 60 + (stamp & 63)
    fraction = np.where(blocks["fraction"] & 0x8000, (blocks["fraction"] & 0x7FFF).astype(np.int64) << 1, 0)
    offset = np.where(blocks["rate"] == 0, 0, blocks["offset"]) + (fraction * rates.astype(np.int64) >> 16)
    return np.asarray(seconds * 10**9 + np.round((fraction / 2**16 - offset / rates) * 1e9).astype(np.int64))


def _samples(first: np.ndarray, others: Iterator[np.ndarray]) -> Iterator[Samples]:
    """Samples of all blocks. One block is held back until the start of the next one is known."""
    held, before = first, None
    for blocks in others:
        joined = np.concatenate([held, blocks])
        samples, before = _decoded(joined[:-1], _starts(joined), before)
        yield samples
        held = joined[-1:]
    yield _decoded(held, _starts(held), before)[0]


def _decoded(blocks: np.ndarray, starts: np.ndarray, before: float | None) -> tuple[Samples, float]:
    """Decode the samples of blocks.

    Args:
        blocks: Blocks ``(b,)``.
        starts: Start times of the blocks, and of the block after them if there is one.
        before: Step between samples of the preceding block in ns, for the last block of the file.

    Returns:
        The samples, and the step between samples of the last block in ns.
    """
    counts, nominal = blocks["count"].astype(np.int64), 1e9 / _rates(blocks)
    steps = np.diff(starts) / counts[: len(starts) - 1]
    steps = np.where(np.abs(steps / nominal[: len(steps)] - 1) < _DRIFT, steps, nominal[: len(steps)])
    if len(steps) < len(blocks):
        last = steps[-1] if len(steps) else nominal[-1] if before is None else before
        steps = np.append(steps, last)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    stamps = np.repeat(starts[: len(blocks)], counts) + np.round(within * np.repeat(steps, counts)).astype(np.int64)
    return Samples(stamps, _signal(blocks, counts)), float(steps[-1])


def _signal(blocks: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Signal ``(n, 3)`` of blocks, float32 in g."""
    signal = np.empty((counts.sum(), 3), dtype=np.float32)
    ends = np.cumsum(counts)
    unit = (256 << (blocks["light"] >> 13).astype(np.int64)).astype(np.float32)  # counts per g
    for layout in np.unique(blocks["layout"]):
        chosen = blocks["layout"] == layout
        data = np.ascontiguousarray(blocks["data"][chosen])
        values = _words(data) if layout & 15 == 0 else _shorts(data, int(layout) >> 4)
        inside = np.arange(values.shape[1]) < counts[chosen, None]
        values = values / unit[chosen, None, None]
        if chosen.all():
            return np.asarray(values[inside])
        rows = (ends - counts)[chosen, None] + np.arange(values.shape[1])
        signal[rows[inside]] = values[inside]
    return signal


def _words(data: np.ndarray) -> np.ndarray:
    """Unpack words of a 2-bit exponent and 10-bit z, y and x, ``(b, 480)`` to ``(b, 120, 3)`` float32."""
    words = data.view("<u4")
    values = np.stack([(words << shift).view("<i4") >> 22 for shift in (22, 12, 2)], axis=2)
    return (values << (words >> 30).astype(np.int32)[..., None]).astype(np.float32)


def _shorts(data: np.ndarray, axes: int) -> np.ndarray:
    """Unpack 16-bit numbers, ``(b, 480)`` to ``(b, m, 3)`` float32. Numbers of a gyroscope come first."""
    fitting = _DATA // (2 * axes)
    values = data.view("<i2")[:, : fitting * axes].reshape(len(data), fitting, axes)
    return (values[..., 3:6] if axes > 3 else values).astype(np.float32)
