"""Read a pickled NumPy file without trusting it.

A pickle is a program. Here it can create only lists, dicts, strings, numbers and arrays. NumPy's own functions for
arrays trust the sizes in the pickle, which can crash the process. Here, arrays are created from checked parts.
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
    """Stands in for a dtype."""

    def __init__(self, code: str, *_: bool) -> None:
        self.code, self.order = code, "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, order, *described = state[:5]  # version, byte order, subarray, names, fields; the rest are sizes
        if any(part is not None for part in described):
            raise DataError("the pickle holds an array of parts; only numbers and text are admitted")
        self.order = order

    def dtype(self) -> np.dtype[Any]:
        """The checked dtype.

        Raises:
            DataError: The dtype is neither of numbers nor of text.
        """
        dtype: np.dtype[Any] = np.dtype(str(self.code)).newbyteorder(self.order)  # type: ignore[arg-type]
        if dtype.kind not in "biufcSU":  # structured dtypes have kind V
            raise DataError(f"the pickle holds an array of {dtype}; only numbers and text are admitted")
        return dtype


class _Array:
    """Stands in for an array; ``content`` is an array, or the list of an array of objects."""

    content: np.ndarray | list[Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, data = state
        if kind.code in ("O", "O8") and shape == () and isinstance(data, list) and len(data) == 1:
            self.content = data
            return
        content = data.encode("latin1") if isinstance(data, str) else data  # from Python 2
        flat = np.frombuffer(content, kind.dtype())
        if not all(isinstance(n, int) and n >= 0 for n in shape):
            raise DataError(f"the pickle holds an array of shape {shape}")
        self.content = flat.reshape(shape, order="F" if fortran else "C").astype(flat.dtype.newbyteorder("="))


class _Admitted:
    """A function that the pickle may call, but not change."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        return self.function(*arguments)

    def __setstate__(self, state: object) -> None:
        raise DataError("the pickle changes a function")


def _empty(kind: object, shape: object, code: object) -> _Array:
    """Replacement for ``_reconstruct``, whose arguments are the class, an empty shape and a type code."""
    return _Array()


def _encoded(text: str, encoding: str) -> bytes:
    """Encode text, which is how old pickles store bytes."""
    if encoding != "latin1":
        raise DataError(f"the pickle holds text in {encoding}")
    return text.encode("latin1")


def _no_bytes() -> bytes:
    """Empty bytes, as stored in old pickles."""
    return b""


_ADMITTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy.core.multiarray", "_reconstruct"): _empty,
    ("numpy._core.multiarray", "_reconstruct"): _empty,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
}


class _ArraysOnly(pickle._Unpickler):  # the C version allocates as much memory as the pickle requests
    """An unpickler that allows only the parts of arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise DataError(
                f"the pickle asks for {module}.{name}; only numpy arrays, lists, dicts and strings are admitted"
            )
        return _Admitted(_ADMITTED[module, name])


def load_pickled_npy(path: Path) -> Any:
    """Load the single Python object in an ``.npy`` file of dtype object, without running its code.

    Raises:
        DataError: The file is not such a file, is damaged, or contains anything other than lists, dicts, strings and
            arrays of numbers or text.
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
    """Replace the stand-ins in the loaded object by arrays."""
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
