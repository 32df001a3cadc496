"""Tables as devices and apps write them are read without editing, and what was recognised is said."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import numpy as np
import pytest

from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.readers.table_layout import FORMATS, Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import ConfigError, DataError

RATE, SAMPLES = 50, 400
START = datetime(2024, 3, 5, 9, tzinfo=UTC).timestamp()
G = 9.80665


def walk(samples=SAMPLES):
    """Samples (n, 3) in g of a sensor that turns, with five decimals."""
    t = np.arange(samples) / RATE
    return np.round(np.stack([0.3 * np.sin(t), 0.2 * np.cos(3 * t), 1 + 0.1 * np.sin(9 * t)], axis=1), 5)


def dates(form):
    """Stamps of the samples as text; %L in the format stands for milliseconds."""
    moments = (datetime.fromtimestamp(START + i / RATE, UTC) for i in range(SAMPLES))
    return [moment.strftime(form.replace("%L", f"{moment.microsecond // 1000:03d}")) for moment in moments]


def rows(stamps, signal, separator=",", form="{:.5f}"):
    columns = [] if stamps is None else [list(map(str, stamps))]
    columns += [[form.format(value) for value in axis] for axis in np.asarray(signal).T]
    return [separator.join(cells) for cells in zip(*columns, strict=True)]


def lines(*parts):
    return "\n".join(line for part in parts for line in ([part] if isinstance(part, str) else part)) + "\n"


ACTIGRAPH = [
    "------------ Data File Created By ActiGraph GT3X+ ActiLife v6.13.3 Firmware v1.6.0 date format {form} at 50 Hz  "
    "Filter Normal -----------",
    "Serial Number: TAS1D00000000",
    "Start Time 09:00:00",
    "Start Date {date}",
    "Epoch Period (hh:mm:ss) 00:00:00",
    "Download Time 09:01:00",
    "Download Date {date}",
    "Current Memory Address: 0",
    "Current Battery Voltage: 4.18     Mode = 12",
    "--------------------------------------------------",
]
SECONDS = [f"{i / RATE:.3f}" for i in range(SAMPLES)]
UNIX_S = [f"{START + i / RATE:.4f}" for i in range(SAMPLES)]
UNIX_MS = [f"{1000 * START + 20 * i:.0f}" for i in range(SAMPLES)]
GENEACTIV = ["Device Type,GENEActiv", "Device Model,1.2", *[""] * 7, "Measurement Frequency,50 Hz", *[""] * 90]


def actigraph(form="M/d/yyyy", date="3/5/2024", header="Accelerometer X,Accelerometer Y,Accelerometer Z", **style):
    head = [line.format(form=form, date=date) for line in ACTIGRAPH]
    return lines(head, [header] if header else [], rows(None, walk(), **style))


def comma(text):
    return text.replace(".", ",")


FILES = {  # name: (format, text, whether the date is known, tolerance in g)
    "actigraph": ("actigraph_csv", actigraph(), True, 1e-9),
    "actigraph_day_first": ("actigraph_csv", actigraph("dd.MM.yyyy", "05.03.2024"), True, 1e-9),
    "actigraph_no_names": ("actigraph_csv", actigraph(header=""), True, 1e-9),
    "actigraph_stamps": (
        "actigraph_csv",
        lines(
            [line.format(form="M/d/yyyy", date="3/5/2024") for line in ACTIGRAPH],
            "Timestamp,Accelerometer X,Accelerometer Y,Accelerometer Z",
            rows(dates("%Y-%m-%dT%H:%M:%S.%L0000"), walk()),
        ),
        True,
        1e-9,
    ),
    "actigraph_european": (
        "actigraph_csv",
        lines(
            [line.format(form="dd/MM/yyyy", date="05/03/2024") for line in ACTIGRAPH],
            "Accelerometer X;Accelerometer Y;Accelerometer Z",
            [comma(row) for row in rows(None, walk(), ";")],
        ),
        True,
        1e-9,
    ),
    "geneactiv": (
        "geneactiv_csv",
        lines(GENEACTIV, [f"{row},0,0,24.1" for row in rows(dates("%Y-%m-%d %H:%M:%S:%L"), walk())]),
        True,
        1e-9,
    ),
    "axivity_unix": ("axivity_csv", lines(rows(UNIX_S, walk())), True, 1e-9),
    "axivity_dates": ("axivity_csv", lines(rows(dates("%Y-%m-%d %H:%M:%S.%L"), walk())), True, 1e-9),
    "axivity_named": (
        "axivity_csv",
        lines("Time,Accel-X (g), Accel-Y (g), Accel-Z (g)", rows(dates("%Y-%m-%d %H:%M:%S.%L"), walk())),
        True,
        1e-9,
    ),
    "empatica": (
        "empatica",
        lines(
            ", ".join([f"{START:.6f}"] * 3),
            ", ".join(["50.000000"] * 3),
            rows(None, np.round(64 * walk()), form="{:.0f}"),
        ),
        True,
        1 / 128,
    ),
    "shimmer": (
        "shimmer",
        lines(
            '"sep=;"',
            "Shimmer_5E36_Timestamp_Unix_CAL;Shimmer_5E36_Accel_LN_X_CAL;Shimmer_5E36_Accel_LN_Y_CAL;Shimmer_5E36_Accel_LN_Z_CAL",
            "ms;m/(s^2);m/(s^2);m/(s^2)",
            rows(UNIX_MS, G * walk(), ";"),
        ),
        True,
        1e-5,
    ),
    "shimmer_wide_range": (
        "shimmer",
        lines(
            "sep=\t",
            "\t".join(["S_Timestamp_CAL", *(f"S_Accel_WR_{axis}_CAL" for axis in "XYZ")]),
            "\t".join(["ms", *["m/(s^2)"] * 3]),
            rows([f"{5000 + 20 * i}" for i in range(SAMPLES)], G * walk(), "\t"),
        ),
        False,
        1e-5,
    ),
    "sensorlog": (
        "sensorlog",
        lines(
            "loggingTime(txt),loggingSample(N),accelerometerAccelerationX(G),accelerometerAccelerationY(G),"
            "accelerometerAccelerationZ(G)",
            [row.replace("+0000", "+0000,7") for row in rows(dates("%Y-%m-%d %H:%M:%S.%L +0000"), walk())],
        ),
        True,
        1e-9,
    ),
    "phyphox": (
        "phyphox",
        lines(
            '"Time (s)","Acceleration x (m/s^2)","Acceleration y (m/s^2)","Acceleration z (m/s^2)",'
            '"Absolute acceleration (m/s^2)"',
            [f"{row},9.8E0" for row in rows(SECONDS, G * walk(), form="{:.9E}")],
        ),
        False,
        1e-9,
    ),
    "phyphox_german": (
        "phyphox",
        lines(
            '"Zeit (s)";"Beschleunigung x (m/s^2)";"Beschleunigung y (m/s^2)";"Beschleunigung z (m/s^2)"',
            [comma(row) for row in rows(SECONDS, G * walk(), ";", "{:.9E}")],
        ),
        False,
        1e-9,
    ),
    "physics_toolbox": (
        "physics_toolbox",
        lines("time, gFx, gFy, gFz, TgF", [f"{row},1.0" for row in rows(SECONDS, walk())]),
        False,
        1e-9,
    ),
    "physics_toolbox_clock": (
        "physics_toolbox",
        lines("time;gFx;gFy;gFz;TgF", [comma(f"{row};1.0") for row in rows(dates("%H:%M:%S:%L"), walk(), ";")]),
        False,
        1e-9,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_as_its_layout_says(tmp_path, name, caplog):
    form, text, dated, tolerance = FILES[name]
    path = tmp_path / f"{name}.csv"
    path.write_text(text)
    with caplog.at_level(logging.INFO):
        scan, times, signal = TableStream(path, Layout(time_column="time")).read()
    assert f"read as {form}" in caplog.text
    assert scan.rate == RATE
    assert scan.start_time == (START if dated else None)
    np.testing.assert_allclose(times, np.arange(SAMPLES) / RATE, atol=1e-6)
    np.testing.assert_allclose(signal, walk(), atol=tolerance)
    again, _, same = TableStream(path, Layout(format=form, time_column="time")).read()
    assert again == scan
    np.testing.assert_array_equal(signal, same)


@pytest.mark.parametrize("name", ["actigraph", "geneactiv", "empatica", "phyphox_german"])
def test_prepare_and_embed_read_the_same(tmp_path, name):
    (tmp_path / "P01.csv").write_text(FILES[name][1])
    [prepared] = RecordingFolder(tmp_path, participant="P[0-9]+", time_column="time").recordings()
    [one] = find_inputs(tmp_path, Layout(time_column="time"))
    opened = one.open()
    np.testing.assert_allclose(prepared.signal, np.concatenate([block.signal for block in opened.blocks]), atol=1e-9)
    assert (prepared.start_time, prepared.sampling_rate) == (opened.start_time, opened.rate)
    assert one.stamped == (opened.start_time is not None)


def test_every_format_has_a_file():
    assert {form for form, *_ in FILES.values()} == set(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
def test_another_layout_is_refused(tmp_path, form):
    path = tmp_path / "a.csv"
    path.write_text(lines("time,x,y,z", rows(SECONDS, walk())))
    reason = f"does not have the layout of data.source.format={form}"
    if form == "empatica":
        reason = "is not the acceleration of an Empatica E4 session: line 1 must hold the start"
    with pytest.raises(DataError, match=f"a.csv {reason}"):
        TableStream(path, Layout(format=form, time_column="time")).scan()


@pytest.mark.parametrize("form", ["actigraph_csv", "empatica"])
def test_columns_of_a_layout_that_sets_them_are_refused(tmp_path, form):
    path = tmp_path / "a.csv"
    path.write_text(actigraph())
    with pytest.raises(ConfigError, match=r"leave out data\.source\.columns"):
        TableStream(path, Layout(format=form, columns=("a", "b", "c"), time_column="time")).scan()


def test_the_users_columns_go_before_those_of_the_format(tmp_path):
    path = tmp_path / "a.csv"
    text = FILES["shimmer"][1].replace("\n", ";1;2;3\n").replace("sep=;;1;2;3", "sep=;")
    names = [f"Shimmer_5E36_Accel_LN_{axis}_CAL" for axis in "XYZ"]
    header = next(line for line in text.splitlines() if "Unix" in line)
    text = text.replace(header, header.replace(";1;2;3", ";a;b;c"))
    path.write_text(text.replace("m/(s^2);1;2;3", "m/(s^2);g;g;g"))
    _, _, signal = TableStream(path, Layout(format="shimmer", columns=names, time_column="time")).read()
    np.testing.assert_allclose(signal, walk(), atol=1e-5)


def test_counts_per_epoch_are_no_acceleration(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(actigraph().replace("Period (hh:mm:ss) 00:00:00", "Period (hh:mm:ss) 00:01:00"))
    with pytest.raises(DataError, match="contains counts per epoch of 00:01:00, not acceleration"):
        TableStream(path, Layout(time_column="time")).scan()
    path.write_text(actigraph(header="Axis1,Axis2,Axis3"))
    with pytest.raises(DataError, match=r"has no columns 'Accelerometer X'.*it has Axis1, Axis2, Axis3"):
        TableStream(path, Layout(time_column="time")).scan()


@pytest.mark.parametrize(("zone", "hours"), [("+01:00", 1), ("Europe/Berlin", 1), ("-05:00", -5)])
@pytest.mark.parametrize("name", ["actigraph", "geneactiv"])
def test_a_time_zone_moves_the_start(tmp_path, name, zone, hours):
    path = tmp_path / "a.csv"
    path.write_text(FILES[name][1])
    assert TableStream(path, Layout(time_column="time", time_zone=zone)).scan().start_time == START - 3600 * hours


def test_the_zone_in_a_header_of_geneactiv_counts(tmp_path, caplog):
    path = tmp_path / "a.csv"
    path.write_text(FILES["geneactiv"][1].replace("Device Model,1.2", "Time Zone,GMT -05:00"))
    assert TableStream(path, Layout(time_column="time")).scan().start_time == START + 5 * 3600
    assert "assumed to be UTC" not in caplog.text
