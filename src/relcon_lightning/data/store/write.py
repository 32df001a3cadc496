"""Write a cohort store as a stream, and atomically."""

from __future__ import annotations

import json
import logging
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from relcon_lightning.data.lookalikes import name_lookalikes
from relcon_lightning.data.recording import RECORDING_COLUMNS, CohortInfo, Recording
from relcon_lightning.data.store.entry import Entry, encode
from relcon_lightning.data.store.manifest import MANIFEST, checksum, description_checksum, schema_of
from relcon_lightning.data.store.origins import Version, read_versions, write_versions
from relcon_lightning.data.store.signals import FLOAT32, Coding, begin_file, finish_file
from relcon_lightning.data.store.swap import clear_leftovers, copy, fsync, link, replace, target
from relcon_lightning.errors import DataError
from relcon_lightning.lock import LockedError, lock

log = logging.getLogger(__name__)

SHARD_SAMPLES = 2**26  # 0.8 GB of float32


def write_store(
    path: str | Path,
    recordings: Iterable[Recording],
    info: CohortInfo,
    shard_samples: int = SHARD_SAMPLES,
    coding: Coding = FLOAT32,
) -> None:
    """Write recordings as a cohort store, one in memory at a time; see ``write_with``."""

    def fill(writer: StoreWriter) -> None:
        for recording in recordings:
            writer.add(recording)

    write_with(path, fill, info, shard_samples, coding)


def write_with(
    path: str | Path,
    fill: Callable[[StoreWriter], None],
    info: CohortInfo,
    shard_samples: int = SHARD_SAMPLES,
    coding: Coding = FLOAT32,
    part: Mapping[str, Any] | None = None,
) -> None:
    """Write a cohort store.

    The store is written to a temporary folder next to ``path``, which replaces ``path`` only when it is complete. An
    interruption leaves an existing store unchanged. A recording with NaN or infinite samples is excluded, with a
    warning and an entry in ``cohort.json``.

    Args:
        path: Folder of the store, or a link to it; an existing store is replaced.
        fill: Function that passes the recordings to the writer, all at the rate of ``info``.
        info: Description of the cohort.
        shard_samples: Number of samples after which a new signal file begins.
        coding: Coding of the samples.
        part: Entry of the manifest about this part of a cohort; None for a whole cohort.

    Raises:
        DataError: A recording has another sampling rate, an id occurs twice, the folder is not a store, no recording is
            usable, or another process is writing the store.
    """
    path = target(Path(path))
    if path.exists() and not (path / MANIFEST).exists() and (not path.is_dir() or any(path.iterdir())):
        raise DataError(f"{path} exists and is not a cohort store; it is not overwritten. Choose another data.root.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with lock(path):
            _write(path, fill, partial(StoreWriter, info=info, shard_samples=shard_samples, coding=coding, part=part))
    except LockedError as error:
        raise DataError(
            f"{path} is being written by {error.holder}: wait until it ends, or choose another data.name."
        ) from error


def _write(path: Path, fill: Callable[[StoreWriter], None], writer_in: Callable[[Path], StoreWriter]) -> None:
    clear_leftovers(path)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent))
    unfinished.chmod(0o755)  # mkdtemp denies access to other users
    try:
        writer = writer_in(unfinished)
        fill(writer)
        writer.finish()
        replace(path, unfinished)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


