"""Find the samples in a text file: a plain table with named columns, or the export of a known device or app.

Each function below takes the beginning of a file and the user's options, and returns a
:class:`~relcon_lightning.data.readers.table_plain.Table`, or None if the file has another layout.

Sources of the layouts:

- ``actigraph_csv``: raw data export of ActiLife 6 (ActiGraph LLC).
- ``geneactiv_csv``: CSV export of the GENEActiv PC software (Activinsights), 100 lines of header.
- ``axivity_csv``: CSV export of OmGui and ``cwa-convert`` (Open Movement, Axivity AX3 and AX6).
- ``empatica``: ``ACC.csv`` of an E4 session (Empatica): start, rate, then 1/64 g.
- ``shimmer``: CSV export of Consensys (Shimmer Research): calibrated low-noise or wide-range accelerometer.
- ``sensorlog``: CSV of SensorLog for iPhone and Apple Watch (Bernd Thomas).
- ``phyphox``: "Acceleration (with g)" of phyphox (RWTH Aachen).
- ``physics_toolbox``: "G-force meter" of Physics Toolbox Sensor Suite (Vieyra Software).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from relcon_lightning.data.readers.empatica import read_empatica
from relcon_lightning.data.readers.stamps import EPOCH_S, Clock, parse_date
from relcon_lightning.data.readers.suffixes import text_of
from relcon_lightning.data.readers.table_head import Head, is_number
from relcon_lightning.data.readers.table_layout import AUTO, NO_RATE, PLAIN, XYZ, Layout
from relcon_lightning.data.readers.table_plain import (
    SEPARATORS,
    Table,
    is_data,
    lacks,
    named_table,
    plain_table,
    separators_of,
    shortened,
    unit_in_name,
)
from relcon_lightning.errors import ConfigError, DataError

_SAMPLE = 500  # number of examined rows


def find_table(head: Head, layout: Layout) -> Table:
    """Find the columns and rows of the samples.

    Raises:
        DataError: The file has no such columns or another layout. The message says what was found and which options
            help.
    """
    where = text_of(head.path)
    if layout.format not in (AUTO, PLAIN):
        if layout.columns != XYZ and layout.format in _FIXED_COLUMNS:
            raise ConfigError(f"data.source.format={layout.format} sets the columns; leave out data.source.columns.")
        table = _FORMATS[layout.format](head, layout)
        if table is None:
            raise DataError(f"{where} does not have the layout of data.source.format={layout.format}.")
        return _completed(table, head, layout)
    table = plain_table(head, layout)
    if table is None and layout.format == AUTO and layout.columns == XYZ:
        table = next((found for read in _FORMATS.values() if (found := read(head, layout))), None)
    if table is None:
        raise DataError(f"{where} {lacks(head, layout)}")
    return _completed(table, head, layout)


def _completed(table: Table, head: Head, layout: Layout) -> Table:
    """Complete a table with its decimal point, clock and unit, and apply the user's options."""
    where = text_of(head.path)
    rows = head.rows(table.first, table.separator, _SAMPLE)
    rows = [row for row in rows if len(row) == table.width]
    decimal = _decimal([row[column] for row in rows for column in table.columns if row[column]], layout)
    unit = table.unit if layout.unit == "g" else layout.unit
    scale = table.scale if layout.scale is None else layout.factor
    clock, notes = None, list(table.notes)
    if table.time is not None:
        stamps = [row[table.time] for row in rows]
        if decimal == "," and not any(re.search(r"\d:\d", stamp) for stamp in stamps):
            stamps = [stamp.replace(",", ".") for stamp in stamps]
        own_zone = _zone_of(head) if table.format == "geneactiv_csv" else None
        clock = Clock.find(stamps, layout, where, table.time_name, own_zone)
        notes += [clock.note] if clock.note else []
    if table.separator != (layout.delimiter or ","):
        notes.append("separator " + {"\t": "tab", ";": "semicolon"}.get(table.separator, repr(table.separator)))
    if decimal == ",":
        notes.append("decimal comma")
    if clock is None and layout.sampling_rate is None and table.rate is None:
        raise ConfigError(f"{where}: {NO_RATE}")
    return replace(
        table,
        decimal=decimal,
        unit=unit,
        scale=scale,
        clock=clock,
        rate=layout.sampling_rate or table.rate,
        notes=tuple(notes),
    )


def _decimal(cells: Sequence[str], layout: Layout) -> str:
    """The decimal point of the layout; if it is to be detected, a comma where most cells need one."""
    if layout.decimal != AUTO:
        return layout.decimal
    point, comma = (sum(is_number(cell, mark) for cell in cells) for mark in (".", ","))
    needed = any("," in cell for cell in cells) and comma > max(point, len(cells) / 2)
    return "," if needed else "."


