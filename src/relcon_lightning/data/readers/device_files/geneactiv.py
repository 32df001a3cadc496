"""Reader of GENEActiv files (``.bin``): a text header with the calibration, and pages of one time and 300 samples.

A sample is 12 hexadecimal digits: 12 bits each of x, y and z, 10 bits of light, one bit of the button, one unused bit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np

from relcon_lightning.data.readers.device_files.contents import Contents, Damage, Samples

MAGIC = b"Device Identity"
_PAGE = b"Recorded Data"
_AT_ONCE = 200  # pages that are decoded at once: 60,000 samples
_SAMPLE = 12  # digits per sample
_USUAL = 300  # usual number of samples per page
_LONGEST_LINE = 2**16  # a page has 3600 digits
_LONGEST_HEADER = 1000  # lines; there are about 60
_LONGEST_FIELDS = 30  # lines before the samples of a page; there are 8


@dataclass(frozen=True)
class _Page:
    number: int
    time: str  # ISO
    digits: bytes


def read_geneactiv(file: IO[bytes], damage: Damage) -> Contents:
    """Read a ``.bin`` file of a GENEActiv.

    Args:
        file: Open file.
        damage: Decides whether damage is refused or skipped.

    Raises:
        DataError: The header lacks the rate or the calibration. Damaged pages are raised while samples are read.
    """
    header = _header(file)
    rate = _number(header, "Measurement Frequency", damage)
    gains = np.array([_number(header, f"{axis} gain", damage) for axis in "xyz"])
    offsets = np.array([_number(header, f"{axis} offset", damage) for axis in "xyz"])
    if not (0 < rate < np.inf and np.isfinite(offsets).all() and np.isfinite(gains).all() and gains.all()):
        raise damage.error(f"its header has a rate of {rate:g} Hz, gains {gains} and offsets {offsets}")
    samples = _samples(file, header, rate, gains, offsets, damage)
    announced = _announced(header)
    duration_s = announced * _USUAL / rate if announced else None
    return Contents(rate, _utc_offset(header.get("Time Zone", "")), samples, damage, duration_s)


def _header(file: IO[bytes]) -> dict[str, str]:
    """Header values by name; the first one if a name occurs twice."""
    found: dict[str, str] = {}
    for _ in range(_LONGEST_HEADER):
        line = file.readline(_LONGEST_LINE)
        if not line or line.strip() == _PAGE:
            break
        name, colon, value = line.decode("utf-8", "replace").partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip().strip("\0").strip())
    return found


def _number(header: dict[str, str], name: str, damage: Damage) -> float:
    """The number at the start of a header value; some files use a decimal comma."""
    match = re.match(r"[-+]?\d+([.,]\d+)?", header.get(name, ""))
    if not match:
        raise damage.error(f"its header has no number for {name!r}")
    return float(match[0].replace(",", "."))


def _utc_offset(zone: str) -> float | None:
    """Offset such as ``GMT -05:00`` in seconds."""
    match = re.fullmatch(r"(?:GMT|UTC)?\s*([-+])\s*(\d{1,2}):?(\d\d)", zone)
    if not match:
        return 0.0 if zone in ("GMT", "UTC") else None
    seconds = int(match[2]) * 3600.0 + int(match[3]) * 60.0
    return -seconds if match[1] == "-" else seconds


def _announced(header: dict[str, str]) -> int:
    """Number of pages; 0 if it is not stated."""
    match = re.match(r"\d+", header.get("Number of Pages", ""))
    return int(match[0]) if match else 0


def _samples(
    file: IO[bytes], header: dict[str, str], rate: float, gains: np.ndarray, offsets: np.ndarray, damage: Damage
) -> Iterator[Samples]:
    held: list[_Page] = []
    read = 0
    for page in _pages(file, damage):
        held.append(page)
        read += 1
        if len(held) == _AT_ONCE:
            yield from _decoded(held, rate, gains, offsets, damage)
            held = []
    yield from _decoded(held, rate, gains, offsets, damage)
    if read < (announced := _announced(header)):
        damage.note(f"it has {read} of the {announced} pages that its header announces")


def _pages(file: IO[bytes], damage: Damage) -> Iterator[_Page]:
    """Pages with as many digits as the first one; the last page of a file may be incomplete.

    The first line of the first page has been read with the header.
    """
    number, usual, more = 0, 0, True
    while more:
        time, line = _page(file)
        digits, at_end = line.strip(), not line.endswith(b"\n")
        if at_end and (not time or len(digits) % _SAMPLE or len(digits) < max(usual, _SAMPLE)):
            if time or digits:
                damage.note(f"it ends within page {number}")
            digits = digits[: len(digits) // _SAMPLE * _SAMPLE]
            if not time or not digits:
                return
        if not time or not digits or len(digits) % _SAMPLE or (usual and len(digits) != usual and not at_end):
            damage.found(
                f"page {number} has no time, or {len(digits)} digits where {usual or _USUAL * _SAMPLE} are expected"
            )
        else:
            usual = usual or len(digits)
            yield _Page(number, time, digits)
        number += 1
        more = _next_page(file, line)


def _page(file: IO[bytes]) -> tuple[str, bytes]:
    """Time and line of samples of a page, empty if missing."""
    time = ""
    for _ in range(_LONGEST_FIELDS):
        line = file.readline(_LONGEST_LINE)
        name, colon, value = line.partition(b":")
        if not colon and (line.strip() or not line):
            return time, line
        if name == b"Page Time":
            time = _iso(value)
    return time, b"\n"


def _iso(value: bytes) -> str:
    """ISO time of ``2013-05-30 10:12:54:500``; empty if invalid."""
    text = value.strip().decode("ascii", "replace")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[:.]\d{3}", text):
        return ""
    iso = f"{text[:10]}T{text[11:19]}.{text[20:]}"
    try:
        np.datetime64(iso)
    except ValueError:
        return ""
    return iso


def _next_page(file: IO[bytes], line: bytes) -> bool:
    """Skip to the next page, whose first line may be ``line``; False at the end of the file."""
    while line.strip() != _PAGE:
        line = file.readline(_LONGEST_LINE)
        if not line:
            return False
    return True


def _decoded(
    pages: list[_Page], rate: float, gains: np.ndarray, offsets: np.ndarray, damage: Damage
) -> Iterator[Samples]:
    try:
        content = bytes.fromhex(b"".join(page.digits for page in pages).decode("ascii"))
    except ValueError:
        sound = [page for page in pages if _is_hex(page.digits)]
        for page in pages:
            if page not in sound:
                damage.found(f"page {page.number} has characters that are not hexadecimal digits")
        content, pages = bytes.fromhex(b"".join(page.digits for page in sound).decode("ascii")), sound
    if not pages:
        return
    rows = np.frombuffer(content, np.uint8).reshape(-1, _SAMPLE // 2).astype(np.int16)
    x = rows[:, 0] << 4 | rows[:, 1] >> 4
    y = (rows[:, 1] & 15) << 8 | rows[:, 2]
    z = rows[:, 3] << 4 | rows[:, 4] >> 4
    counts = np.stack([x, y, z], axis=1)
    counts = (counts << 4) >> 4  # extend the sign of 12 bits
    signal = ((counts * 100.0 - offsets) / gains).astype(np.float32)
    starts = np.array([page.time for page in pages], dtype="datetime64[ns]").astype(np.int64)
    sizes = np.array([len(page.digits) // _SAMPLE for page in pages])
    within = np.arange(len(signal)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    yield Samples(np.repeat(starts, sizes) + np.round(within * (1e9 / rate)).astype(np.int64), signal)


def _is_hex(digits: bytes) -> bool:
    return re.fullmatch(rb"[0-9A-Fa-f]*", digits) is not None
