"""Notations of dates and times of day in text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

import numpy as np
import pyarrow as pa
from pyarrow import compute

ISO, TIME_OF_DAY = "ISO 8601", "time of day"

# Unambiguous dates. Two numbers of two digits with a slash or dash are ambiguous: either can be the month.
_DATES = ("%d.%m.%Y", "%d.%m.%y", "%Y.%m.%d", "%Y/%m/%d", "%d-%b-%Y", "%d %b %Y", "%d/%b/%Y", "%b %d %Y", "%b %d, %Y")
_DAY_FIRST, _MONTH_FIRST = ("%d/%m/%Y", "%d-%m-%Y", "%d/%m/%y"), ("%m/%d/%Y", "%m-%d-%Y", "%m/%d/%y")
_TIMES = ("%H:%M:%S.%f", "%H:%M", "%I:%M:%S.%f %p", "%I:%M %p")

# A date in which either number can be the month, its time of day, and what follows it: an offset, or a zone in words.
_EITHER_MONTH = re.compile(
    r"\d{1,2}([/-])\d{1,2}[/-](\d+)(,? |T)\d{1,2}:\d\d(:\d\d)?(?:([.,:])\d+)?(\s*[AaPp]\.?\s?[Mm]\.?)?"
    r"(?:(\s*)(?:Z|[+-]\d\d:?\d\d))?((?:\s+(?:UTC|GMT))?(?:\s*\[?[A-Z][a-z]+/[\w/+-]+\]?)?)"
)

# A date and time of day without separators, such as 20240305090000.250 or 20240305090000250. No Unix time has so many
# digits.
_COMPACT = r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])([01]\d|2[0-3])[0-5]\d[0-5]\d([.,]\d+|\d{3}|\d{6})?"
_COMPACT_FORM = "%Y%m%d%H%M%S.%f"

OFFSET = r"\d(?:Z|[+-]\d\d:?\d\d)$"
_BLANK = r"[\s\x{a0}\x{202f}]"  # including the unbreakable spaces of spreadsheets
_DOTTED_HALF = (rf"([AaPp])\.{_BLANK}?[Mm]\.?", r"\1M")  # a. m., which %p does not match
_TIDY = (
    (r"^\s+|\s+$", ""),
    (r"\s*\[[^\]]*\]$", ""),  # the name of a zone: +0100 [Europe/London]
    (r"\s+[A-Z][A-Za-z]+/[A-Za-z_/+-]+$", ""),
    (r"(\d:\d\d:\d\d)[:,](\d+)", r"\1.\2"),  # 09:00:00:020 and 09:00:00,020
    (r"\s*(?:UTC|GMT)$", "Z"),
    (r"\s+([+-]\d\d:?\d\d)$", r"\1"),
    (rf"{_BLANK}*([AaPp])\.?{_BLANK}?[Mm]\.?$", r" \1M"),
    (r"(\d:\d\d:\d\d)((?: [AaPp]M)?(?:Z|[+-]\d\d:?\d\d)?)$", r"\1.0\2"),  # a whole second, without a fraction
    (r"^(\d{14})$", r"\1.0"),
    (r"^(\d{14})[.,]?(\d+)$", r"\1.\2"),
)


def tidied(stamps: Sequence[str] | np.ndarray) -> pa.Array:
    """Normalise the notation of stamps."""
    text = pa.array(stamps, pa.string(), from_pandas=True)
    for pattern, replacement in _TIDY:
        text = compute.replace_substring_regex(text, pattern, replacement)
    return text


def undotted(text: pa.Array) -> pa.Array:
    """Write a. m. and p. m. as AM and PM."""
    return compute.replace_substring_regex(text, *_DOTTED_HALF)


def are_compact(cells: Sequence[str]) -> bool:
    """True if all cells with a number, and there are some, are dates without separators."""
    numbers = [cell.strip() for cell in cells if re.fullmatch(r"\s*\d+([.,]\d*)?\s*", cell)]
    return bool(numbers) and all(re.fullmatch(_COMPACT, number) for number in numbers)


def forms(cells: Sequence[str], aware: bool) -> list[str]:
    """Formats to try, the likely ones first."""
    if all(re.fullmatch(r"\d{1,2}:\d\d:\d\d(\.\d+)?", cell) for cell in cells):
        return [TIME_OF_DAY]
    if are_compact(cells):
        return [_COMPACT_FORM]
    dates = list(_DATES)
    numbers = [re.match(r"(\d{1,2})[/-](\d{1,2})[/-]\d", cell) for cell in cells]
    if any(match and int(match[1]) > 12 for match in numbers):
        dates.extend(_DAY_FIRST)
    elif any(match and int(match[2]) > 12 for match in numbers):
        dates.extend(_MONTH_FIRST)
    zone_form = "%z" if aware else ""
    return [ISO, *(f"{day}{gap}{time}{zone_form}" for day in dates for time in _TIMES for gap in (" ", "T", ", "))]


def unclear(cell: str, where: str) -> str:
    """Message about a stamp that none of the formats reads: what is wrong, and the option that helps."""
    if (day := re.match(r"\d{4}-\d\d-\d\d(?=[ T]\d)", cell.strip())) and not _exists(day[0]):
        return f"{where}: the time stamp {cell!r} is not a date: {day[0]} does not exist."
    match = _EITHER_MONTH.fullmatch(cell)
    if not match:
        return (
            f"{where}: time stamps such as {cell!r} are not recognised. Give their format, e.g. "
            "'data.source.time_format=\"%d.%m.%Y %H:%M:%S.%f\"'."
        )
    mark, year, gap, seconds, dot, half, offset, rest = match.groups()
    time = f"{'%I' if half else '%H'}:%M{':%S' if seconds else ''}{dot + '%f' if dot else ''}"
    half_form = "" if not half else " %p" if half[0].isspace() else "%p"
    tail = f"{half_form}{offset + '%z' if offset is not None else ''}{rest}"
    year = "%Y" if len(year) == 4 else "%y"
    one, other = (f"{a}{mark}{b}{mark}{year}{gap}{time}{tail}" for a, b in (("%d", "%m"), ("%m", "%d")))
    return (
        f"{where}: time stamps such as {cell!r} do not say which number is the month. Give "
        f"'data.source.time_format=\"{one}\"' or 'data.source.time_format=\"{other}\"'."
    )


def _exists(day: str) -> bool:
    try:
        return bool(date.fromisoformat(day))
    except ValueError:
        return False