class StoreWriter:
    """Writes the files of a store to a folder.

    Args:
        folder: Existing, empty folder.
        info: Description of the cohort.
        shard_samples: Number of samples after which a new signal file begins.
        coding: Coding of the samples.
        part: Entry of the manifest about this part of a cohort; None for a whole cohort.

    Attributes:
        scratch: Folder for temporary files, which are removed before the store is complete.
        versions: Mapping from the name of each source file to its version.
    """

    def __init__(
        self,
        folder: Path,
        info: CohortInfo,
        shard_samples: int,
        coding: Coding,
        part: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.info, self.shard_samples, self.coding = folder, info, shard_samples, coding
        self.part, self.versions = part, dict[str, Version]()
        self._linked: dict[str, dict[str, Any]] = {}
        self.scratch = folder / "scratch"
        self.rows: list[dict[str, Any]] = []
        self.segments: list[dict[str, Any]] = []
        self.excluded: dict[str, str] = {}
        self.ids: set[str] = set()
        self.cut = 0
        self.shard, self.offset = -1, shard_samples
        (folder / "signals").mkdir()
        self.scratch.mkdir()

    def add(self, recording: Recording) -> None:
        """Write a recording.

        Raises:
            DataError: Its id occurs twice, or its sampling rate is not that of the store.
        """
        entry, coded = encode(recording, self.coding)
        if self._admit(entry):
            with self._file(self.shard).open("ab") as file:
                file.write(coded.data)

    def move(self, entries: Sequence[Entry], samples: Path) -> None:
        """Write recordings whose coded samples are consecutive in a file, which is then removed.

        Raises:
            DataError: See :meth:`add`.
        """
        with samples.open("rb") as source:
            for entry in entries:
                if self._admit(entry):
                    with self._file(self.shard).open("ab") as file:
                        copy(source, file, entry.n_samples * self.coding.sample_bytes)
        samples.unlink()

    def extend(self, store: Path) -> None:
        """Add all recordings of a store. Its signal files are linked, not copied. Call this before the other methods.

        Args:
            store: Folder of a store with the same rate and coding.
        """
        manifest = json.loads((store / MANIFEST).read_text("utf-8"))
        tables = {name: pd.read_parquet(store / f"{name}.parquet") for name in ("recordings", "segments")}
        self.rows = tables["recordings"].to_dict("records")  # type: ignore[assignment]
        self.segments = tables["segments"].to_dict("records")  # type: ignore[assignment]
        self.excluded, self.versions = manifest["excluded"], read_versions(store)
        self.cut = manifest.get("signal", {}).get("cut_samples", 0)
        self.ids = {row["recording_id"] for row in self.rows}
        self._linked = {name: facts for name, facts in manifest["files"].items() if name.startswith("signals/")}
        self.shard = len(self._linked) - 1  # the next recording begins a new file
        for name in self._linked:
            link(store / name, self.folder / name)

    def leave_out(self, name: str, reason: str) -> None:
        """Record a recording of the cohort that is not in the store."""
        self.excluded[name] = reason

    def _admit(self, entry: Entry) -> bool:
        """Assign a recording its place; returns False if it is excluded."""
        name = entry.recording_id
        if name in self.ids:
            raise DataError(
                f"Recording id {name} occurs twice (participant {entry.participant_id}); ids must be unique."
            )
        self.ids.add(name)
        if abs(entry.sampling_rate - self.info.sampling_rate) > 1e-6:
            raise DataError(
                f"Recording {name} has {entry.sampling_rate:g} Hz, the store {self.info.sampling_rate:g} Hz; "
                "resample it first."
            )
        if entry.fault:
            self.leave_out(name, entry.fault)
            log.warning("Excluded recording %s of participant %s: %s.", name, entry.participant_id, entry.fault)
            return False
        if entry.cut:
            self.cut += entry.cut
            log.warning(
                "Recording %s of participant %s: %d of %d samples exceed %.0f g and were clipped; "
                "store.dtype=float32 keeps them.",
                *(name, entry.participant_id, entry.cut, entry.n_samples, self.coding.limit_g),
            )
        if self.offset >= self.shard_samples:
            self.shard, self.offset = self.shard + 1, 0
            begin_file(self._file(self.shard))
        self._add_rows(entry)
        self.offset += entry.n_samples
        return True

    def _add_rows(self, entry: Entry) -> None:
        own = {"recording_id": entry.recording_id, "participant_id": entry.participant_id}
        at = {"start_time": entry.start_time, "shard": self.shard, "offset": self.offset}
        self.rows.append({**own, "n_samples": entry.n_samples, **at, **entry.attributes})
        for s in entry.segments:
            times = {"start_s": s.start_s, "end_s": s.end_s, "label": s.label}
            self.segments.append({"recording_id": entry.recording_id, **times, **s.targets})

    def _file(self, shard: int) -> Path:
        return self.folder / "signals" / f"{shard:05d}.npy"

    def finish(self) -> None:
        """Write the tables, the manifest and the headers of the signal files."""
        if not self.rows:
            raise DataError(f"{self.info.name} has no usable recordings: {len(self.excluded)} were left out.")
        shutil.rmtree(self.scratch)
        for shard in range(len(self._linked), self.shard + 1):
            finish_file(self._file(shard), self.coding)
        recordings = pd.DataFrame(self.rows).sort_values("recording_id", ignore_index=True)
        recordings["start_time"] = recordings["start_time"].astype("float64")
        segments = pd.DataFrame(
            self.segments, columns=None if self.segments else ["recording_id", "start_s", "end_s", "label"]
        )
        name_lookalikes(recordings["participant_id"], "participants", self.info.name)
        name_lookalikes(segments["label"].dropna(), "classes", self.info.name)
        tables = {"participants": participants_of(recordings), "recordings": recordings, "segments": segments}
        for name, table in tables.items():
            table.to_parquet(self.folder / f"{name}.parquet", index=False)
        files = sorted(file.relative_to(self.folder) for file in self.folder.rglob("*") if file.is_file())
        manifest: dict[str, Any] = {
            "schema": schema_of(self.coding),
            "unit": "g",
            **self._coded(),
            **({} if self.part is None else {"part": self.part}),
            "info": asdict(self.info),
            "excluded": self.excluded,
            "files": {name.as_posix(): self._linked.get(name.as_posix()) or self._facts(name) for name in files},
        }
        manifest["description_sha256"] = description_checksum(manifest)
        (self.folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
        if self.versions:
            write_versions(self.folder, self.versions)
        for item in [*self.folder.rglob("*"), self.folder]:
            fsync(item)

    def _facts(self, name: Path) -> dict[str, Any]:
        file = self.folder / name
        return {"bytes": file.stat().st_size, "sha256": checksum(file)}

    def _coded(self) -> dict[str, Any]:
        described = self.coding.described()
        return {} if described is None else {"signal": {**described, "cut_samples": self.cut}}


def participants_of(recordings: pd.DataFrame) -> pd.DataFrame:
    """One row per participant: totals, and the attributes that are the same in all recordings of the participant."""
    by_person = recordings.groupby("participant_id")
    table = by_person["n_samples"].agg(["size", "sum"]).rename(columns={"size": "n_recordings", "sum": "n_samples"})
    attributes = [name for name in recordings.columns if name not in RECORDING_COLUMNS]
    constant = [name for name in attributes if (by_person[name].nunique() <= 1).all()]
    return table.join(by_person[constant].first()).reset_index()
