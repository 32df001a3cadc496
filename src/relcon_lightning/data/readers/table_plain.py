"""A table in a text file, with a header or with columns given by number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from relcon_lightning.data.readers.stamps import Clock
from relcon_lightning.data.readers.suffixes import text_of
from relcon_lightning.data.readers.table_head import Head, is_number
from relcon_lightning.data.readers.table_layout import PLAIN, TIME_UNITS, Layout
from relcon_lightning.errors import DataError, nearest

SEPARATORS = (",", ";", "\t", "|")
UNIT_NAMES = {"g": "g", "mg": "mg", "m/s^2": "m/s2", "m/(s^2)": "m/s2", "m/s2": "m/s2", "m/s²": "m/s2", "ms-2": "m/s2"}
_IN_BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]*(?:\([^()]*\))?[^()\[\]]*)[)\]]\s*$")  # x (m/s^2), x [mg]
_UNITS_ROW = 3  # number of lines below the header that may contain units


@dataclass(frozen=True)
class Table:
    """Location and units of the samples in a text file.

    Attributes:
        format: Name of the layout.
        first: Number of the first line of data, counted from 0.
        separator: Character between cells.
        width: Number of cells per row.
        columns: Numbers of the columns of x, y and z.
        time: Number of the column of time stamps; None if there is none.
        names: Names of the columns for messages.
        time_name: Name of the column of time stamps, with its unit if the file has a row of units.
        decimal: Decimal point.
        unit: Unit of the cells times ``scale``.
        scale: Factor from a cell to ``unit``.
        rate: Sampling rate in Hz that the file states, for samples without time stamps.
        start_time: Time of the first sample that the file states, in Unix seconds.
        local: True: the time zone of ``start_time`` is unknown.
        clock: Notation of the time stamps.
        notes: Descriptions of what was detected, for the log.
    """

    format: str
    first: int
    separator: str
    width: int
    columns: tuple[int, int, int]
    time: int | None
    names: tuple[str, str, str]
    decimal: str = "."
    unit: str = "g"
    scale: float = 1.0
    rate: float | None = None
    start_time: float | None = None
    local: bool = False
    time_name: str = ""
    clock: Clock | None = None
    notes: tuple[str, ...] = ()


def plain_table(head: Head, layout: Layout) -> Table | None:
    """Find a table with the columns that the options name; None if there is none."""
    lines = range(len(head.lines)) if layout.skip_rows is None else range(layout.skip_rows, layout.skip_rows + 1)
    needed = layout.needed
    names = [str(column) for column in needed]
    for separator in separators_of(head, layout):
        for line in lines:
            if line < len(head.lines) and (found := as_written(names, head.cells(line, separator))):
                table = named_table(head, line, separator, found, PLAIN)
                open_unit = layout.unit == table.unit == "g" and layout.scale is None
                if open_unit and (unit := shared_unit(found[:3])) != "g":
                    table = replace(table, unit=unit, notes=(*table.notes, f"unit {unit}"))
                return table if found == names else replace(table, notes=(f"columns {', '.join(found)}", *table.notes))
    if all(isinstance(column, int) for column in needed):
        columns = [int(column) for column in needed]
        return _numbered(head, layout, columns)
    return None


def as_written(names: Sequence[str], header: Sequence[str]) -> list[str]:
    """Names as in the header, ignoring case and units in brackets; empty if one is missing or matches two columns."""
    if set(names) <= set(header):
        return list(names)
    for folded in ([name.casefold() for name in header], [_without_unit(name).casefold() for name in header]):
        if all(folded.count(name.casefold()) == 1 for name in names):
            return [header[folded.index(name.casefold())] for name in names]
    return []


def shared_unit(names: Sequence[str]) -> str:
    """Unit in brackets after all names; g if there is none, or if they differ."""
    units = {unit_in_name(name) for name in names}
    return units.pop() if len(units) == 1 else "g"


def unit_in_name(name: str) -> str:
    """Unit in brackets after a column name; g if there is none."""
    stated = _IN_BRACKETS.search(name)
    return UNIT_NAMES.get(stated[1].strip().lower(), "g") if stated else "g"


def _without_unit(name: str) -> str:
    stated = _IN_BRACKETS.search(name)
    known = stated and stated[1].strip().lower() in (*UNIT_NAMES, *TIME_UNITS)
    return name[: stated.start()] if stated and known else name


def separators_of(head: Head, layout: Layout) -> Sequence[str]:
    """Separators to try: that of the user, that of a ``sep=`` line, or the usual ones."""
    if layout.delimiter:
        return [layout.delimiter]
    stated = re.match(r'\s*"?sep=(.)', head.text) or re.match(r'\s*"?sep=\\(t)', head.text)
    return [{"t": "\t"}.get(stated[1], stated[1])] if stated else SEPARATORS


def named_table(head: Head, line: int, separator: str, names: Sequence[str], form: str) -> Table:
    """Table whose header is ``line``; ``names`` are those of x, y, z and, if there are four, of the time stamps."""
    header, where = head.cells(line, separator), text_of(head.path)
    for name in names:
        if header.count(name) > 1:
            raise DataError(f"{where} has {header.count(name)} columns {name!r}.")
    columns = [header.index(name) for name in names]
    first, unit, notes, described = line + 1, "g", [], [line]
    while first < min(line + 1 + _UNITS_ROW, len(head.lines)):
        cells = head.cells(first, separator)
        if head.lines[first].strip() and is_data(cells, columns[:3]):
            break
        below = {UNIT_NAMES[cell.lower()] for cell in cells if cell.lower() in UNIT_NAMES}
        if len(below) == 1 and len(cells) == len(header):
            [unit] = below
            described.append(first)
        elif head.lines[first].strip():
            break
        first += 1
    if unit != "g":
        notes.append(f"unit {unit}")
    if line or first > line + 1:
        notes.append(f"header in line {line + 1}" if line else "a row of units")
    width = _width(head, first, separator, len(header), where)
    x, y, z, *time = columns
    triple = (str(names[0]), str(names[1]), str(names[2]))
    time_name = " ".join(head.cells(row, separator)[time[0]] for row in described) if time else ""
    return Table(
        form,
        first,
        separator,
        width,
        (x, y, z),
        time[0] if time else None,
        triple,
        unit=unit,
        time_name=time_name,
        notes=tuple(notes),
    )


def _numbered(head: Head, layout: Layout, columns: Sequence[int]) -> Table | None:
    """Table with columns given by number; data begin at the first row with numbers in these columns."""
    for separator in separators_of(head, layout):
        for line in range(layout.skip_rows or 0, len(head.lines)):
            cells = head.cells(line, separator)
            if len(cells) > max(columns) and is_data(cells, columns[:3]) and all(cells[c] for c in columns):
                width = _width(head, line, separator, len(cells), text_of(head.path))
                x, y, z, *time = columns
                notes = (f"data from line {line + 1} on",) if line else ()
                names = (f"column {x}", f"column {y}", f"column {z}")
                return Table(PLAIN, line, separator, width, (x, y, z), time[0] if time else None, names, notes=notes)
    return None


def is_data(cells: Sequence[str], columns: Sequence[int]) -> bool:
    """True if the cells of x, y and z contain numbers or are empty."""
    if len(cells) <= max(columns):
        return False
    return all(
        not cells[c] or is_number(cells[c]) or is_number(cells[c], ",") or cells[c].lower() in ("nan", "na", "null")
        for c in columns
    )


def _width(head: Head, first: int, separator: str, named: int, where: str) -> int:
    """Number of cells per row: as in the header, or one more if each row ends in a separator."""
    rows = head.rows(first, separator, 20)
    if not rows:
        return named
    widths = [len(row) for row in rows]
    usual = max(set(widths), key=widths.count)
    if usual == named or (usual == named + 1 and all(not row[-1] for row in rows if len(row) == usual)):
        return usual
    raise DataError(f"{where}: the header names {named} columns, but the rows have {usual} cells.")


def lacks(head: Head, layout: Layout) -> str:
    """Explain why a file has no table with the columns of the options, and what to do."""
    needed = layout.needed
    separator = max(separators_of(head, layout), key=lambda mark: _score(head, mark))
    line = _likely_header(head, separator) if layout.skip_rows is None else layout.skip_rows
    if line >= len(head.lines):
        return f"has fewer than data.source.skip_rows={line} lines."
    names = head.cells(line, separator)
    numbers = [column for column in needed if isinstance(column, int)]
    if numbers and max(numbers) >= len(names):
        return f"has {len(names)} columns, 0 to {len(names) - 1}, and no column {max(numbers)}."
    if all(is_number(name) or not name for name in names):
        return (
            f"has no header: its first row of {len(names)} cells is {shortened(head.lines[line])!r}. Give the numbers "
            "of the columns, counted from 0, e.g. 'data.source.columns=[1,2,3]' data.source.time_column=0."
        )
    missing = next((str(name) for name in needed if str(name) not in names), str(needed[0]))
    text = f"has no column {missing!r}{nearest(missing, names)}; it has {shortened(', '.join(names))}."
    if layout.time_column is not None and missing == str(layout.time_column):
        return f"{text} If samples have no time stamps, give data.source.time_column=null data.source.sampling_rate=HZ."
    guess = _guess_columns(names)
    given = f" Is it 'data.source.columns=[{guess}]'?" if guess else ""
    known = "" if layout.format == PLAIN else " It does not have a known layout of a device or app either (see --help)."
    return f"{text}{given}{known}"


def _score(head: Head, separator: str) -> int:
    counts = [len(head.cells(line, separator)) for line in range(min(len(head.lines), 50))]
    return max(counts, default=0)


def _likely_header(head: Head, separator: str) -> int:
    """Number of the line above the first row of numbers, or of the first line that is not blank."""
    texts = [line for line in range(len(head.lines)) if head.lines[line].strip()]
    for line in texts:
        cells = head.cells(line, separator)
        if len(cells) >= 3 and sum(is_number(cell) or is_number(cell, ",") for cell in cells) >= 3:
            above = [other for other in texts if other < line]
            return above[-1] if above and len(head.cells(above[-1], separator)) >= 3 else line
    return texts[0] if texts else 0


_NO_ACCELERATION = re.compile("linear|user|gyr|rot|mag|gravity|angle", re.IGNORECASE)  # or acceleration without gravity


def _guess_columns(names: Sequence[str]) -> str:
    """Three names that differ only in x, y and z, quoted for the command line."""
    for name in names:
        if _NO_ACCELERATION.search(name):
            continue
        for position, letter in enumerate(name):
            if letter in "xX":
                others = [name[:position] + other + name[position + 1 :] for other in ("yz" if letter == "x" else "YZ")]
                if all(other in names for other in others):
                    return ",".join(f'"{one}"' for one in (name, *others))
    return ""


def shortened(text: str, most: int = 200) -> str:
    """Shorten a long text for messages."""
    return text if len(text) <= most else text[: most - 3] + "..."
