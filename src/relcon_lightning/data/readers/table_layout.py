"""Layout of a user's tables: the options shared by ``relcon-prepare data=folder`` and ``relcon-embed``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta, timezone, tzinfo
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np

from relcon_lightning.data.readers.stretches import STANDARD_GRAVITY
from relcon_lightning.errors import ConfigError, positive, whole

AUTO, PLAIN = "auto", "table"
FORMATS = (
    "actigraph_csv",
    "geneactiv_csv",
    "axivity_csv",
    "empatica",
    "shimmer",
    "sensorlog",
    "phyphox",
    "physics_toolbox",
)
UNITS = {"g": 1.0, "m/s^2": 1 / STANDARD_GRAVITY, "m/s2": 1 / STANDARD_GRAVITY, "mg": 1e-3}  # in g
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}  # in seconds
DATES = "iso"  # time_unit of text stamps
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "pipe": "|", "\\t": "\t"}
XYZ = ("x", "y", "z")
NO_RATE = "Give data.source.time_column or, if samples have no time stamps, data.source.sampling_rate."


@dataclass(frozen=True)
class Layout:
    """Options for reading tables. Options with default values are detected from the file if that is safe.

    Attributes:
        format: ``auto``, ``table`` (a table with the columns below) or one of :data:`FORMATS`.
        columns: Names of the x, y and z columns, or their numbers, counted from 0.
        unit: Unit of the cells, one of :data:`UNITS`.
        scale: Factor from a cell to ``unit``, such as ``1/64``; None: 1.
        sampling_rate: Sampling rate in Hz; None: the rate of the time stamps.
        time_column: Name or number of the column of time stamps; None if samples have no time stamps.
        time_unit: ``auto``, one of :data:`TIME_UNITS`, or ``iso`` for dates with the time of day.
        time_format: Format of the dates for ``strptime``; None: all unambiguous formats.
        time_zone: Time zone of dates without one, such as ``Europe/London`` or ``+01:00``; None: UTC.
        separator: ``auto``, a character, or one of the names in :data:`SEPARATORS`.
        decimal: ``auto``, ``.`` or ``,``.
        skip_rows: Number of lines before the header; None: the header is the first line with the columns' names.
        max_gap_s: Longest time between two samples of one stretch, in seconds.
        lenient: Skip any number of damaged rows.

    Raises:
        ConfigError: A value is invalid. The message names the key.
    """

    columns: tuple[str | int, ...] = XYZ
    unit: str = "g"
    sampling_rate: float | None = None
    time_column: str | int | None = None
    time_unit: str = AUTO
    separator: str = AUTO
    max_gap_s: float = 1.0
    format: str = AUTO
    scale: str | float | None = None
    time_format: str | None = None
    time_zone: str | None = None
    decimal: str = AUTO
    skip_rows: int | None = None
    lenient: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", tuple(self.columns))
        if len(set(self.columns)) != 3 or self.time_column in self.columns:
            raise ConfigError(
                f"data.source.columns={list(self.columns)}: expected three, those of x, y and z, none of them "
                f"data.source.time_column={self.time_column}."
            )
        if len({type(column) for column in self.columns}) != 1 or any(
            isinstance(column, int) and column < 0 for column in (*self.columns, self.time_column)
        ):
            raise ConfigError(f"data.source.columns={list(self.columns)}: expected names, or numbers from 0.")
        self._check_choices()
        positive("data.source.max_gap_s", self.max_gap_s)
        if self.sampling_rate is not None:
            positive("data.source.sampling_rate", self.sampling_rate)
        if not isinstance(self.lenient, bool):
            raise ConfigError(f"data.source.lenient={self.lenient}: expected true or false.")
        if self.sampling_rate is None and self.time_column is None and self.format == PLAIN:
            raise ConfigError(NO_RATE)
        if self.skip_rows is not None and (whole("data.source.skip_rows", self.skip_rows, 0) > 10_000):
            raise ConfigError(f"data.source.skip_rows={self.skip_rows}: expected a number of lines, 0 to 10000.")

    def _check_choices(self) -> None:
        if not isinstance(self.unit, str):
            raise ConfigError(
                f"data.source.unit={self.unit}: expected one of {', '.join(UNITS)}. For counts give the g per count: "
                f"data.source.scale={self.unit}."
            )
        for key, value, known in (
            ("format", self.format, (AUTO, PLAIN, *FORMATS)),
            ("unit", self.unit, tuple(UNITS)),
            ("time_unit", self.time_unit, (AUTO, *TIME_UNITS, DATES)),
            ("decimal", self.decimal, (AUTO, ".", ",")),
        ):
            if value not in known:
                raise ConfigError(f"data.source.{key}={value}: expected one of {', '.join(known)}.")
        if self.separator != AUTO and len(self.delimiter) != 1:
            raise ConfigError(
                f"data.source.separator={self.separator}: expected auto, a character or one of "
                f"{', '.join(name for name in SEPARATORS if name.isalpha())}."
            )
        if not (0 < self.factor < np.inf):
            raise ConfigError(f"data.source.scale={self.scale}: expected a number above 0, such as 1/64.")
        if self.time_zone is not None:
            zone(self.time_zone)

    @property
    def needed(self) -> list[str | int]:
        """Columns of x, y, z and, if there is one, the time stamps."""
        return [*self.columns, *([] if self.time_column is None else [self.time_column])]

    @property
    def delimiter(self) -> str:
        """Separator as a character; empty: detect it."""
        return "" if self.separator == AUTO else SEPARATORS.get(self.separator.lower(), self.separator)

    @property
    def factor(self) -> float:
        """``scale`` as a number; NaN if it is not a number."""
        if self.scale is None:
            return 1.0
        try:
            return float(Fraction(str(self.scale).replace(" ", "")))
        except (ValueError, ZeroDivisionError):
            return float("nan")


def zone(name: str) -> tzinfo:
    """Time zone from an IANA name, or from an offset such as ``+01:00``.

    Raises:
        ConfigError: The name is neither.
    """
    text = name.strip()
    sign = {"+": 1, "-": -1}.get(text[:1])
    digits = text[1:].replace(":", "")
    if sign and digits.isascii() and digits.isdigit() and len(digits) in (2, 4) and int(digits[:2]) < 24:
        minutes = int(digits[:2]) * 60 + int(digits[2:] or 0)
        return timezone(sign * timedelta(minutes=minutes))
    try:
        return ZoneInfo(text)
    except (ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        raise ConfigError(_no_zone(name)) from error
    except KeyError as error:
        raise ConfigError(_no_zone(name)) from error


def _no_zone(name: str) -> str:
    return f"data.source.time_zone={name}: expected a name such as Europe/London or an offset such as +01:00."
