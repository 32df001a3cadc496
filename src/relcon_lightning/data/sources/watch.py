"""Smartwatch recordings of shoulder exercises (Burns et al. 2018), from the package seglearn 1.2.5."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np

from relcon_lightning.data.recording import CohortInfo, Recording, Segment
from relcon_lightning.errors import DataError

_FILE = "seglearn/data/watch_dataset.npy"
_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
_MEND = "pip install --no-deps --force-reinstall seglearn==1.2.5"


class WatchExercises:
    """10 people, 7 exercises with each arm, 140 recordings at 50 Hz, wrist; each recording is one exercise.

    The file is read from the installed package, which is not imported.

    Args:
        raw_dir: Folder with ``watch_dataset.npy``; None: the installed package.

    Raises:
        DataError: The file is missing, or differs from the published one.
    """

    info = CohortInfo(
        name="watch",
        sampling_rate=50.0,
        position="wrist",
        source="PyPI package seglearn 1.2.5, seglearn/data/watch_dataset.npy",
        license="BSD-3-Clause",
        citation=(
            "Burns, Leung, Hardisty, Whyne, Henry, McLachlin (2018). Shoulder physiotherapy exercise recognition: "
            "machine learning the inertial signals from a smartwatch. Physiological Measurement 39(7)."
        ),
    )

    def __init__(self, raw_dir: str | Path | None = None) -> None:
        self.path = _installed() if raw_dir is None else Path(raw_dir) / Path(_FILE).name
        _published(self.path)

    def recordings(self) -> Iterator[Recording]:
        """One recording per exercise and arm, with one segment that is labelled with the exercise."""
        # A pickle can run code. These are the published bytes, so it is safe to load them.
        content = np.load(io.BytesIO(_published(self.path)), allow_pickle=True, encoding="latin1").item()
        rows = zip(content["X"], content["y"], content["subject"], content["side"], strict=True)
        for signal, exercise, subject, side in rows:
            participant, label = f"watch-{int(subject):02d}", content["y_labels"][int(exercise)]
            yield Recording(
                recording_id=f"{participant}-side{int(side)}-{label}",
                participant_id=participant,
                signal=signal[:, :3],
                sampling_rate=self.info.sampling_rate,
                segments=(Segment(0.0, len(signal) / self.info.sampling_rate, label),),
                attributes={"side": f"side{int(side)}"},
            )


def _published(path: Path) -> bytes:
    """Content of the file.

    Raises:
        DataError: The file is missing, or differs from the published one.
    """
    if not path.is_file():
        raise DataError(f"{path} is missing. Get it with: {_MEND}")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256:
        raise DataError(f"{path} is not the published file (its SHA-256 differs). Get it with: {_MEND}")
    return content


def _installed() -> Path:
    try:
        return Path(str(distribution("seglearn").locate_file(_FILE)))
    except PackageNotFoundError as error:
        raise DataError(f"The package with the watch recordings is not installed. Install it with: {_MEND}") from error
