"""Local times of devices in UTC: zones by name and by offset, changes to and from summer time."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.readers.device_clock import DeviceClock
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.sources.device import DeviceFolder
from relcon_lightning.errors import ConfigError
from tests.data.readers.devices import START, cwa, geneactiv, gt3x, old_gt3x

PAGE = np.tile([10, 20, 250], (300, 1))


def shown(text: str) -> float:
    """Seconds since 1970 of a time that a clock shows."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def start_of(path, time_zone=None):
    [recording] = DeviceFolder(path, ".", time_zone=time_zone).recordings()
    [found] = find_inputs(path, Layout(time_column="time", time_zone=time_zone))
    assert found.open().start_time == recording.start_time
    return datetime.fromtimestamp(recording.start_time, UTC)


@pytest.mark.parametrize(
    ("name", "content", "offset"),
    [
        ("a.bin", geneactiv([PAGE] * 2, zone="GMT -05:00"), -5),
        ("a.bin", geneactiv([PAGE] * 2, zone="GMT +05:30"), 5.5),
        ("a.bin", geneactiv([PAGE] * 2, zone="GMT +00:00"), 0),
        ("a.gt3x", gt3x(5, TimeZone="-06:00:00"), -6),
        ("a.gt3x", gt3x(5, kind=26, TimeZone="02:00:00"), 2),
        ("a.gt3x", old_gt3x(np.full((150, 3), 200), TimeZone="-06:00:00"), -6),
    ],
)
def test_the_zone_that_a_file_states_is_heeded(tmp_path, name, content, offset, caplog):
    (tmp_path / name).write_bytes(content)
    with caplog.at_level(logging.INFO):
        assert start_of(tmp_path) == datetime.fromtimestamp(START - offset * 3600, UTC)
    assert "the device clock is at UTC" in caplog.text


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.cwa", cwa(np.arange(400) / 100, np.full((400, 3), 0.5))), ("a.bin", geneactiv([PAGE] * 2, zone="")),
     ("a.gt3x", gt3x(5))],
)  # fmt: skip
def test_a_clock_without_a_zone_is_utc_with_a_word_or_what_is_said(tmp_path, name, content, caplog):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
    with caplog.at_level(logging.WARNING):
        starts = [r.start_time for r in DeviceFolder(tmp_path, ".+").recordings()]
    assert starts == [START, START]
    assert caplog.text.count("has no time zone and is assumed to be UTC") == 1  # once for a folder
    for zone, offset in (("Europe/Berlin", 1), ("America/New_York", -5), ("+05:30", 5.5), ("-0800", -8), ("UTC", 0)):
        assert start_of(tmp_path / "one", zone) == datetime.fromtimestamp(START - offset * 3600, UTC)


def test_what_is_said_goes_before_what_the_file_states(tmp_path, caplog):
    (tmp_path / "a.bin").write_bytes(geneactiv([PAGE] * 2, zone="GMT -05:00"))
    with caplog.at_level(logging.WARNING):
        assert start_of(tmp_path, "+01:00") == datetime.fromtimestamp(START - 3600, UTC)
    assert (
        "the device clock is at UTC-05:00 according to the file; data.source.time_zone=+01:00 (UTC+01:00) is used"
        in caplog.text
    )
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        start_of(tmp_path, "America/New_York")
    assert not caplog.text


@pytest.mark.parametrize("zone", ["Europe/Lond", "", "+25:00", "../../etc/passwd", "/etc/localtime", "Europe", "5"])
def test_no_zone_is_refused(tmp_path, zone):
    with pytest.raises(ConfigError, match=r"data\.source\.time_zone=.*: expected a name such as Europe/London"):
        DeviceClock(zone)


def test_offsets_agree_with_the_zone_database_at_every_hour_of_a_year():
    clock, zone = DeviceClock("Europe/London"), ZoneInfo("Europe/London")
    for hour in range(0, 365 * 24, 7):
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        local = at.astimezone(zone)
        seconds = local.replace(tzinfo=UTC).timestamp()
        assert seconds - clock.offset_s(seconds, None, "a") == at.timestamp() or local.fold


@pytest.mark.parametrize(
    ("first", "word", "offset_h"),
    [
        ("2026-10-25 01:30", "occurs twice", 1),  # 01:00 to 02:00, in summer time and again in winter time
        ("2026-03-29 01:30", "does not exist", 0),  # 01:00 is followed by 02:00
        ("2026-03-29 00:30", "", 0),
        ("2026-10-25 00:30", "", 1),
        ("2026-10-25 02:30", "", 0),
    ],
)
def test_an_hour_that_comes_twice_or_not_at_all_is_named(first, word, offset_h, caplog):
    with caplog.at_level(logging.WARNING):
        assert DeviceClock("Europe/London").offset_s(shown(first), None, "a.cwa") == offset_h * 3600
    assert (word in caplog.text) if word else not caplog.text


def test_a_device_does_not_follow_a_change_of_the_clocks(tmp_path, caplog):
    pages = [PAGE] * 100  # 6 s each, and stamped 100 s apart
    (tmp_path / "a.bin").write_bytes(geneactiv(pages, zone="", start=shown("2026-10-25 00:30"), step_s=100))
    with caplog.at_level(logging.WARNING):
        parts = list(DeviceFolder(tmp_path, ".", time_zone="Europe/London").recordings())
    steps = np.diff([part.start_time for part in parts])
    assert parts[0].start_time == shown("2026-10-24 23:30")
    np.testing.assert_allclose(steps, 100)
    assert caplog.text.count("clocks in Europe/London changed from UTC+01:00 to UTC+00:00") == 1
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        list(DeviceFolder(tmp_path, ".", time_zone="+01:00").recordings())
    assert not caplog.text
