"""Units in column names, stamps in days, durations, repeated rows and values that no sensor measures."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import DataError

RATE, SAMPLES, START = 50, 2000, 1709629200.0  # 2024-03-05 09:00 UTC
UNITS = {"g": 1.0, "m/s^2": 9.80665, "m/s²": 9.80665, "mg": 1000.0}
TIMES = np.arange(SAMPLES) / RATE


def walk() -> np.ndarray:
    phase = 2 * np.pi * 1.8 * TIMES
    return np.stack([0.3 * np.sin(phase), 0.2 * np.cos(phase), 1 + 0.1 * np.sin(phase / 2)], axis=1)


def frame(signal: np.ndarray, times: object = START + TIMES, names: tuple[str, ...] = ("x", "y", "z")) -> pd.DataFrame:
    return pd.DataFrame({"time": times} | dict(zip(names, signal.T, strict=True)))


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return path


def read(path: Path, **layout: object) -> tuple[float, float | None, np.ndarray, np.ndarray]:
    """Rate, start, times and signal as ``relcon-embed`` reads them."""
    [one] = find_inputs(path, Layout(**{"time_column": "time", **layout}))
    opened = one.open()
    blocks = list(opened.blocks)
    times, signal = (np.concatenate([getattr(block, name) for block in blocks]) for name in ("times", "signal"))
    return opened.rate, opened.start_time, times, signal


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("names", ["{} ({})", "{} [{}]", "Acc_{}({})"])
def test_a_unit_in_the_names_is_used(tmp_path: Path, suffix: str, unit: str, names: str) -> None:
    columns = tuple(names.format(axis, unit) for axis in "xyz")
    path = write(frame(walk() * UNITS[unit], names=columns), tmp_path / f"a.{suffix}")
    chosen = {"columns": columns} if names.startswith("Acc") else {}
    rate, _, _, signal = read(path, **chosen)
    np.testing.assert_allclose(signal, walk(), atol=1e-6)
    [prepared] = RecordingFolder(tmp_path, participant="a", time_column="time", **chosen).recordings()
    np.testing.assert_allclose(prepared.signal, walk(), atol=1e-6)
    assert rate == prepared.sampling_rate == RATE


def test_the_users_unit_goes_before_the_unit_in_the_names(tmp_path: Path) -> None:
    columns = ("x (mg)", "y (mg)", "z (mg)")
    path = write(frame(walk() * 9.80665, names=columns), tmp_path / "a.csv")
    np.testing.assert_allclose(read(path, unit="m/s2")[3], walk(), atol=1e-6)
    path = write(frame(walk() * 64, names=columns), tmp_path / "a.csv")
    np.testing.assert_allclose(read(path, scale="1/64")[3], walk(), atol=1e-6)
    path = write(frame(walk() * [1, 1000, 1], names=("x (g)", "y (mg)", "z (g)")), tmp_path / "a.csv")
    with pytest.raises(DataError, match="median norm"):
        read(path)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_names_in_upper_case_are_found(tmp_path: Path, suffix: str) -> None:
    path = write(frame(walk()).rename(columns=str.upper), tmp_path / f"a.{suffix}")
    assert read(path)[:2] == (RATE, START)
    path = write(frame(walk()).assign(X=0.0), tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(read(path)[3], walk(), atol=1e-9)  # the name as written


@pytest.mark.parametrize(("factor", "option"), [(9.80665, "data.source.unit=m/s2"), (1000, "data.source.unit=mg")])
def test_a_wrong_unit_is_refused_with_the_option(tmp_path: Path, factor: float, option: str) -> None:
    path = write(frame(walk() * factor), tmp_path / "a.csv")
    with pytest.raises(DataError, match=option):
        read(path)


@pytest.mark.parametrize(
    ("zero", "said"), [(25569, "days of a spreadsheet (2024-03-05 09:00:00)"), (719529, "days of MATLAB (2024-03-05")]
)
def test_stamps_in_days_are_dates(tmp_path: Path, caplog: pytest.LogCaptureFixture, zero: int, said: str) -> None:
    days = [f"{zero + (START + second) / 86400:.10f}" for second in TIMES]
    path = write(frame(walk(), days), tmp_path / "a.csv")
    with caplog.at_level(logging.INFO):
        rate, start, times, signal = read(path)
    assert rate == RATE
    assert start == pytest.approx(START, abs=1e-4)
    np.testing.assert_allclose(times, TIMES, atol=1e-4)
    np.testing.assert_allclose(signal, walk(), atol=1e-9)
    assert said in caplog.text
    assert "the time has no zone and is assumed to be UTC" in caplog.text
    assert read(path, time_zone="+02:00")[1] == pytest.approx(START - 7200, abs=1e-4)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("form", ["%Y%m%d%H%M%S.%f", "%Y%m%d%H%M%S%f", "%Y%m%d%H%M%S,%f"])
def test_dates_without_separators_are_dates(tmp_path: Path, form: str, suffix: str) -> None:
    """As numbers, they would jump by 40 at the end of a minute and by 4000 at the end of an hour."""
    begin = START + 59 * 60 + 55  # 09:59:55
    stamps = [datetime.fromtimestamp(begin + second, UTC).strftime(form)[:-3] for second in TIMES]
    path = write(frame(walk(), stamps), tmp_path / f"a.{suffix}")
    rate, start, times, signal = read(path)
    assert (rate, start) == (RATE, begin)
    np.testing.assert_allclose(times, TIMES, atol=1e-9)
    np.testing.assert_allclose(signal, walk(), atol=1e-9)
    assert read(path, time_zone="+02:00")[1] == begin - 7200


@pytest.mark.parametrize("cell", ["nan", "", "NULL"])
def test_dates_without_separators_may_be_missing(tmp_path: Path, cell: str) -> None:
    stamps = [datetime.fromtimestamp(START + 55 + second, UTC).strftime("%Y%m%d%H%M%S.%f") for second in TIMES]
    stamps[3] = stamps[700] = cell
    rate, start, times, _ = read(write(frame(walk(), stamps), tmp_path / "a.csv"))
    assert (rate, start) == (RATE, START + 55)
    np.testing.assert_allclose(times[[0, -1]], TIMES[[0, -1]], atol=1e-9)


def test_dates_without_separators_may_be_integers(tmp_path: Path) -> None:
    stamps = [int(datetime.fromtimestamp(START + 50 + second, UTC).strftime("%Y%m%d%H%M%S%f")[:-3]) for second in TIMES]
    rate, start, times, _ = read(write(frame(walk(), stamps), tmp_path / "a.parquet"))
    assert (rate, start) == (RATE, START + 50)
    np.testing.assert_allclose(times, TIMES, atol=1e-9)


def test_whole_seconds_without_separators_are_spread(tmp_path: Path) -> None:
    seconds = [datetime.fromtimestamp(START + 55 + int(second), UTC).strftime("%Y%m%d%H%M%S") for second in TIMES]
    rate, start, times, _ = read(write(frame(walk(), seconds), tmp_path / "a.csv"))
    assert (rate, start) == (RATE, START + 55)
    np.testing.assert_allclose(times, TIMES, atol=1e-9)


@pytest.mark.parametrize("first", [20240305096100, 20241305090000, 20300230])  # no minute 61, no month 13, too short
def test_other_numbers_are_not_taken_for_dates(tmp_path: Path, first: int) -> None:
    rate, start, times, _ = read(
        write(frame(walk(), [f"{first + second:.2f}" for second in TIMES]), tmp_path / "a.csv")
    )
    assert (rate, start) == (RATE, None)
    np.testing.assert_allclose(times, TIMES, atol=1e-2)


def test_seconds_are_not_taken_for_days(tmp_path: Path) -> None:
    rate, start, times, _ = read(write(frame(walk(), 45000 + TIMES), tmp_path / "a.csv"))
    assert (rate, start) == (RATE, None)
    np.testing.assert_allclose(times, TIMES, atol=1e-9)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_durations_of_parquet_are_seconds(tmp_path: Path, unit: str) -> None:
    stamps = pd.to_timedelta(TIMES, unit="s").as_unit("us" if unit == "s" else unit)
    rate, start, times, _ = read(write(frame(walk(), stamps), tmp_path / "a.parquet"))
    assert (rate, start) == (RATE, None)
    np.testing.assert_allclose(times, TIMES, atol=1e-9)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("repeats", [2, 3])
def test_repeated_rows_are_read_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, repeats: int
) -> None:
    table = frame(walk())
    path = write(table.loc[table.index.repeat(repeats)], tmp_path / f"a.{suffix}")
    rate, start, times, signal = read(path)
    assert (rate, start) == (RATE, START)
    np.testing.assert_allclose(times, TIMES, atol=1e-6)
    np.testing.assert_allclose(signal, walk(), atol=1e-9)
    assert f"{SAMPLES * (repeats - 1)} of {SAMPLES * repeats} samples are copies" in caplog.text
    [prepared] = RecordingFolder(tmp_path, participant="a", time_column="time").recordings()
    np.testing.assert_allclose(prepared.signal, walk(), atol=1e-6)


def test_a_part_that_is_there_twice_is_read_once(tmp_path: Path) -> None:
    table = frame(walk())
    both = pd.concat([table, table[500:900]]).sort_values("time", kind="stable")
    rate, _, times, signal = read(write(both, tmp_path / "a.csv"))
    assert rate == RATE
    np.testing.assert_allclose(times, TIMES, atol=1e-6)
    np.testing.assert_allclose(signal, walk(), atol=1e-9)


def test_a_device_at_rest_in_packets_has_no_copies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    still = np.tile([0.0, 0.0, 1.0], (SAMPLES, 1))
    rate, _, times, _ = read(write(frame(still, START + np.floor(TIMES)), tmp_path / "a.csv"))
    assert rate == RATE
    assert len(times) == SAMPLES
    assert "copies" not in caplog.text


@pytest.mark.parametrize("value", [1e9, -1e9, 1e300, 401.0])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_values_that_no_sensor_measures_are_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: float, suffix: str
) -> None:
    signal = walk()
    signal[700:703, 1] = value
    *_, found = read(write(frame(signal), tmp_path / f"a.{suffix}"))
    assert np.flatnonzero(np.isnan(found).any(axis=1)).tolist() == [700, 701, 702]
    np.testing.assert_allclose(np.delete(found, [700, 701, 702], axis=0), np.delete(walk(), [700, 701, 702], axis=0))
    assert "3 of 2000 samples have values above 400 g: they are treated as missing" in caplog.text
    [prepared] = RecordingFolder(tmp_path, participant="a", time_column="time").recordings()
    assert np.abs(prepared.signal).max() < 2


def test_many_such_values_are_refused(tmp_path: Path) -> None:
    signal = walk()
    signal[::20] = 1e6
    with pytest.raises(DataError, match=r"a\.csv: 100 of 2000 samples have values above 400 g"):
        read(write(frame(signal), tmp_path / "a.csv"))


def test_hard_impacts_stay(tmp_path: Path) -> None:
    signal = walk()
    signal[700] = [199.0, -16.0, 32.0]
    np.testing.assert_allclose(read(write(frame(signal), tmp_path / "a.csv"))[3], signal)
