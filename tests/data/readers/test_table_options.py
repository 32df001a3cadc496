"""Tables as people have them: other separators, encodings, headers, damaged rows and time stamps."""

from __future__ import annotations

import gzip
import logging
import re
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.data.inputs import find_inputs
from relcon_lightning.data.once import Once
from relcon_lightning.data.readers.arrivals import Bursts, InOrder, Spread
from relcon_lightning.data.readers.stretches import gap_free
from relcon_lightning.data.readers.table_layout import Layout
from relcon_lightning.data.readers.table_stream import TableStream
from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import ConfigError, DataError
from tests.data.readers.test_table_formats import (
    RATE,
    SAMPLES,
    SECONDS,
    START,
    comma,
    dates,
    lines,
    rows,
    walk,
)

PLAIN = lines("time,x,y,z", rows(SECONDS, walk()))


def stream(tmp_path, text, encoding="utf-8", **options):
    path = tmp_path / "a.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return TableStream(path, Layout(**{"time_column": "time", **options}))


def check(table, start=None, samples=SAMPLES, signal=None):
    scan, times, found = table.read()
    assert (scan.rate, scan.start_time) == (RATE, start)
    np.testing.assert_allclose(times, np.arange(samples) / RATE, atol=1e-6)
    np.testing.assert_allclose(found, walk()[:samples] if signal is None else signal, atol=1e-9)
    blocks = list(table.blocks())
    np.testing.assert_array_equal(np.concatenate([block.times for block in blocks]), times)
    np.testing.assert_array_equal(np.concatenate([block.signal for block in blocks]), found)


