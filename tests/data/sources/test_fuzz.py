"""Files of a user that are anything but what was asked for: an error of ours, never another.

``RELCON_FUZZ_EXAMPLES`` sets how many each test tries.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relcon_lightning.data.sources.folder import RecordingFolder
from relcon_lightning.errors import ConfigError, DataError

EXAMPLES = int(os.environ.get("RELCON_FUZZ_EXAMPLES", "150"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

cell = st.one_of(
    st.floats(width=32).map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.datetimes().map(str),
    st.sampled_from(
        ["", "NaN", "inf", "-", "1e999", "0x10", "1,5", '"', "'", "\x00", "é", "1_000", "None", "2024-01-01T00:00:00Z"]
    ),
    st.text(max_size=8),
)
header = st.lists(st.sampled_from(["time", "x", "y", "z", "label", "", "x ", "X"]), min_size=1, max_size=7)
regular = st.builds(
    lambda n, rate, level: [[repr(i / rate), "0.0", "0.0", repr(level)] for i in range(n)],
    st.integers(1, 400),
    st.sampled_from([0.01, 1.0, 30.0, 50.0, 100.0, 1e6]),
    st.sampled_from([0.0, 1.0, 9.81, 1000.0, 1e30]),
)


@st.composite
def tables(draw):
    """Lines of a CSV file: a good one that is damaged, or nonsense."""
    if draw(st.booleans()):
        names, lines = ["time", "x", "y", "z"], draw(regular)
        for _ in range(draw(st.integers(0, 4))):
            line = lines[draw(st.integers(0, len(lines) - 1))]
            if draw(st.booleans()) and line:
                line[draw(st.integers(0, len(line) - 1))] = draw(cell)
            elif line:
                line.pop()
    else:
        names, lines = draw(header), draw(st.lists(st.lists(cell, max_size=7), max_size=20))
    separator = draw(st.sampled_from([",", ",", ";", "\t"]))
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    content = end.join(separator.join(line) for line in [names, *lines]).encode("utf-8", "surrogatepass")
    cut = draw(st.one_of(st.none(), st.integers(0, len(content))))
    return draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf", b"\xff\xfe"])) + content[:cut]


def read(content: bytes, suffix: str, **options: object) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (Path(folder) / f"anna{suffix}").write_bytes(content)
        try:
            for recording in RecordingFolder(folder, **{"time_column": "time", **options}).recordings():  # type: ignore[arg-type]
                assert recording.signal.ndim == 2
        except (DataError, ConfigError):
            pass


@fuzz
@given(tables(), st.sampled_from(["s", "ms", "iso"]))
def test_a_damaged_table_is_an_error_of_ours(content: bytes, unit: str) -> None:
    read(content, ".csv", time_unit=unit)


@fuzz
@given(tables())
def test_a_table_without_stamps_too(content: bytes) -> None:
    read(content, ".csv", time_column=None, sampling_rate=50.0)


@fuzz
@given(st.binary(max_size=300), st.sampled_from([".csv", ".csv.gz", ".csv.xz", ".parquet"]))
def test_arbitrary_bytes_too(content: bytes, suffix: str) -> None:
    read(content, suffix)
