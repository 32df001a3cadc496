"""Hypothesis strategies for damaged and invalid files."""

from __future__ import annotations

import gzip
import lzma
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from relcon_lightning.errors import ConfigError, DataError

EXAMPLES = int(os.environ.get("RELCON_FUZZ_EXAMPLES", "150"))
fuzz = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

_ODD = [
    *["", " ", "NaN", "nan", "inf", "-inf", "-", "+", "1e999", "-1e308", "1e-320", "0x10", "1,5", "1.5.2", "None"],
    *['"', "'", '""', '"a\nb"', "\x00", "\ufeff", "é", "\uff11", "1_000", "9223372036854775808", "0" * 400, "true"],
    *["2024-01-01T00:00:00Z", "2024-02-30", "0001-01-01", "99999-01-01", "2024-01-01 00:00:00+25:00", "12:00", "#"],
]
cell = st.one_of(
    st.floats().map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.datetimes(timezones=st.none() | st.timezones()).map(str),
    st.sampled_from(_ODD),
    st.text(max_size=8),
)
_Rows = list[list[str]]


@contextmanager
def none_but_ours(*names: str) -> Iterator[None]:
    """Allow only errors of this package in the block, and check that they contain one of the names."""
    said = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (DataError, ConfigError) as error:
        said = str(error)
    assert said is None or any(name in said for name in names), said


@st.composite
def tables(draw: st.DrawFn, names: list[str], good: st.SearchStrategy[_Rows]) -> bytes:
    """Bytes of a table: a valid one that was damaged, or random cells below a similar header.

    Args:
        draw: Draw function of Hypothesis.
        names: Names of the columns.
        good: Strategy for valid rows.
    """
    if draw(st.integers(0, 3)):
        header, lines = list(names), draw(good)
        for _ in range(draw(st.integers(0, 4))):
            spoil(draw, [header, *lines][draw(st.integers(0, len(lines)))])
        if draw(st.booleans()):
            draw(st.sampled_from([lines.reverse, lines.sort, lambda: lines.extend(lines[:3])]))()
    else:
        header = draw(st.lists(st.sampled_from([*names, "", "x ", "X", "\ufeffx", '"x"', "time"]), max_size=9))
        lines = draw(st.lists(st.lists(cell, max_size=len(names) + 2), max_size=20))
    separator = draw(st.sampled_from([",", ",", ",", ";", "\t", ", "]))
    ends = draw(st.sampled_from([["\n"], ["\n"], ["\r\n"], ["\r"], ["\n", "\r\n", "\r", "\n\n", " \n"]]))
    text = "".join(separator.join(line) + draw(st.sampled_from(ends)) for line in [header, *lines])
    encoding = draw(
        st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "utf-7"])
    )
    errors = "surrogatepass" if encoding.startswith("utf-8") else "replace"
    return draw(damaged(text.encode(encoding, errors)))


def spoil(draw: st.DrawFn, line: list[str]) -> None:
    """Replace, remove or add some cells."""
    at = draw(st.integers(0, max(len(line) - 1, 0)))
    line[at : at + draw(st.integers(0, 2))] = draw(st.lists(cell, max_size=2))


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Return the bytes unchanged half of the time; otherwise cut, overwrite or repeat a part of them."""
    if draw(st.booleans()) or not content:
        return content
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, len(content))), draw(st.integers(0, 8))
        piece = draw(st.one_of(st.binary(max_size=8), st.just(content[at // 2 : at // 2 + 40])))
        changed[at : at + length] = piece
    return bytes(changed)[: draw(st.one_of(st.none(), st.integers(0, len(content))))]


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".csv": bytes,
    ".csv.gz": lambda content: gzip.compress(content, 1, mtime=0),
    ".csv.xz": lambda content: lzma.compress(content, preset=0),
}


@st.composite
def packed(draw: st.DrawFn, content: st.SearchStrategy[bytes]) -> tuple[str, bytes]:
    """Suffix and bytes of a compressed file, damaged once more after the compression."""
    suffix = draw(st.sampled_from([".csv", ".csv", *PACKERS]))
    return suffix, draw(damaged(PACKERS[suffix](draw(content))))