@pytest.mark.parametrize("mark", [";", "\t", "|"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_separator_and_decimal_are_found(tmp_path, mark, decimal):
    text = lines(mark.join(["time", "x", "y", "z"]), rows(SECONDS, walk(), mark))
    check(stream(tmp_path, text if decimal == "." else comma(text)))


@pytest.mark.parametrize(
    ("mark", "name"), [("\t", "tab"), ("\t", "\\t"), ("\t", "\t"), (";", "semicolon"), (" ", "space"), ("#", "#")]
)
def test_separators_have_names(tmp_path, mark, name):
    check(stream(tmp_path, lines(mark.join(["time", "x", "y", "z"]), rows(SECONDS, walk(), mark)), separator=name))


def test_a_decimal_comma_in_quotes(tmp_path):
    quoted = [",".join(f'"{comma(cell)}"' for cell in row.split(",")) for row in rows(SECONDS, walk())]
    check(stream(tmp_path, lines("time,x,y,z", quoted)))


@pytest.mark.parametrize("header", ["Time,X,Y,Z", "TIME,x,y,Z"])
def test_capitals_in_names_do_not_matter(tmp_path, header):
    check(stream(tmp_path, PLAIN.replace("time,x,y,z", header)))


def test_a_number_beyond_the_columns_is_named(tmp_path):
    with pytest.raises(DataError, match="has 4 columns, 0 to 3, and no column 6"):
        stream(tmp_path, PLAIN, columns=[4, 5, 6], time_column=0).scan()


def test_a_decimal_comma_can_be_given(tmp_path):
    text = lines("time;x;y;z", rows(SECONDS, 8 * np.round(walk()), ";", "{:.0f}")).replace(".", ",")
    check(stream(tmp_path, text, decimal=",", scale="1/8"), signal=np.round(walk()))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_encodings(tmp_path, encoding):
    text = lines("time,x,y,z,Höhe (m/s²)", [f"{row},ü" for row in rows(SECONDS, walk())])
    check(stream(tmp_path, text, encoding))


def test_bytes_that_are_no_text_cost_their_row(tmp_path, caplog):
    body = PLAIN.encode().splitlines(keepends=True)
    body[100:100] = [b"8.0,\xff\xc0\x97\n", b"\xfb,1,2,3,4,5\n"]
    _, times, signal = stream(tmp_path, b"\xef\xbb\xbf" + b"".join(body)).read()
    np.testing.assert_allclose(signal, walk(), atol=1e-9)
    assert len(times) == SAMPLES
    assert "skipped 2 damaged rows" in caplog.text


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_line_ends(tmp_path, end):
    check(stream(tmp_path, PLAIN.replace("\n", end)))


@pytest.mark.parametrize("before", ["\n", "sep=,\n", '"sep=,"\n', "Recorded by Anna\nRate: 50\n\n", "x,y\n1,2\n" * 40])
def test_lines_before_the_header_are_passed_over(tmp_path, before):
    check(stream(tmp_path, before + PLAIN))
    check(stream(tmp_path, before + PLAIN, skip_rows=before.count("\n")))


def test_a_header_is_not_looked_for_where_skip_rows_says_it_is(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv has no column 'x'; it has note, of, the, device"):
        stream(tmp_path, "note,of,the,device\n" + PLAIN, skip_rows=0).scan()
    with pytest.raises(DataError, match=r"fewer than data.source.skip_rows=5000 lines"):
        stream(tmp_path, PLAIN, skip_rows=5000).scan()


def test_blanks_in_a_header_and_quotes(tmp_path):
    check(stream(tmp_path, PLAIN.replace("time,x,y,z", '"time" , x, "y", z').replace(",", ", ")))


@pytest.mark.parametrize("header", ["", "0,1,2,3\n", "t,a,b,c\n", "note\n\n"])
def test_columns_by_number(tmp_path, header):
    check(stream(tmp_path, header + PLAIN.partition("\n")[2], columns=[1, 2, 3], time_column=0))


def test_a_table_without_a_header_is_named_with_the_options(tmp_path):
    text = lines(rows(SECONDS, 2 * walk() + 5))
    with pytest.raises(DataError, match=r"a\.csv has no header: .*'data.source.columns=\[1,2,3\]'"):
        stream(tmp_path, text).scan()


def test_other_names_are_suggested(tmp_path):
    text = PLAIN.replace("time,x,y,z", "time,Acc X [g],Acc Y [g],Acc Z [g]")
    with pytest.raises(DataError, match=r"'data.source.columns=\[\"Acc X \[g\]\",\"Acc Y \[g\]\",\"Acc Z \[g\]\"\]'"):
        stream(tmp_path, text).scan()


def test_a_row_of_units_gives_the_unit(tmp_path):
    check(stream(tmp_path, lines("time,x,y,z", "s,g,g,g", rows(SECONDS, walk()))))
    text = lines("time,x,y,z", "ms,mg,mg,mg", rows([f"{20 * i}" for i in range(SAMPLES)], 1000 * walk()))
    check(stream(tmp_path, text))


@pytest.mark.parametrize("name", ["time_ms", "t (ms)", "elapsed [ms]", "millis"])
def test_a_columns_name_gives_the_unit_of_time(tmp_path, name):
    text = lines(f"{name},x,y,z", rows([f"{20 * i}" for i in range(SAMPLES)], walk()))
    check(stream(tmp_path, text, time_column=name))


def test_stamps_without_a_unit_are_seconds_or_refused(tmp_path):
    text = lines("time,x,y,z", rows([f"{20 * i}" for i in range(SAMPLES)], walk()))
    with pytest.raises(DataError, match=r"imply 0\.05 Hz.*give data\.source\.time_unit=ms"):
        stream(tmp_path, text).scan()
    check(stream(tmp_path, text, time_unit="ms"))


# Damaged rows


def test_each_row_may_end_in_a_separator(tmp_path):
    check(stream(tmp_path, PLAIN.replace("\n", ",\n").replace("z,\n", "z\n", 1)))
    check(stream(tmp_path, PLAIN.replace("\n", ",\n")))


@pytest.mark.parametrize("damage", ["8.000,0.1\n", "8.000,0.1,0.", "8.0,oops,0,1\n", "time,x,y,z\n", "8.0,0,0,1,,,,\n"])
def test_a_damaged_last_row_costs_that_row(tmp_path, damage, caplog):
    scan, times, signal = stream(tmp_path, PLAIN + damage).read()
    present = np.isfinite(signal).all(axis=1)
    np.testing.assert_allclose(signal[present], walk(), atol=1e-9)
    np.testing.assert_allclose(times[present], np.arange(SAMPLES) / RATE, atol=1e-6)
    assert scan.rate == RATE
    assert f"skipped 1 damaged rows of {SAMPLES + 1}, the first: " in caplog.text


def test_a_header_again_in_the_middle_costs_no_sample(tmp_path):
    body = PLAIN.splitlines(keepends=True)
    check(stream(tmp_path, "".join([*body[:100], "time,x,y,z\n", *body[100:]])))


@pytest.mark.parametrize("row", ["1,2\n", "a,b,c,d\n"])
def test_many_damaged_rows_are_refused_unless_lenient(tmp_path, row):
    with pytest.raises(DataError, match=r"20 of 420 rows are damaged, the first: .*data.source.lenient=true"):
        stream(tmp_path, PLAIN + 20 * row).scan()
    check(stream(tmp_path, PLAIN + 20 * row, lenient=True))


def test_without_stamps_only_a_damaged_end_is_skipped(tmp_path):
    body = PLAIN.splitlines(keepends=True)
    options = {"time_column": None, "sampling_rate": RATE}
    check(stream(tmp_path, PLAIN + "8.0,0.1\n", **options))
    with pytest.raises(DataError, match="samples after it would be too early"):
        stream(tmp_path, "".join([*body[:100], "8.0,0.1\n", *body[100:]]), **options).scan()


@given(st.lists(st.sampled_from([",,,", "x", "1,2", "1,2,3,4,5", "nan,1,1,1", '"'])), st.integers(0, 30))
def test_no_damage_invents_samples(tmp_path_factory, damage, place):
    body = PLAIN.splitlines()
    text = "\n".join([*body[: place + 1], *damage[:4], *body[place + 1 :]]) + "\n"
    try:
        _, _, signal = stream(tmp_path_factory.mktemp("d"), text).read()
    except DataError:
        return
    found = {tuple(row) for row in np.round(signal[np.isfinite(signal).all(axis=1)], 5)}
    assert found <= {tuple(row) for row in walk()}
    assert '"' in damage[:4] or len(found) == len({tuple(row) for row in walk()})


def test_zeros_and_fill_values_are_missing(tmp_path, caplog):
    signal = walk()
    signal[100:200] = 0
    signal[300] = -9999
    signal[305, 1] = -9999
    scan, times, found = stream(tmp_path, lines("time,x,y,z", rows(SECONDS, signal))).read()
    assert np.flatnonzero(~np.isfinite(found).all(axis=1)).tolist() == [*range(100, 200), 300, 305]
    assert "102 of 400 rows" in caplog.text
    _, stretches = gap_free(times, found, "a", 1.0, scan.rate)
    assert [(round(at, 3), len(part)) for at, part in stretches] == [(0, 100), (4, 200)]


# Counts


def test_counts_are_scaled_and_a_missing_scale_is_named(tmp_path):
    text = lines("time,x,y,z", rows(SECONDS, np.round(64 * walk()), form="{:.0f}"))
    with pytest.raises(DataError, match=r"give the g per count: data\.source\.scale=1/64"):
        stream(tmp_path, text).scan()
    for scale in ("1/64", 0.015625, "0.015625", "1 / 64"):
        check(stream(tmp_path, text, scale=scale), signal=np.round(64 * walk()) / 64)


# Time stamps


@pytest.mark.parametrize(
    ("form", "zone_s"),
    [
        ("%Y-%m-%d %H:%M:%S.%L", 0),
        ("%Y-%m-%dT%H:%M:%S.%LZ", 0),
        ("%Y-%m-%d %H:%M:%S.%L UTC", 0),
        ("%Y-%m-%d %H:%M:%S.%L +0100", 3600),
        ("%Y-%m-%d %H:%M:%S.%L+0100 [Europe/London]", 3600),
        ("%Y-%m-%d %H:%M:%S.%L-05:30", -5.5 * 3600),
        ("%Y-%m-%d %H:%M:%S.%L America/New_York", -5 * 3600),
        ("%d.%m.%Y %H:%M:%S.%L", 0),
        ("%d.%m.%y %H:%M:%S:%L", 0),
        ("%Y/%m/%d %H:%M:%S.%L", 0),
        ("%Y-%m-%d %H:%M:%S,%L", 0),
        ("%d-%b-%Y %H:%M:%S.%L", 0),
        ("%d %b %Y %I:%M:%S.%L %p", 0),
    ],
)
def test_dates_are_recognised(tmp_path, form, zone_s):
    text = lines("time;x;y;z", rows(dates(form), walk(), ";"))
    check(stream(tmp_path, text), START - zone_s)
    check(stream(tmp_path, text, time_unit="iso"), START - zone_s)


def test_whole_seconds_among_fractions(tmp_path):
    stamps = [stamp.replace(".000", "") for stamp in dates("%Y-%m-%d %H:%M:%S.%L")]
    check(stream(tmp_path, lines("time,x,y,z", rows(stamps, walk()))), START)
    stamps = [stamp.replace(".000", "") for stamp in dates("%d.%m.%Y %H:%M:%S.%L")]
    check(stream(tmp_path, lines("time,x,y,z", rows(stamps, walk()))), START)


@pytest.mark.parametrize("form", ["%m/%d/%Y %I:%M:%S.%L %p", "%d/%m/%Y %H:%M:%S.%L", "%m-%d-%Y %H:%M:%S:%L"])
def test_a_date_that_could_be_another_is_refused_with_the_options(tmp_path, form):
    text = lines("time,x,y,z", rows(dates(form), walk()))
    with pytest.raises(DataError, match="do not say which number is the month") as error:
        stream(tmp_path, text).scan()
    meant = form.replace("%L", "%f")
    assert f"'data.source.time_format=\"{meant}\"'" in str(error.value)
    check(stream(tmp_path, text, time_format=meant), START)


@pytest.mark.parametrize(
    ("form", "offset_s"),
    [
        ("%d/%m/%Y %H:%M:%S.%f GMT", 0),
        ("%m/%d/%Y, %I:%M:%S.%f %p", 0),
        ("%d/%m/%YT%H:%M:%S,%f+02:00", 7200),
        ("%m-%d-%Y %H:%M:%S.%f -0500", -18000),
        ("%d/%m/%y %H:%M:%S.%fZ", 0),
        ("%d/%m/%Y %H:%M:%S:%f +01:00 [Europe/Paris]", 3600),
        ("%d/%m/%Y %H:%M:%S.%f Europe/Paris", 3600),
    ],
)
def test_the_formats_in_the_message_are_those_of_the_file(tmp_path, form, offset_s):
    text = lines("time;x;y;z", rows(dates(form.replace("%f", "%L")), walk(), ";"))
    with pytest.raises(DataError, match="do not say which number is the month") as error:
        stream(tmp_path, text).scan()
    told = re.findall(r'time_format="([^"]*)"', str(error.value))
    starts = {form[:2]: stream(tmp_path, text, time_format=form).scan().start_time for form in told}
    assert starts[form[:2]] == START - offset_s
    assert len(starts) == 2


@pytest.mark.parametrize("half", ["a. m.", "a.\u00a0m.", "a.\u202fm.", "a.m.", "A.M."])
def test_halves_of_the_day_with_dots_and_spaces_are_read_as_spreadsheets_write_them(tmp_path, half):
    for form in ("%Y/%m/%d %I:%M:%S.%L %p", "%d/%m/%Y\u00a0%I:%M:%S.%L\u00a0%p"):
        text = lines("time;x;y;z", rows([stamp.replace("AM", half) for stamp in dates(form)], walk(), ";"))
        if form[1] == "Y":
            check(stream(tmp_path, text), START)
        check(stream(tmp_path, text, time_format=form.replace("%L", "%f").replace("\u00a0", " ")), START)
    with pytest.raises(DataError, match=r"do not say which number .*\"%d/%m/%Y %I:%M:%S\.%f %p\""):
        stream(tmp_path, text.replace("\u00a0", " ")).scan()


@pytest.mark.parametrize(("unit", "per_s"), [("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_unit_of_numbers_that_are_no_unix_time_is_suggested(tmp_path, unit, per_s):
    text = lines("time,x,y,z", rows([f"{i * per_s / RATE:.0f}" for i in range(SAMPLES)], walk()))
    told = rf"is their unit right\? If not, give data\.source\.time_unit={unit}\.$"
    for wrong in {"s", "ns"} - {unit}:
        with pytest.raises(DataError, match=told):
            stream(tmp_path, text, time_unit=wrong).scan()
    with pytest.raises(DataError, match=told):
        stream(tmp_path, text).scan()
    check(stream(tmp_path, text, time_unit=unit))


def test_one_value_per_second_is_said_to_be_no_raw_signal(tmp_path):
    stamps = [str(datetime.fromtimestamp(START + i, UTC)) for i in range(SAMPLES)]
    with pytest.raises(DataError, match=r"imply 1 Hz, expected 5 to 1000.* Values per epoch, .* cannot be used\.$"):
        stream(tmp_path, lines("time,x,y,z", rows(stamps, walk()))).scan()


@pytest.mark.parametrize("cell", ["0", "-9999"])
def test_a_file_of_missing_samples_is_named_as_such(tmp_path, cell):
    text = lines("time,x,y,z", [f"{second},{cell},{cell},{cell}" for second in SECONDS[:-9]], ["8,,,"])
    with pytest.raises(DataError, match=r"a\.csv: all rows with numbers are 0,0,0 or a fill value"):
        stream(tmp_path, text).scan()


@pytest.mark.parametrize("zone", [None, "Europe/Paris"])
def test_an_index_of_pandas_with_dates_is_suggested_as_time(tmp_path, zone):
    dates = pd.date_range("2024-03-05", periods=SAMPLES, freq="20ms", tz=zone)
    pd.DataFrame(walk(), dates, ["x", "y", "z"]).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"no column 'time'.* give data\.source\.time_column=__index_level_0__"):
        TableStream(tmp_path / "a.parquet", Layout(time_column="time")).scan()
    check(TableStream(tmp_path / "a.parquet", Layout(time_column="__index_level_0__")), dates[0].timestamp())


@pytest.mark.parametrize("g", [0.9, 1.0, 1.25])
def test_mg_is_suggested_for_moving_people_too(tmp_path, g):
    text = lines("time,x,y,z", [f"{second},{i % 3},0,{1000 * g}" for i, second in enumerate(SECONDS)])
    with pytest.raises(DataError, match=r"in mg, give data\.source\.unit=mg; .* counts, data\.source\.scale=1/1024"):
        stream(tmp_path, text).scan()


def test_a_day_above_twelve_says_which_number_is_the_month(tmp_path):
    for form in ("%d/%m/%Y %H:%M:%S.%L", "%m/%d/%Y %H:%M:%S.%L"):
        stamps = [datetime(2024, 3, 25, 9, 0, i // 50, i % 50 * 20_000, UTC) for i in range(SAMPLES)]
        texts = [stamp.strftime(form.replace("%L", f"{stamp.microsecond // 1000:03d}")) for stamp in stamps]
        check(stream(tmp_path, lines("time,x,y,z", rows(texts, walk()))), stamps[0].timestamp())


def test_a_format_that_is_not_that_of_the_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"does not match data\.source\.time_format=%d\.%m\.%Y"):
        stream(tmp_path, lines("time,x,y,z", rows(dates("%Y-%m-%d %H:%M:%S"), walk())), time_format="%d.%m.%Y").scan()
    with pytest.raises(DataError, match=r"'soon' are not recognised\. Give their format"):
        stream(tmp_path, lines("time,x,y,z", rows(["soon"] * SAMPLES, walk()))).scan()
    with pytest.raises(DataError, match=r"'2024-02-30 10:00:00' is not a date: 2024-02-30 does not exist"):
        stream(tmp_path, lines("time,x,y,z", rows(["2024-02-30 10:00:00"] * SAMPLES, walk()))).scan()
    with pytest.raises(DataError, match=r"is not a number, but data\.source\.time_unit=s"):
        stream(tmp_path, lines("time,x,y,z", rows(dates("%Y-%m-%d %H:%M:%S"), walk())), time_unit="s").scan()


@pytest.mark.parametrize(("unit", "factor"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_unix_time_is_found_by_its_magnitude(tmp_path, unit, factor, caplog):
    stamps = [f"{START * factor + i * factor / RATE:.4f}" if unit == "s" else f"{int(START) * int(factor) + i * int(factor) // RATE}" for i in range(SAMPLES)]  # fmt: skip  # noqa: E501
    with caplog.at_level(logging.INFO):
        check(stream(tmp_path, lines("time,x,y,z", rows(stamps, walk()))), START)
    assert f"unix time in {unit}" in caplog.text
    frame = pd.DataFrame(walk(), columns=["x", "y", "z"]).assign(time=np.array(stamps, dtype=float))
    frame.to_parquet(tmp_path / "a.parquet")
    check(TableStream(tmp_path / "a.parquet", Layout(time_column="time")), START)


def test_a_parquet_file_with_dates(tmp_path):
    times = pd.to_datetime(START * 1e9 + np.arange(SAMPLES) * 2e7, unit="ns", utc=True)
    for stamps in (times, times.tz_localize(None), times.strftime("%Y-%m-%dT%H:%M:%S.%fZ")):
        pd.DataFrame(walk(), columns=["x", "y", "z"]).assign(time=stamps).to_parquet(tmp_path / "a.parquet")
        check(TableStream(tmp_path / "a.parquet", Layout(time_column="time")), START)


def test_the_time_of_day_goes_on_after_midnight(tmp_path):
    at = 86398 + np.arange(SAMPLES) / RATE
    texts = [f"{int(t // 3600) % 24:02d}:{int(t // 60) % 60:02d}:{t % 60:06.3f}" for t in np.round(at, 3)]
    check(stream(tmp_path, lines("time,x,y,z", rows(texts, walk()))))


# Clocks that are set


def local(first, seconds, zone="Europe/London", rate=2):
    """Local dates of samples from a UTC moment on."""
    at = [datetime.fromtimestamp(first + i / rate, UTC).astimezone(ZoneInfo(zone)) for i in range(seconds * rate)]
    return [moment.strftime("%Y-%m-%d %H:%M:%S.%f") for moment in at]


CHANGE = datetime(2024, 10, 27, 1, tzinfo=UTC).timestamp()  # 2:00 in London becomes 1:00


def slow(stamps):
    return lines("time,x,y,z", [f"{stamp},0,0,{1 + i % 7 / 100}" for i, stamp in enumerate(stamps)])


def test_the_hour_that_comes_twice_is_told_apart_by_the_order(tmp_path):
    text = slow(local(CHANGE - 4000, 9000, rate=6))
    with pytest.raises(DataError, match="Was a clock set back at the end of summer time"):
        stream(tmp_path, text).scan()
    scan, times, _ = stream(tmp_path, text, time_zone="Europe/London").read()
    assert scan.start_time == CHANGE - 4000
    np.testing.assert_allclose(times, np.arange(9000 * 6) / 6, atol=1e-6)


def test_two_hours_sorted_into_one_are_refused(tmp_path):
    stamps = sorted(local(CHANGE - 6000, 12000, rate=6))
    with pytest.raises(DataError, match="has twice as many samples as the others"):
        stream(tmp_path, slow(stamps)).scan()
    with pytest.raises(DataError, match="the clock was not set back"):
        stream(tmp_path, slow(stamps), time_zone="Europe/London").scan()


def test_an_hour_that_does_not_exist_is_refused(tmp_path):
    stamps = [
        f"2024-03-31 {1 + i // 3600 // 6:02d}:{i // 360 % 60:02d}:{i // 6 % 60:02d}{f'{i % 6 / 6:.3f}'[1:]}"
        for i in range(30000)
    ]
    with pytest.raises(DataError, match=r"this hour does not exist in data\.source\.time_zone=Europe/London"):
        stream(tmp_path, slow(stamps), time_zone="Europe/London").scan()
    assert stream(tmp_path, slow(stamps), time_zone="+00:00").scan().rate == pytest.approx(6, rel=0.02)


def test_recordings_at_two_rates_are_no_clock_that_was_set(tmp_path):
    stamps = local(CHANGE - 86400 * 30 + 1000, 4000, rate=6)
    assert stream(tmp_path, slow(stamps)).scan().rate == 6


# Stamps that samples share


def test_the_rate_is_said_once_for_files_alike(tmp_path, caplog):
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text(
            lines("time,x,y,z", rows([f"{i / 30:.3f}" for i in range(SAMPLES)], walk()))
        )
    (tmp_path / "d.csv").write_text(PLAIN)
    once = Once()
    with caplog.at_level(logging.INFO):
        for name in "abcd":
            TableStream(tmp_path / f"{name}.csv", Layout(time_column="time"), once=once).scan()
    said = [record.getMessage().rpartition("/")[2] for record in caplog.records]
    assert said == ["a.csv: 30 Hz by its time stamps.", "d.csv: 50 Hz by its time stamps."]


def test_samples_of_a_second_are_spread_over_it(tmp_path, caplog):
    second = np.floor(np.arange(SAMPLES) / RATE + 0.3)
    second[200:] += 8
    with caplog.at_level(logging.INFO):
        scan, times, signal = stream(tmp_path, lines("time,x,y,z", rows(second, walk()))).read()
    expected = np.arange(SAMPLES) / RATE + 0.3
    expected[200:] += 8
    np.testing.assert_allclose(times, expected, atol=0.021)
    assert scan.rate == RATE
    assert "samples share a time stamp; they are spread over 1 s" in caplog.text
    _, stretches = gap_free(times, signal, "a", 1.0, scan.rate)
    assert len(stretches) == 2


@given(
    st.lists(st.integers(20, 40), min_size=4, max_size=12),
    st.sets(st.integers(1, 10), max_size=3),
    st.lists(st.integers(1, 400), max_size=4),
)
def test_bursts_are_spread_as_a_plain_loop_does(counts, gaps, cuts):
    stamps = np.cumsum([1.0 + 9.0 * (i in gaps) for i in range(len(counts))])
    times = np.repeat(stamps, counts)
    signal = np.arange(3.0 * len(times)).reshape(-1, 3)
    bursts = Bursts.find(times, 0.01)
    assert bursts is not None
    expected, begins = [], True
    for i, count in enumerate(counts):
        following = stamps[i + 1] if i + 1 < len(stamps) else np.inf
        gap = following - stamps[i] > 1.5 * bursts.interval_s + 1.0
        if gap:
            expected += [stamps[i] + k * bursts.period_s for k in range(count)]
        elif begins and count < 0.9 * bursts.interval_s / bursts.period_s:
            expected += [
                max(following - count * bursts.period_s, stamps[i]) + k * bursts.period_s for k in range(count)
            ]
        else:
            expected += [stamps[i] + k * (following - stamps[i]) / count for k in range(count)]
        begins = gap
    spread = Spread(bursts, 1.0)
    edges = sorted({0, len(times), *(cut for cut in cuts if cut < len(times))})
    pieces = [spread.put(times[a:b], signal[a:b]) for a, b in pairwise(edges)]
    pieces.append(spread.put(np.empty(0), np.empty((0, 3)), last=True))
    np.testing.assert_allclose(np.concatenate([piece[0] for piece in pieces]), expected, atol=1e-9)
    np.testing.assert_array_equal(np.concatenate([piece[1] for piece in pieces]), signal)


def test_a_few_equal_stamps_are_no_bursts():
    times = np.arange(1000) / 50
    times[500] = times[499]
    assert Bursts.find(times, 0.01) is None


def test_late_samples_are_sorted_and_a_clock_that_goes_back_is_refused(tmp_path, caplog):
    body = PLAIN.splitlines(keepends=True)
    body[100:103] = reversed(body[100:103])
    check(stream(tmp_path, "".join(body)))
    assert "sorted 2 samples that were late" in caplog.text
    with pytest.raises(DataError, match=r"decrease at sample 201, by 1\.98 s"):
        stream(tmp_path, "".join([*body[:201], *body[101:]])).scan()


@given(st.permutations(range(12)), st.lists(st.integers(1, 11), max_size=3))
def test_samples_come_out_in_order_whatever_the_blocks(order, cuts):
    times, signal = np.array(order) / 100, np.repeat(np.array(order, dtype=float)[:, None], 3, axis=1)
    edges = sorted({0, 12, *cuts})
    sorter = InOrder(1.0, "a")
    pieces = [sorter.put(times[a:b], signal[a:b]) for a, b in pairwise(edges)]
    pieces.append(sorter.put(np.empty(0), np.empty((0, 3)), last=True))
    assert np.concatenate([piece[0] for piece in pieces]).tolist() == [i / 100 for i in range(12)]
    assert np.concatenate([piece[1] for piece in pieces])[:, 0].tolist() == list(range(12))


# Folders


def test_a_pattern_chooses_one_file_of_each_session(tmp_path):
    for person in ("P1", "P2"):
        (tmp_path / person).mkdir()
        for name in ("TotalAcceleration", "Gyroscope", "Accelerometer"):
            (tmp_path / person / f"{name}.csv").write_text(PLAIN)
    ids = ["P1/TotalAcceleration", "P2/TotalAcceleration"]
    for pattern in ("TotalAcceleration.csv", "**/TotalAcceleration.csv", "*/Total*"):
        folder = RecordingFolder(tmp_path, participant="P.", time_column="time", files=pattern)
        assert [one.recording_id for one in folder.recordings()] == ids
        found = find_inputs(tmp_path, Layout(time_column="time"), pattern=pattern)
        assert [one.recording_id for one in found] == ids
    for read in (
        lambda: RecordingFolder(tmp_path, participant="P.", time_column="time", files="*.txt"),
        lambda: find_inputs(tmp_path, Layout(time_column="time"), pattern="*.txt"),
    ):
        with pytest.raises(DataError, match=r"no recordings that match data.source.files=\*\.txt"):
            read()
    with pytest.raises(ConfigError, match=r"data\.source\.files=/x"):
        RecordingFolder(tmp_path, participant="P.", files="/x")


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz"])
@pytest.mark.parametrize("start", [b"", b"time,x,y,z,"])
def test_a_file_without_line_ends_is_refused_at_once(tmp_path, name, start):
    content = start + b"1.25," * 2**19
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    with pytest.raises(DataError, match="its first megabyte is one line"):
        TableStream(tmp_path / name, Layout()).scan()


def test_a_line_without_end_after_good_rows_is_named(tmp_path):
    with pytest.raises(DataError, match="a line is longer than a megabyte"):
        stream(tmp_path, PLAIN + "1.25," * 2**19).scan()
