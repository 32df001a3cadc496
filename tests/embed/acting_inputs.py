"""Recordings for tests of reading processes, which import this module; it therefore imports little."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from relcon_lightning.data.inputs import Input, OpenRecording
from relcon_lightning.data.stream import Block, blocks_of
from relcon_lightning.errors import DataError


def acting(number: int, kind: str, folder: Path | None = None) -> Input:
    """A recording that behaves as its kind says."""
    name = f"{number:02d}-{kind}"
    return Input(name, f"of-{name}", "1", False, partial(_open, name, number, kind, folder))


def _open(name: str, number: int, kind: str, folder: Path | None) -> OpenRecording:
    logging.getLogger("tests.inputs").warning("%s was seen", name)
    if kind == "bad":
        raise DataError(f"{name} is damaged")
    if kind == "odd":
        raise KeyError("acceleration")
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "slow":
        assert folder is not None
        (folder / str(os.getpid())).touch()
        time.sleep(60)
    if kind == "endless":
        return OpenRecording(50.0, None, None, _endless())
    samples = 20 if kind == "short" else 600 + 50 * number
    signal_g = [0, 0, 1] + 0.1 * np.random.default_rng(number).standard_normal((samples, 3))
    return OpenRecording(50.0, None, samples / 50, blocks_of(lambda first, last: signal_g[first:last], samples, 50.0))


def _endless() -> Iterator[Block]:
    first = 0
    while True:
        yield Block((first + np.arange(10_000)) / 50, np.ones((10_000, 3)), begins=first == 0)
        first += 10_000