def _by_names(
    form: str, xyz: Sequence[str], times: Sequence[str], unit: Callable[[str], str]
) -> Callable[[Head, Layout], Table | None]:
    """Create the function of a format that is recognised by its column names.

    Args:
        form: Name of the format.
        xyz: Regular expressions for the x column, preferred ones first; ``X`` in them stands for the axis.
        times: Regular expressions for the column of time stamps, preferred ones first.
        unit: Function from the name of the x column to its unit.
    """

    def read(head: Head, layout: Layout) -> Table | None:
        for separator in separators_of(head, layout):
            for line in range(min(len(head.lines), 20)):
                header = head.cells(line, separator)
                columns = next((c for one in xyz if (c := _matching(header, one))), None)
                if layout.columns != XYZ:
                    x, y, z = map(str, layout.columns)
                    columns = (x, y, z) if {x, y, z} <= set(header) else None
                time = next((n for one in times for n in header if re.search(one, n, re.IGNORECASE)), None)
                if columns and (time or layout.sampling_rate):
                    use_time = time is not None and not (layout.time_column is None and layout.sampling_rate)
                    names = [*columns, time] if use_time and time else list(columns)
                    table = named_table(head, line, separator, names, form)
                    known = unit(columns[0])
                    chosen = table.unit if table.unit != "g" else known
                    notes = (f"columns {', '.join(columns)}", f"unit {chosen}")
                    return replace(table, unit=chosen, notes=notes)
        return None

    return read


def _matching(header: Sequence[str], pattern: str) -> tuple[str, str, str] | None:
    """Names that match the pattern with x, y and z instead of ``X``."""
    found = [[name for name in header if re.search(pattern.replace("<X>", axis), name, re.IGNORECASE)] for axis in XYZ]
    return (found[0][0], found[1][0], found[2][0]) if all(found) else None


def _actigraph(head: Head, layout: Layout) -> Table | None:
    if not any("Data File Created By ActiGraph" in line for line in head.lines[:2]):
        return None
    where, title = text_of(head.path), next(line for line in head.lines[:2] if "ActiGraph" in line)
    text = {key: _after(head, key) for key in ("Start Time", "Start Date", "Epoch Period (hh:mm:ss)")}
    if text["Epoch Period (hh:mm:ss)"] not in ("", "00:00:00"):
        raise DataError(
            f"{where} contains counts per epoch of {text['Epoch Period (hh:mm:ss)']}, not acceleration. Export the raw "
            "data from ActiLife, or use the .gt3x file."
        )
    rate = re.search(r"at (\d+(?:[.,]\d+)?) ?Hz", title)
    rules = [i for i, line in enumerate(head.lines[:30]) if i and re.fullmatch(r'"?-{5,}"?[,;\s]*', line)]
    if not rules:
        return None
    first = next((i for i in range(rules[0] + 1, len(head.lines)) if head.lines[i].strip()), None)
    if first is None:
        raise DataError(f"{where} contains no rows.")
    table = _actigraph_table(head, first, layout)
    start = _actigraph_start(title, text["Start Date"], text["Start Time"], layout.time_zone)
    hz = float(rate[1].replace(",", ".")) if rate else None
    return replace(
        table,
        rate=hz,
        start_time=start,
        local=layout.time_zone is None,
        notes=(f"{first} lines of header", *([f"{hz:g} Hz"] if hz else [])),
    )


def _actigraph_table(head: Head, first: int, layout: Layout) -> Table:
    """Find the columns of an export that begins in line ``first``, with or without their names."""
    separator = max(layout.delimiter or SEPARATORS, key=lambda mark: len(head.cells(first, mark)))
    header = head.cells(first, separator)
    if columns := _matching(header, r"^Accelerometer <X>$"):
        time = [name for name in header if re.fullmatch("timestamp", name, re.IGNORECASE)][:1]
        return named_table(head, first, separator, [*columns, *time], "actigraph_csv")
    if len(header) in (3, 4) and all(is_number(cell) or is_number(cell, ",") for cell in header[-3:]):
        x, names = len(header) - 3, ("x", "y", "z")
        return Table("actigraph_csv", first, separator, len(header), (x, x + 1, x + 2), 0 if x else None, names)
    raise DataError(
        f"{text_of(head.path)} has no columns 'Accelerometer X', 'Accelerometer Y' and 'Accelerometer Z'; it has "
        f"{shortened(', '.join(header))}. Export the raw data from ActiLife, or use the .gt3x file."
    )


