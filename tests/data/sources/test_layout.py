"""How a table is to be read is checked before any is opened."""

from __future__ import annotations

import pytest

from relcon_lightning.data.sources.table_stream import Layout
from relcon_lightning.errors import ConfigError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ("x", "x", "z")}, r"columns=\['x', 'x', 'z'\]: expected three"),
        ({"columns": ("x", "y")}, "expected three"),
        ({"columns": ("x", "y", "time"), "time_column": "time"}, "none of them data.source.time_column=time"),
        ({"unit": "stone"}, "unit=stone: expected one of g, "),
        ({"time_column": "time", "time_unit": "weeks"}, "time_unit=weeks: expected one of s, "),
        ({"sampling_rate": 0.0}, "sampling_rate=0.0: expected a number above 0"),
        ({"sampling_rate": float("inf")}, "sampling_rate=inf"),
        ({"sampling_rate": None}, "Give data.source.time_column or"),
    ],
)
def test_a_setting_that_cannot_work_is_named(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Layout(**{"sampling_rate": 100.0, **options})  # type: ignore[arg-type]


def test_only_dates_tell_the_time_of_day() -> None:
    assert Layout(time_column="time", time_unit="iso").stamped
    assert not Layout(time_column="time", time_unit="s").stamped
    assert not Layout(sampling_rate=100.0).stamped
