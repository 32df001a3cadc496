"""How a table is to be read is checked before any is opened."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from relcon_lightning.data.readers.table_layout import Layout, zone
from relcon_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("x", "x", "z")}, r"columns=\['x', 'x', 'z'\]: expected three"),
        ({"columns": ("x", "y")}, "expected three"),
        ({"columns": ("x", "y", "time"), "time_column": "time"}, "none of them data.source.time_column=time"),
        ({"unit": "stone"}, "unit=stone: expected one of g, "),
        ({"time_column": "time", "time_unit": "weeks"}, "time_unit=weeks: expected one of auto, s, "),
        ({"sampling_rate": 0.0}, "sampling_rate=0.0: expected a finite number above 0"),
        ({"sampling_rate": float("inf")}, "sampling_rate=inf"),
        ({"columns": (1, 2, "z")}, "expected names, or numbers from 0"),
        ({"columns": (-1, 2, 3)}, "expected names, or numbers from 0"),
        ({"unit": 0.015625}, r"give the g per count: data.source.scale=0.015625"),
        ({"scale": "1/0"}, "scale=1/0: expected a number above 0"),
        ({"scale": "-1"}, "scale=-1"),
        ({"scale": "many"}, "scale=many"),
        ({"format": "excel"}, "format=excel: expected one of auto, table, actigraph_csv"),
        ({"separator": "::"}, "separator=::: expected auto, a character or one of comma"),
        ({"decimal": ";"}, "decimal=;: expected one of"),
        ({"time_zone": "Londn"}, "time_zone=Londn: expected a name such as Europe/London"),
        ({"time_zone": "+25:00"}, "time_zone=.25:00"),
        ({"skip_rows": -1}, "skip_rows=-1: expected a whole number, 0 or more"),
        ({"skip_rows": 10_001}, "skip_rows=10001: expected a number of lines"),
        ({"skip_rows": "abc"}, "skip_rows=abc: expected a whole number"),
        ({"lenient": "maybe"}, "lenient=maybe: expected true or false"),
        ({"max_gap_s": float("nan")}, "max_gap_s=nan: expected a finite number above 0"),
        ({"max_gap_s": -1.0}, "max_gap_s=-1.0"),
        ({"max_gap_s": "abc"}, "max_gap_s=abc"),
        ({"max_gap_s": None}, "max_gap_s=None"),
        ({"sampling_rate": None, "format": "table"}, "Give data.source.time_column or"),
    ],
)
def test_a_setting_that_cannot_work_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Layout(**{"sampling_rate": 100.0, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "hours"), [("+01:00", 1), ("-0530", -5.5), ("Europe/Berlin", 2), ("UTC", 0)])
def test_a_zone_is_a_name_or_an_offset(name: str, hours: float) -> None:
    assert datetime(2024, 7, 1, tzinfo=zone(name)).utcoffset() == timedelta(hours=hours)
