"""Reading a pickled numpy file without trusting it."""

from __future__ import annotations

import codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from relcon_lightning.errors import DataError

_reconstruct: Any = np.ndarray(0).__reduce__()[0]  # the function that rebuilds an array
_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): codecs.encode,  # how old pickles spell bytes
}


class _ArraysOnly(pickle.Unpickler):
    """Admits arrays, and the lists, dicts, strings and numbers that need no import."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ADMITTED:
            raise DataError(
                f"the pickle asks for {module}.{name}; only numpy arrays, lists, dicts and strings are admitted"
            )
        return _ADMITTED[module, name]


def load_pickled_npy(path: Path) -> Any:
    """The one Python object in an ``.npy`` file of dtype object, nothing in it run.

    Raises:
        DataError: Not such a file, damaged, or it asks for anything but lists, dicts, strings and arrays of numbers
            or text.
    """
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[
                version
            ]
            shape, _, dtype = read_header(file)
            if shape != () or dtype != np.dtype(object):
                raise DataError(f"expected one Python object, found an array {dtype}{shape}")
            content = _ArraysOnly(file, encoding="latin1").load()
        if isinstance(content, np.ndarray) and content.dtype == np.dtype(object) and content.shape == ():
            content = content.item()  # numpy wraps the object once
        _refuse_objects(content)
    except DataError as error:
        raise DataError(f"{path}: {error}.") from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise DataError(f"{path} is not a readable .npy file: {error}") from error
    return content


def _refuse_objects(content: Any) -> None:
    """Refuse arrays other than of plain numbers or text: the description of a structured one can point anywhere."""
    if isinstance(content, np.ndarray) and (content.dtype.kind not in "biufcSU" or content.dtype.fields is not None):
        raise DataError(f"the pickle holds an array of {content.dtype}; only numbers and text are admitted")
    if isinstance(content, dict):
        content = content.values()
    elif not isinstance(content, list | tuple):
        return
    for value in content:
        _refuse_objects(value)
