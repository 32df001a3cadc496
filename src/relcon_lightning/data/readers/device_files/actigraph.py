"""Reader of ActiGraph files (``.gt3x``), from the format descriptions that ActiGraph published.

A file is a zip archive. ``info.txt`` has the rate and the scale. ``log.bin`` has the samples in records of one second:
12-bit numbers in type 0 (in the order y, x, z) and type 27 (x, y, z), 16-bit numbers in type 26 (GT9X Link). A GT3X+
with firmware up to 2.5 writes ``activity.bin`` instead, one uninterrupted sequence of 12-bit samples (y, x, z).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from typing import IO

import numpy as np

from relcon_lightning.data.readers.device_files.contents import Contents, Damage, Samples
from relcon_lightning.errors import DataError

MAGIC = b"PK\x03\x04"
_LARGEST_TEXT = 2**20  # bytes of info.txt and calibration.json
_PIECE = 2**20  # bytes of log.bin that are read at once
_AT_ONCE = 60_000  # samples that are decoded at once
_HEADER = 8  # bytes before the payload of a record
_LONGEST = _HEADER + 2**16  # maximum size of a record in bytes
_SEPARATOR = 0x1E
_PARAMETERS = 21
_ACTIVITY, _SHORTS, _PACKED_XYZ = 0, 26, 27  # types of records with samples
_SCALE = (0, 55)  # address and identifier of the parameter
_EPOCH = 621_355_968_000_000_000  # 1970 in ticks of 100 ns since the year 1
_SCALES = {"NEO": 341.0, "CLE": 341.0, "MRA": 341.0, "MOS": 256.0, "TAS": 256.0}  # counts per g, by serial number
WAY_ON = "Export the raw data as CSV with ActiLife, and read that with data=folder data.source.format=actigraph_csv."
_Record = tuple[int, int, bytes]  # type, seconds since 1970, payload


def read_actigraph(file: IO[bytes], damage: Damage) -> Contents:
    """Read a ``.gt3x`` file.

    Args:
        file: Open file; it must be seekable.
        damage: Decides whether damage is refused or skipped.

    Raises:
        DataError: The file is no ActiGraph recording with raw samples. Damage is raised while samples are read.
    """
    archive = zipfile.ZipFile(file)
    names = set(archive.namelist())
    if "info.txt" not in names or not names & {"log.bin", "activity.bin"}:
        raise DataError(
            f"{damage.where} is a zip archive without info.txt and log.bin or activity.bin: it is not an "
            f"ActiGraph recording. {WAY_ON}"
        )
    if "calibration.json" in names and not _calibrated(_text(archive, "calibration.json")):
        raise DataError(f"{damage.where}: its samples need calibration, which is not supported. {WAY_ON}")
    info = _info(_text(archive, "info.txt"))
    rate = _number(info, "Sample Rate")
    if rate is None:
        raise damage.error("its info.txt has no sample rate")
    samples = _of_log(archive, info, rate, damage) if "log.bin" in names else _of_activity(archive, info, rate, damage)
    first, last = (_number(info, name) for name in ("Start Date", "Last Sample Time"))
    duration_s = (last - first) / 1e7 if first and last and last > first else None
    return Contents(rate, _utc_offset(info.get("TimeZone", "")), samples, damage, duration_s)


def _text(archive: zipfile.ZipFile, name: str) -> str:
    with archive.open(name) as file:
        return file.read(_LARGEST_TEXT).decode("utf-8", "replace")


def _calibrated(text: str) -> bool:
    found = json.loads(text)
    return isinstance(found, dict) and found.get("isCalibrated") is True


def _info(text: str) -> dict[str, str]:
    parted = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, colon, value in parted if colon}


def _number(info: dict[str, str], name: str) -> float | None:
    """A positive number; some files use a decimal comma."""
    try:
        value = float(info.get(name, "").replace(",", "."))
    except ValueError:
        return None
    return value if 0 < value < np.inf else None


def _utc_offset(zone: str) -> float | None:
    """Offset such as ``-05:00:00`` in seconds."""
    match = re.fullmatch(r"([-+]?)(\d{1,2}):(\d\d)(?::\d\d)?", zone)
    if not match:
        return None
    seconds = int(match[2]) * 3600.0 + int(match[3]) * 60.0
    return -seconds if match[1] == "-" else seconds


def _scale(info: dict[str, str], parameter: float | None, where: str) -> float:
    """Scale of the samples in counts per g."""
    scale = parameter or _number(info, "Acceleration Scale") or _SCALES.get(info.get("Serial Number", "")[:3])
    if scale is None:
        raise DataError(f"{where} does not state the number of counts per g. {WAY_ON}")
    return scale


def _of_activity(archive: zipfile.ZipFile, info: dict[str, str], rate: float, damage: Damage) -> Iterator[Samples]:
    """Read ``activity.bin``: 9 bytes hold two samples."""
    ticks = _number(info, "Start Date")
    if ticks is None:
        raise damage.error("its info.txt has no start date")
    start, done = (int(info["Start Date"]) - _EPOCH) * 100, 0
    scale = _number(info, "Acceleration Scale") or _SCALES["NEO"]
    with archive.open("activity.bin") as member:
        file = damage.reading(member)
        while content := file.read(9 * _AT_ONCE // 2):
            signal = _packed(np.frombuffer(content, np.uint8)[None], y_first=True)[0] / np.float32(scale)
            yield Samples(start + np.round((done + np.arange(len(signal))) * (1e9 / rate)).astype(np.int64), signal)
            done += len(signal)
    if not done:
        raise DataError(f"{damage.where} contains no acceleration samples: its activity.bin is empty.")


def _of_log(archive: zipfile.ZipFile, info: dict[str, str], rate: float, damage: Damage) -> Iterator[Samples]:
    """Read ``log.bin``."""
    parameter, scale = None, None
    held: list[_Record] = []
    kinds: Counter[int] = Counter()
    most = max(1, round(_AT_ONCE / rate))
    with archive.open("log.bin") as member:
        for record in _records(damage.reading(member), damage):
            kind, _, payload = record
            kinds[kind] += 1
            if kind == _PARAMETERS:
                parameter = _parameter(payload, _SCALE)
            elif kind in (_ACTIVITY, _SHORTS, _PACKED_XYZ) and len(payload) > 1:  # one byte: USB connection
                scale = scale or _scale(info, parameter, damage.where)
                held.append(record)
                if len(held) == most:
                    yield _decoded(held, rate, scale)
                    held = []
    if held and scale:
        yield _decoded(held, rate, scale)
    if scale is None:
        counted = ", ".join(f"{count} of type {kind}" for kind, count in sorted(kinds.items()))
        raise DataError(
            f"{damage.where} contains no raw acceleration samples; its records are {counted or 'none'}. Was the "
            f"device set up to record raw data? {WAY_ON}"
        )


def _records(file: IO[bytes], damage: Damage) -> Iterator[_Record]:
    """Records with a correct checksum; zero bytes between records are allowed."""
    buffer, at, passed, ended = b"", 0, 0, False
    in_damage = False
    while True:
        if not ended and len(buffer) - at < _LONGEST:
            piece = file.read(_PIECE)
            buffer, at, passed, ended = buffer[at:] + piece, 0, passed + at, not piece
        if at >= len(buffer):
            return
        end = at + _HEADER + int.from_bytes(buffer[at + 6 : at + 8], "little")
        whole = buffer[at] == _SEPARATOR and end < len(buffer)
        if whole and _check_sum(buffer, at, end) == buffer[end]:
            yield buffer[at + 1], int.from_bytes(buffer[at + 2 : at + 6], "little"), buffer[at + _HEADER : end]
            at, in_damage = end + 1, False
        elif buffer[at] == 0 and not in_damage:
            at += 1
        else:
            if not in_damage:
                reason = "fails its checksum" if whole else "is cut short or has no record separator"
                damage.found(f"the record at byte {passed + at} of log.bin {reason}")
            in_damage = True
            following = buffer.find(_SEPARATOR, at + 1)
            at = following if following > 0 else len(buffer)


def _check_sum(buffer: bytes, at: int, end: int) -> int:
    return ~int(np.bitwise_xor.reduce(np.frombuffer(buffer, np.uint8, end - at, at))) & 0xFF


def _parameter(payload: bytes, wanted: tuple[int, int]) -> float | None:
    """Find a positive parameter; its value has a 24-bit mantissa and an 8-bit exponent."""
    for first in range(0, len(payload) - 7, 8):
        address, name = (int.from_bytes(payload[first + i : first + i + 2], "little") for i in (0, 2))
        if (address, name) == wanted:
            mantissa = int.from_bytes(payload[first + 4 : first + 7], "little", signed=True)
            value = mantissa / 2**23 * 2.0 ** int.from_bytes(payload[first + 7 : first + 8], "little", signed=True)
            return value if value > 0 else None
    return None


def _decoded(records: list[_Record], rate: float, scale: float) -> Samples:
    """Samples of some records; within a record they are at the nominal rate."""
    stamps, signals = [], []
    groups: dict[tuple[int, int], list[int]] = {}
    for i, (kind, _, payload) in enumerate(records):
        groups.setdefault((kind, len(payload)), []).append(i)
    for (kind, _), members in groups.items():
        content = np.frombuffer(b"".join(records[i][2] for i in members), np.uint8).reshape(len(members), -1)
        counts = _shorts(content) if kind == _SHORTS else _packed(content, y_first=kind == _ACTIVITY)
        seconds = np.array([records[i][1] for i in members], dtype=np.int64)
        within = np.round(np.arange(counts.shape[1]) * (1e9 / rate)).astype(np.int64)
        stamps.append((seconds[:, None] * 10**9 + within).ravel())
        signals.append(counts.reshape(-1, 3))
    together, signal = np.concatenate(stamps), np.concatenate(signals) / np.float32(scale)
    if len(groups) > 1:
        order = np.argsort(together, kind="stable")
        together, signal = together[order], signal[order]
    return Samples(together, signal)


def _packed(content: np.ndarray, y_first: bool) -> np.ndarray:
    """Unpack big-endian 12-bit numbers, ``(r, bytes)`` to ``(r, samples, 3)`` float32."""
    samples = content.shape[1] * 2 // 9
    padded = np.pad(content, ((0, 0), (0, -content.shape[1] % 3))).reshape(len(content), -1, 3).astype(np.int16)
    values = np.stack([padded[..., 0] << 4 | padded[..., 1] >> 4, (padded[..., 1] & 15) << 8 | padded[..., 2]], axis=2)
    values = (values << 4) >> 4  # extend the sign of 12 bits
    values = values.reshape(len(content), -1)[:, : samples * 3].reshape(len(content), samples, 3)
    return (values[..., [1, 0, 2]] if y_first else values).astype(np.float32)


def _shorts(content: np.ndarray) -> np.ndarray:
    """Unpack 16-bit numbers, ``(r, bytes)`` to ``(r, samples, 3)`` float32."""
    samples = content.shape[1] // 6
    values = np.ascontiguousarray(content[:, : samples * 6]).view("<i2")
    return values.reshape(len(content), samples, 3).astype(np.float32)
