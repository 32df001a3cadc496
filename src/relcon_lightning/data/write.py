"""Writing a cohort store: as a stream, and whole or not at all."""

from __future__ import annotations

import glob
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from relcon_lightning.data.manifest import MANIFEST, SCHEMA, checksum, description_checksum
from relcon_lightning.data.recording import RECORDING_COLUMNS, CohortInfo, Recording
from relcon_lightning.errors import DataError
from relcon_lightning.lock import LockedError, lock

log = logging.getLogger(__name__)

SHARD_SAMPLES = 2**26  # 0.8 GB of float32


def write_store(
    path: str | Path, recordings: Iterable[Recording], info: CohortInfo, shard_samples: int = SHARD_SAMPLES
) -> None:
    """Write recordings as a cohort store.

    All is written to a folder beside ``path`` which takes its place only when complete, so that an interruption
    leaves what was there before. A recording with NaN or infinite samples is left out, with a warning and an entry in
    ``cohort.json``.

    Args:
        path: Folder of the store, or a link to it; an existing store is replaced.
        recordings: All at the rate of ``info``. One is held in memory at a time.
        info: Description of the cohort.
        shard_samples: Samples after which a new signal file begins.

    Raises:
        DataError: Another sampling rate, an id that comes twice, a folder that is no store, no usable recording, or
            another process that writes the store.
    """
    path = _target(Path(path))
    if path.exists() and not (path / MANIFEST).exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path} exists and is not a cohort store; it is not overwritten. Choose another data.root.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path):
            _write(path, recordings, info, shard_samples)
    except LockedError as error:
        raise DataError(
            f"{path} is being written by {error.holder}: wait until that has ended, or choose another data.name."
        ) from error


def _write(path: Path, recordings: Iterable[Recording], info: CohortInfo, shard_samples: int) -> None:
    _clear_leftovers(path)
    partial = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    partial.chmod(0o755)  # mkdtemp keeps others out
    try:
        writer = _Writer(partial, info, shard_samples)
        for recording in recordings:
            writer.add(recording)
        writer.finish()
        _replace(path, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _target(path: Path) -> Path:
    """What a link names, so that a store in another place is replaced there and the link stays."""
    try:
        target = path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):
        target = path
    if target.is_symlink():
        raise DataError(f"{path} is a link that leads nowhere: remove it, or choose another data.root.")
    return target


class _Writer:
    def __init__(self, folder: Path, info: CohortInfo, shard_samples: int) -> None:
        self.folder, self.info, self.shard_samples = folder, info, shard_samples
        self.rows: list[dict[str, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self.excluded: dict[str, str] = {}
        self.ids: set[str] = set()
        self.shard, self.offset = -1, shard_samples
        (folder / "signals").mkdir()

    def add(self, recording: Recording) -> None:
        name = recording.recording_id
        if name in self.ids:
            raise DataError(
                f"Recording id {name} comes twice (participant {recording.participant_id}); ids must be unique."
            )
        self.ids.add(name)
        if abs(recording.sampling_rate - self.info.sampling_rate) > 1e-6:
            raise DataError(
                f"Recording {name} has {recording.sampling_rate:g} Hz, the store {self.info.sampling_rate:g} Hz; "
                "resample it first."
            )
        signal = np.ascontiguousarray(recording.signal, dtype=np.float32)
        bad = int((~np.isfinite(signal)).any(axis=1).sum())
        if bad or not len(signal):
            self.excluded[name] = f"{bad} samples are not finite" if bad else "empty"
            log.warning(
                "Left out recording %s of participant %s: %s.", name, recording.participant_id, self.excluded[name]
            )
            return
        if self.offset >= self.shard_samples:
            self.shard, self.offset = self.shard + 1, 0
        with self._raw(self.shard).open("ab") as file:
            file.write(signal.tobytes())
        self._add_rows(recording, len(signal))
        self.offset += len(signal)

    def _add_rows(self, recording: Recording, n_samples: int) -> None:
        own = {"recording_id": recording.recording_id, "participant_id": recording.participant_id}
        place = {"n_samples": n_samples, "start_time": recording.start_time, "shard": self.shard, "offset": self.offset}
        self.rows.append({**own, **place, **recording.attributes})
        for s in recording.segments:
            times = {"start_s": s.start_s, "end_s": s.end_s, "label": s.label}
            self.segments.append({"recording_id": recording.recording_id, **times, **s.targets})

    def _raw(self, shard: int) -> Path:
        return self.folder / "signals" / f"{shard:05d}.raw"

    def finish(self) -> None:
        """Write tables and manifest, and give each signal file its header."""
        if not self.rows:
            raise DataError(f"No usable recording for {self.info.name}: {len(self.excluded)} were left out.")
        for shard in range(self.shard + 1):
            _to_npy(self._raw(shard))
        recordings = pd.DataFrame(self.rows).sort_values("recording_id", ignore_index=True)
        recordings["start_time"] = recordings["start_time"].astype("float64")
        segments = pd.DataFrame(
            self.segments, columns=None if self.segments else ["recording_id", "start_s", "end_s", "label"]
        )
        tables = {"participants": _participants(recordings), "recordings": recordings, "segments": segments}
        for name, table in tables.items():
            table.to_parquet(self.folder / f"{name}.parquet", index=False)
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        manifest: dict[str, Any] = {
            "schema": SCHEMA,
            "unit": "g",
            "info": asdict(self.info),
            "excluded": self.excluded,
            "files": {
                str(file.relative_to(self.folder)): {"bytes": file.stat().st_size, "sha256": checksum(file)}
                for file in files
            },
        }
        manifest["description_sha256"] = description_checksum(manifest)
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        for item in [*self.folder.rglob("*"), self.folder]:
            _fsync(item)


def _participants(recordings: pd.DataFrame) -> pd.DataFrame:
    """A row a participant: what there is of them, and the attributes that are the same in all of their recordings."""
    by_person = recordings.groupby("participant_id")
    table = by_person["n_samples"].agg(["size", "sum"]).rename(columns={"size": "n_recordings", "sum": "n_samples"})
    attributes = [name for name in recordings.columns if name not in RECORDING_COLUMNS]
    constant = [name for name in attributes if (by_person[name].nunique() <= 1).all()]
    return table.join(by_person[constant].first()).reset_index()


def _to_npy(raw: Path) -> None:
    """Turn a file of float32 triples into the .npy of the same name."""
    triples = np.memmap(raw, dtype=np.float32, mode="r").reshape(-1, 3)
    np.save(raw.with_suffix(".npy"), triples)
    raw.unlink()


def _clear_leftovers(path: Path) -> None:
    """Remove what killed writes left; a store that was set aside and not yet replaced is put back."""
    stem = f".{glob.escape(path.name)}.????????"  # as mkdtemp names them, so that store "a" spares those of "a.b"
    for old in path.parent.glob(f"{stem}.old"):
        if path.exists():
            shutil.rmtree(old)
        else:
            old.rename(path)
    for partial in path.parent.glob(f"{stem}.partial"):
        shutil.rmtree(partial)


def _replace(path: Path, partial: Path) -> None:
    """Put the finished folder in the place of the old one, which goes last and comes back when that fails."""
    old = partial.with_suffix(".old")
    if path.exists():
        path.rename(old)
    try:
        partial.rename(path)
    except BaseException:
        if old.exists():
            old.rename(path)
        raise
    _fsync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _fsync(path: Path) -> None:
    if os.name == "nt":  # which opens no folder, and no file that is only read, for this
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
