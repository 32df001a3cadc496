"""Reading a pickled numpy file without trusting it.

A pickle is a program. Here it can make lists, dicts, strings, numbers and arrays, and nothing else. numpy's own
functions for an array believe what the pickle says of the memory, down to a crash; here arrays are made of parts that
were checked.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.errors import DataError

_PLAIN = (str, bytes, int, float, bool, type(None))


class _Type:
    """In the place of a dtype."""

    def __init__(self, code: str, *_: bool) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *described = state[:5]  # version, byte order, subarray, names, fields; then sizes, which follow
        if any(part is not None for part in described):
            raise DataError("the pickle holds an array of parts; only numbers and text are admitted")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        """Checked.

        Raises:
            DataError: Neither numbers nor text.
        """
        dtype: np.dtype[Any] = np.dtype(str(self.code)).newbyteorder(self.order)  # type: ignore[arg-type]
        if dtype.kind not in "biufcSU":  # one of parts is of kind V
            raise DataError(f"the pickle holds an array of {dtype}; only numbers and text are admitted")
        return dtype


class _Array:
    """In the place of an array; ``content`` is one, or a list of the object that numpy wraps in one."""

    content: np.ndarray | list[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        if kind.code in ("O", "O8") and shape == () and isinstance(data, list) and len(data) == 1:
            self.content = data
            return
        content = data.encode("latin1") if isinstance(data, str) else data  # of Python 2
        flat = np.frombuffer(content, kind.dtype())
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise DataError(f"the pickle holds an array of shape {shape}")
        self.content = flat.reshape(shape, order="F" if fortran else "C").astype(flat.dtype.newbyteorder("="))


class _Admitted:
    """A function that the pickle may call, and do nothing else with."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise DataError("the pickle changes a function")


def _empty(kind: object, shape: object, code: object) -> _Array:
    """As ``_reconstruct``, which is given the class, no shape and any code."""
    return _Array()


def _encoded(text: str, encoding: str) -> bytes:
    """How old pickles spell bytes."""
    if encoding != "latin1":
        raise DataError(f"the pickle holds text in {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """How old pickles spell no bytes."""
    return b""


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty,
    ("numpy._core.multiarray", "_reconstruct"): _empty,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
}


class _ArraysOnly(pickle._Unpickler):  # in Python: that in C clears as much memory as the pickle asks for
    """Admits what arrays are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise DataError(
                f"the pickle asks for {module}.{name}; only numpy arrays, lists, dicts and strings are admitted"
            )
        return _Admitted(_ADMITTED[module, name])


def load_pickled_npy(path: Path) -> Any:
    """The one Python object in an ``.npy`` file of dtype object, nothing in it run.

    Raises:
        DataError: Not such a file, damaged, or it asks for anything but lists, dicts, strings and arrays of numbers
            or text.
    """
    try:
        file = io.BytesIO(path.read_bytes())
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
            version
        ]
        shape, _, dtype = read_header(file)
        if shape != () or dtype != np.dtype(object):
            raise DataError(f"expected one Python object, found an array {dtype}{shape}")
        made = _ArraysOnly(file, encoding="latin1").load()
        if isinstance(made, _Array) and isinstance(made.content, list):
            [made] = made.content
        return _content(made)
    except DataError as error:
        raise DataError(f"{path}: {error}.") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(f"{path} is not a readable .npy file: {error}") from error


def _content(made: Any) -> Any:
    """What was made, with arrays in their places."""
    if isinstance(made, dict):
        return {_content(key): _content(value) for key, value in made.items()}
    if isinstance(made, list | tuple):
        return type(made)(_content(value) for value in made)
    if isinstance(made, _Array) and isinstance(made.content, np.ndarray):
        return made.content
    if type(made) not in _PLAIN:
        what = "an array of objects" if isinstance(made, _Array) else f"a {type(made).__name__.strip('_')}"
        raise DataError(f"the pickle holds {what}; only arrays of numbers and text are admitted")
    return made
