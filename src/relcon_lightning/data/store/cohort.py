"""The cohort store: tables and signals in a folder or a bucket, from which random windows are read.

A store contains ``cohort.json`` (description, sizes and checksums of all other files), ``participants.parquet``,
``recordings.parquet``, ``segments.parquet`` and ``signals/00000.npy``, ... Each signal file is an array
``(N, 3)`` of consecutive recordings, as float32 in g or as int16 in steps that the manifest defines.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.store.check import check_participants, check_recordings, check_segments
from relcon_lightning.data.store.folder import Folder, MappedSignals
from relcon_lightning.data.store.manifest import MANIFEST, TABLES
from relcon_lightning.data.store.parts import read_manifest
from relcon_lightning.data.store.signals import FLOAT32, Coding, described_coding
from relcon_lightning.data.store.tables import read_tables
from relcon_lightning.data.store.verify import Verify, verify_signals
from relcon_lightning.data.store.write import SHARD_SAMPLES, write_store
from relcon_lightning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from relcon_lightning.data.store.bucket import Bucket, RangedSignals
    from relcon_lightning.data.store.shard_cache import CachedSignals

log = logging.getLogger(__name__)

_LAST = f"{TABLES[-1]}.parquet"


class CohortStore:
    """Reads a cohort. Opening it reads the tables and compares their checksums; those of signals are compared once.

    Signals are opened lazily, so that a store can be sent to the workers of a loader.

    Attributes:
        path: Folder, or the address of a bucket.
        start_method: ``multiprocessing`` start method that processes which read the store need; None: any method.
        coding: Coding of the samples on disk.
    """

    def __init__(
        self, place: Folder | Bucket, manifest: dict[str, Any], verify: Verify = "once", cache_gb: float = 0.0
    ) -> None:
        self._place, self._verify, self._cache_gb = place, verify, cache_gb
        self.path, self.start_method = place.path, place.start_method
        self.info, self.coding = CohortInfo(**manifest["info"]), described_coding(manifest.get("signal"))
        self.excluded: dict[str, str] = manifest["excluded"]
        self._files: dict[str, dict[str, Any]] = manifest["files"]
        self._folders = sorted({name.removesuffix(_LAST) for name in self._files if name.endswith(_LAST)})
        shards = {
            folder: sorted(n for n in self._files if n.startswith(f"{folder}signals/")) for folder in self._folders
        }
        self._shard_names = [name for names in shards.values() for name in names]
        parts = {folder: len(names) for folder, names in shards.items()}
        self.participants, self.recordings, segments = read_tables(place, self._files, parts)
        self._check_tables(segments)
        self.segments = segments.sort_values(["recording_id", "start_s"], kind="stable", ignore_index=True)
        self._shard = self.recordings["shard"].to_numpy()
        self._offset = self.recordings["offset"].to_numpy()
        self._samples = self.recordings["n_samples"].to_numpy()
        self._check_signals(verify)

    @classmethod
    def open(cls, path: str | Path, verify: Verify = "once", cache_gb: float = 0.0) -> CohortStore:
        """Open the store in a folder or at an address such as ``s3://bucket/folder`` (extra ``object-store``).

        The checksums of the tables are compared each time.

        Args:
            path: Folder or address.
            verify: When to compare the checksums of signals: ``once`` (and again if a file has changed), ``always``, or
                ``never``. In a bucket, a comparison downloads the files, so ``once`` compares only those that the
                cache downloads.
            cache_gb: Disk space for copies of a bucket's signal files in GB; 0: no copies. See
                :class:`~relcon_lightning.data.store.shard_cache.ShardCache`.

        Raises:
            DataError: There is no store, it has another version, it cannot be accessed, or a file is missing,
                truncated, changed or damaged. The message names the file.
        """
        if isinstance(cache_gb, bool) or not isinstance(cache_gb, int | float) or not 0 <= cache_gb < np.inf:
            raise ConfigError(f"data.cache_gb={cache_gb}: expected 0 or more.")
        place = _place(path)
        try:
            return cls(place, read_manifest(place), verify, cache_gb)
        except (DataError, ConfigError):
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DataError(
                f"There is no cohort store at {path} (no {MANIFEST}). Write one with relcon-prepare data=NAME."
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DataError(f"{place.path}/{MANIFEST} is damaged ({error}); {place.remedy}.") from error

    def _check_tables(self, segments: pd.DataFrame) -> None:
        """Refuse invalid tables before any of their values is used as a position in a file."""
        table = ""
        try:
            samples = []
            for table in self._shard_names:
                samples.append(self._place.samples(table, self._files[table]["bytes"], self.coding))
            table = "recordings.parquet"
            check_recordings(self.recordings, samples)
            table = "participants.parquet"
            check_participants(self.participants, self.recordings)
            table = "segments.parquet"
            check_segments(segments, self.recordings, self.sampling_rate)
        except (ValueError, TypeError) as error:
            raise DataError(
                f"{self.path}/{table} is not a valid table of a store: {error}; {self._place.remedy}."
            ) from error

    def _check_signals(self, verify: Verify) -> None:
        known = {name: facts["sha256"] for name, facts in self._files.items() if "sha256" in facts}
        if len(known) < len(self._files):
            log.warning(
                "%s/%s contains no checksum of %s, so damage cannot be detected; %s.",
                *(self.path, MANIFEST, ", ".join(sorted(self._files.keys() - known)), self._place.remedy),
            )
        verify_signals(self._place, {name: known[name] for name in self._shard_names if name in known}, verify)

    @classmethod
    def write(
        cls,
        path: str | Path,
        recordings: Iterable[Recording],
        info: CohortInfo,
        shard_samples: int = SHARD_SAMPLES,
        coding: Coding = FLOAT32,
    ) -> CohortStore:
        """Write recordings as a store and open it; see :func:`~relcon_lightning.data.store.write.write_store`."""
        write_store(path, recordings, info, shard_samples, coding)
        return cls.open(path)

    @property
    def sampling_rate(self) -> float:
        """Sampling rate in Hz."""
        return self.info.sampling_rate

    @property
    def folders(self) -> list[Path]:
        """Folders of the parts of a cohort on disk; the folder itself if it is a whole store."""
        return [Path(self.path) / folder for folder in self._folders]

    def check_rate(self, expected: float) -> None:
        """Refuse a store whose sampling rate is not that of the model.

        Raises:
            DataError: The rates differ. The message names both and says what to do.
        """
        if abs(self.sampling_rate - expected) > 1e-6 * expected:
            raise DataError(
                f"{self.path} holds signals at {self.sampling_rate:g} Hz but {expected:g} Hz are expected: prepare it "
                f"again with data.sampling_rate={expected:g} overwrite=true, "
                f"or set data.sampling_rate={self.sampling_rate:g}."
            )

    def numbers(self, attribute: str | None) -> dict[str, float] | None:
        """Value of a numeric attribute for each participant; None if ``attribute`` is None.

        Raises:
            DataError: ``participants.parquet`` has no such column, or it does not contain numbers.
        """
        if attribute is None:
            return None
        found = self.participants.get(attribute)
        if found is None or not pd.api.types.is_numeric_dtype(found):
            numeric = self.participants.select_dtypes("number").columns
            raise DataError(
                f"{self.path}/participants.parquet has no column {attribute!r} of numbers; it has "
                f"{', '.join(map(str, numeric)) or 'none'}."
            )
        return dict(zip(self.participants["participant_id"], found.astype(float), strict=True))

    def strata(self, attribute: str | None) -> dict[str, str] | None:
        """Value of an attribute for each participant, to stratify a split; None if ``attribute`` is None.

        Raises:
            DataError: ``participants.parquet`` has no such column.
        """
        if attribute is None:
            return None
        if attribute not in self.participants.columns:
            raise DataError(
                f"{self.path}/participants.parquet has no column {attribute!r} to stratify by; it has "
                f"{', '.join(map(str, self.participants.columns))}."
            )
        return dict(zip(self.participants["participant_id"], self.participants[attribute].astype(str), strict=True))

    def fingerprint(self) -> str:
        """SHA-256 of the manifest (for parts, of all manifests), which contains the checksums of all other files."""
        found = [self._place.checksum(f"{folder}{MANIFEST}") for folder in self._folders]
        return found[0] if len(found) == 1 else hashlib.sha256("\n".join(found).encode()).hexdigest()

    def checksum(self) -> str | None:
        """SHA-256 of the checksums of all data files; None if the manifest of an old store lacks one."""
        known = [f"{name} {facts.get('sha256')}" for name, facts in sorted(self._files.items())]
        whole = all("sha256" in facts for facts in self._files.values())
        return hashlib.sha256("\n".join(known).encode()).hexdigest() if whole else None

    def verify(self) -> None:
        """Compare the checksum of every file with the manifest.

        Raises:
            DataError: A file was changed. The message names it.
        """
        for name, expected in self._files.items():
            if "sha256" in expected and self._place.checksum(name) != expected["sha256"]:
                raise DataError(f"{self.path}/{name} was changed: its SHA-256 is not the one in {MANIFEST}.")

    def read(self, recording_id: str, start: int, stop: int) -> np.ndarray:
        """Read samples ``start`` to ``stop`` of a recording: ``(stop - start, 3)`` float32 in g.

        Raises:
            DataError: There is no such recording, or the samples are outside it.
        """
        if recording_id not in self._rows.index:
            raise DataError(f"{self.path} has no recording {recording_id!r}.")
        row = int(self._rows[recording_id])
        if not 0 <= start <= stop <= self._samples[row]:
            raise DataError(
                f"Recording {recording_id} has {self._samples[row]} samples; {start} to {stop} were requested."
            )
        window = self._signals.windows(self._shard[[row]], self._offset[[row]] + start, stop - start)
        return np.ascontiguousarray(window[0].T)

    def gather(self, recording_rows: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
        """Read many windows at once: ``(k, 3, length)`` float32 in g.

        Args:
            recording_rows: Row ``(k,)`` of each window's recording in ``recordings``.
            starts: First sample ``(k,)`` of each window.
            length: Number of samples of each window.

        Raises:
            DataError: There is no such row, or a window extends beyond its recording.
        """
        unknown = (recording_rows < 0) | (recording_rows >= len(self._samples))
        if unknown.any():
            raise DataError(f"{self.path} has {len(self._samples)} recordings, no row {recording_rows[unknown][0]}.")
        outside = (starts < 0) | (starts + length > self._samples[recording_rows])
        if outside.any():
            worst = int(np.flatnonzero(outside)[0])
            name = self.recordings["recording_id"].iloc[int(recording_rows[worst])]
            raise DataError(f"Recording {name}: {length} samples from sample {starts[worst]} extend beyond its end.")
        begins = self._offset[recording_rows] + starts
        return self._signals.windows(self._shard[recording_rows], begins, length)

    @cached_property
    def _rows(self) -> pd.Series[int]:
        return pd.Series(np.arange(len(self.recordings)), index=self.recordings["recording_id"])

    @cached_property
    def _signals(self) -> MappedSignals | RangedSignals | CachedSignals:
        sizes = {name: self._files[name]["bytes"] for name in self._shard_names}
        if not self._cache_gb or isinstance(self._place, Folder):
            return self._place.signals(sizes, self.coding)
        from relcon_lightning.data.store.shard_cache import CachedSignals, ShardCache

        checksums = {name: self._files[name]["sha256"] for name in sizes if "sha256" in self._files[name]}
        cache = ShardCache(round(self._cache_gb * 1e9))
        return CachedSignals(self._place, sizes, checksums, self.coding, cache, self._verify)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_signals"}


def _place(path: str | Path) -> Folder | Bucket:
    if "://" not in str(path):
        return Folder(Path(path))
    try:
        from relcon_lightning.data.store.bucket import Bucket
    except ModuleNotFoundError as error:
        raise DataError(f"Reading {path} from a bucket needs: pip install 'relcon-lightning[object-store]'.") from error
    return Bucket(str(path))


def is_store(path: str | Path) -> bool:
    """True if the folder contains a store, or parts of one."""
    return (Path(path) / MANIFEST).is_file() or bool(Folder(Path(path)).parts())