def _actigraph_start(title: str, date: str, time: str, time_zone: str | None) -> float | None:
    form = re.search(r"date format ([dMy./-]+)", title)
    if not form:
        return None
    pattern = re.sub(r"d+", "%d", re.sub(r"M+", "%m", form[1]))
    pattern = pattern.replace("yyyy", "%Y").replace("yy", "%y")
    return parse_date(f"{date} {time}", f"{pattern} %H:%M:%S", time_zone)


def _after(head: Head, key: str) -> str:
    """Value after a key in the lines before the data."""
    for line in head.lines[:200]:
        if line.strip('"').startswith(key):
            return line.strip('"')[len(key) :].strip(' ",;:')
    return ""


_GENEACTIV_STAMP = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d+$")


def _geneactiv(head: Head, layout: Layout) -> Table | None:
    if not any(line.replace(" ", "").startswith("DeviceType,GENEActiv") for line in head.lines[:3]):
        return None
    for line in range(len(head.lines)):
        cells = head.cells(line, ",")
        if len(cells) >= 4 and _GENEACTIV_STAMP.match(cells[0]) and is_data(cells, (1, 2, 3)):
            names = ("x", "y", "z")
            notes = (f"{line} lines of header",)
            return Table("geneactiv_csv", line, ",", len(cells), (1, 2, 3), 0, names, notes=notes)
    return None


def _zone_of(head: Head) -> str | None:
    """Time zone in a GENEActiv header, such as ``Time Zone,GMT +01:00``."""
    stated = re.search(r"GMT\s*([+-]\d\d:\d\d)", _after(head, "Time Zone"))
    return stated[1] if stated else None


_axivity_named = _by_names("axivity_csv", (r"^Accel-<X>\s*\(g\)$",), (r"^Time$", r"^Timestamp$"), lambda _: "g")


def _axivity(head: Head, layout: Layout) -> Table | None:
    table = _axivity_named(head, layout)
    if table is not None or layout.columns != XYZ or not head.lines:
        return table
    rows = head.rows(0, ",", 100)
    if not rows or len(rows[0]) < 4 or any(len(row) != len(rows[0]) for row in rows):
        return None
    if not all(is_number(cell) for row in rows for cell in row[1:4]) or not all(_is_moment(row[0]) for row in rows):
        return None
    norm = float(np.median([np.linalg.norm([float(cell) for cell in row[1:4]]) for row in rows]))
    if not 0.5 < norm < 3:
        return None
    notes = ("no header", "columns 1, 2, 3, time stamps in column 0")
    return Table("axivity_csv", 0, ",", len(rows[0]), (1, 2, 3), 0, ("x", "y", "z"), notes=notes)


def _is_moment(cell: str) -> bool:
    """True if a cell is a date with the time of day, or Unix time."""
    if is_number(cell):
        return EPOCH_S[0] < float(cell) < EPOCH_S[1]
    return re.match(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d", cell) is not None


_FORMATS: dict[str, Callable[[Head, Layout], Table | None]] = {
    "actigraph_csv": _actigraph,
    "geneactiv_csv": _geneactiv,
    "empatica": read_empatica,
    "shimmer": _by_names(
        "shimmer",
        (r"Accel_LN_<X>(_CAL)?$", r"Low.Noise.Accel\w*.<X>", r"Accel_WR_<X>(_CAL)?$", r"Wide.Range.Accel\w*.<X>"),
        (r"Timestamp_\w*Unix_CAL$", r"Timestamp\w*_CAL$", r"Timestamp"),
        lambda _: "m/s2",
    ),
    "sensorlog": _by_names(
        "sensorlog",
        (r"^accelerometerAcceleration<X>(\(G\))?$",),
        (r"^loggingTime", r"^accelerometerTimestamp"),
        lambda _: "g",
    ),
    "phyphox": _by_names(
        "phyphox",
        (r"^(Acceleration|Beschleunigung|Accélération|Aceleración|Accelerazione) <X> \(",),
        (r"^(Time|Zeit|Temps|Tiempo|Tempo) \(s\)$",),
        unit_in_name,
    ),
    "physics_toolbox": _by_names("physics_toolbox", (r"^gF<X>$",), (r"^time",), lambda _: "g"),
    "axivity_csv": _axivity,
}


_FIXED_COLUMNS = ("actigraph_csv", "geneactiv_csv", "empatica", "axivity_csv")


def recognised(table: Table) -> str:
    """One line that describes what was detected in a file; empty for a plain table without notes."""
    words = "; ".join(table.notes)
    if table.format != PLAIN:
        return f"read as {table.format}" + (f" ({words})" if words else "")
    return f"recognised {words}" if words else ""
