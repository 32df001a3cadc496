"""Pickles are read as np.load reads them if they hold arrays of numbers and text, and refused, unrun, if not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from relcon_lightning.data.readers.restricted_pickle import load_pickled_npy
from relcon_lightning.errors import DataError
from tests.data.sources.test_fuzz_sets import PICKLES


class _Harm:
    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.touch, (self.target,)


def put(path: Path, program: bytes) -> Path:
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        file.write(program)
    return path


def npy(path: Path, content: object, protocol: int = 2) -> Path:
    return put(path, pickle.dumps(content, protocol))


def test_a_malicious_pickle_is_refused_before_it_runs(tmp_path):
    target = tmp_path / "pwned"
    with pytest.raises(DataError, match=r"asks for .*only numpy arrays"):
        load_pickled_npy(npy(tmp_path / "evil.npy", {"X": [_Harm(target)]}))
    assert not target.exists()


@pytest.mark.parametrize("name", ["os.system", "builtins.eval", "numpy.load", "numpy.core.multiarray.scalar"])
def test_nothing_but_arrays_can_be_named(tmp_path, name):
    module, _, function = name.rpartition(".")
    path = tmp_path / "evil.npy"
    npy(path, None)
    path.write_bytes(path.read_bytes()[:-4] + f"c{module}\n{function}\n.".encode())
    with pytest.raises(DataError):
        load_pickled_npy(path)


def structured() -> np.ndarray:
    return np.zeros(2, dtype=[("a", "f8")])


@pytest.mark.parametrize("inner", [np.array([None, "x"], dtype=object), np.array(None, dtype=object), structured()])
@pytest.mark.parametrize("wrap", [lambda a: {"X": [a]}, lambda a: (1, [a])])
def test_arrays_of_objects_inside_are_refused(tmp_path, inner, wrap):
    with pytest.raises(DataError, match=r"evil\.npy: the pickle holds an array"):
        load_pickled_npy(npy(tmp_path / "evil.npy", wrap(inner)))


def test_admitted_content_is_read(tmp_path):
    content = {"X": [np.arange(6.0).reshape(2, 3)], "names": ["a", "b"], "y": np.array([1, 2])}
    read = load_pickled_npy(npy(tmp_path / "fine.npy", content))
    np.testing.assert_array_equal(read["X"][0], content["X"][0])
    assert read["names"] == ["a", "b"]


plain = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?"),
    arrays.complex_number_dtypes(endianness="?"),
    arrays.unicode_string_dtypes(endianness="?"),
    arrays.byte_string_dtypes(),
)
array = plain.flatmap(lambda dtype: arrays.arrays(dtype, arrays.array_shapes(min_dims=0, min_side=0, max_side=3)))
contents = st.dictionaries(
    st.text(max_size=3), st.lists(st.one_of(array, array.map(np.asfortranarray), st.floats(), st.text(), st.booleans()))
)


@given(contents, st.integers(0, 4))
def test_admitted_content_is_what_numpy_reads(
    tmp_path_factory: pytest.TempPathFactory, content: Any, protocol: int
) -> None:
    path = npy(tmp_path_factory.getbasetemp() / "fine.npy", np.array(content, dtype=object), protocol)
    expected, found = np.load(path, allow_pickle=True).item(), load_pickled_npy(path)
    assert found.keys() == expected.keys()
    for name in expected:
        for a, b in zip(expected[name], found[name], strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
            assert not isinstance(a, np.ndarray) or (b.flags.writeable and b.dtype == a.dtype)


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
ARRAY = RECONSTRUCT + b"cnumpy\nndarray\nK\x00\x85C\x01b\x87R"
FLOATS = b"cnumpy\ndtype\nX\x02\x00\x00\x00f8\x89\x88\x87R"


def state(shape: bytes = b"K\x02\x85", kind: bytes = FLOATS, data: bytes = b"C\x10" + bytes(16)) -> bytes:
    return ARRAY + b"(K\x01" + shape + kind + b"\x89" + data + b"tb"


def read(tmp_path: Path, program: bytes) -> Any:
    return load_pickled_npy(put(tmp_path / "lies.npy", b"\x80\x04" + program + b"."))


def test_a_program_that_does_not_lie_is_an_array(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read(tmp_path, state()), np.zeros(2), strict=True)


@pytest.mark.parametrize(
    "program",
    {
        "too little data": state(data=b"C\x08" + bytes(8)),
        "no data": state(data=b"C\x00"),
        "numbers for data": state(data=b"]"),
        "another shape": state(shape=b"K\x03\x85"),
        "a shape to be guessed": state(shape=b"J\xff\xff\xff\xff\x85"),
        "a shape beyond memory": state(shape=b"\x8a\x08" + b"\xff" * 7 + b"\x7f\x85"),
        "no type": state(kind=b"N"),
        "a type of objects": state(kind=FLOATS.replace(b"f8", b"O8")),
        "a type of nothing": state(kind=FLOATS.replace(b"f8", b"V8")),
        "a type of parts": state(kind=FLOATS.replace(b"\x02\x00\x00\x00f8", b"\x05\x00\x00\x00f4,f4")),
        "a type of rows": state(kind=FLOATS.replace(b"\x02\x00\x00\x00f8", b"\x06\x00\x00\x00(2,)f4")),
        "a type with fields": state(kind=FLOATS + b"(K\x03X\x01\x00\x00\x00<N]}K\x08K\x08K\x00tb"),
        "a type in an order there is not": state(kind=FLOATS + b"(K\x03X\x01\x00\x00\x00?NNNK\x08K\x08K\x00tb"),
        "an array that is never filled": ARRAY,
        "an array made by its class": b"cnumpy\nndarray\nK\x05\x85R",
        "a class": b"cnumpy\nndarray\n",
        "a dtype": FLOATS,
        "a set": b"\x8f",
        "a function for a key": b"}" + RECONSTRUCT + b"Ns",
        "a function that is changed": RECONSTRUCT + b"}X\x01\x00\x00\x00ab\x01s" + b"b",
        "a function whose defaults are changed": RECONSTRUCT + b"N}X\x0c\x00\x00\x00__defaults__)s\x86b",
        "text in another code": b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x05\x00\x00\x00utf-7\x86R",
        "a place in memory that is far away": b"Nr\xff\xff\xff\x7f" + b"}X\x01\x00\x00\x00a" + RECONSTRUCT + b"s",
        "itself": b"]\x94h\x00a",
    }.items(),
    ids=lambda item: item[0],
)
def test_a_program_that_lies_is_refused(tmp_path: Path, program: tuple[str, bytes]) -> None:
    with pytest.raises(DataError, match=r"lies\.npy"):
        read(tmp_path, program[1])


def test_a_damaged_type_is_refused_where_numpy_crashes(tmp_path: Path) -> None:
    whole, refused = PICKLES[0], 0
    for place in range(128, len(whole)):
        damaged = bytearray(whole)
        damaged[place] = ord("M")
        (tmp_path / "lies.npy").write_bytes(damaged)
        try:
            load_pickled_npy(tmp_path / "lies.npy")
        except DataError:
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not numpy at all"])
def test_damaged_files_are_named(tmp_path, content):
    (tmp_path / "bad.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.npy"):
        load_pickled_npy(tmp_path / "bad.npy")


def test_plain_arrays_are_not_what_is_expected(tmp_path):
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(DataError, match="one Python object"):
        load_pickled_npy(tmp_path / "plain.npy")
