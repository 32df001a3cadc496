"""A cohort in several stores in one folder. Several machines can prepare it, and it opens as one store.

``part-003-of-100`` contains the third of a hundred parts of the files; ``added-001`` contains files added later.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from relcon_lightning.data.recording import with_license
from relcon_lightning.data.store.manifest import (
    MANIFEST,
    PART_FOLDER,
    SCHEMAS,
    TABLES,
    description_checksum,
    schema_of,
)
from relcon_lightning.data.store.signals import described_coding
from relcon_lightning.errors import ConfigError, DataError

if TYPE_CHECKING:
    from relcon_lightning.data.store.bucket import Bucket
    from relcon_lightning.data.store.folder import Folder

_ALIKE = ("schema", "unit", "info")
T = TypeVar("T")


@dataclass(frozen=True)
class Part:
    """One of several parts of a cohort.

    Attributes:
        number: Number of the part, counted from 1.
        of: Number of parts.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Part:
        """Parse a part such as ``3/100``.

        Raises:
            ConfigError: The text has another form, or the number is not between 1 and the number of parts.
        """
        found = re.fullmatch(r"(\d+)/(\d+)", text)
        part = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= part.number <= part.of:
            raise ConfigError(f"part={text}: expected a number and a count such as 1/4, 2/4, 3/4 or 4/4.")
        return part

    @classmethod
    def of_rank(cls, variables: Mapping[str, str]) -> Part:
        """Part of this process among those that ``torchrun`` or ``srun`` started.

        Args:
            variables: Environment variables.

        Raises:
            ConfigError: The process was started by neither.
        """
        for rank, count in (("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_NTASKS")):
            if rank in variables and count in variables:
                return cls(int(variables[rank]) + 1, int(variables[count]))
        raise ConfigError("part=rank: this process was started by neither torchrun nor srun; give part=1/4 and so on.")

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """Name of the folder of the part."""
        width = max(3, len(str(self.of)))
        return f"part-{self.number:0{width}d}-of-{self.of:0{width}d}"

    def share(self, everything: Sequence[T]) -> Sequence[T]:
        """This part of a sequence. Parts are in order, and their lengths differ by at most one.

        Raises:
            ConfigError: There are fewer items than parts.
        """
        if len(everything) < self.of:
            raise ConfigError(
                f"part={self}: there are only {len(everything)} files; use at most {len(everything)} parts."
            )
        count = len(everything)
        return everything[count * (self.number - 1) // self.of : count * self.number // self.of]


def names_checksum(names: Sequence[str]) -> str:
    """SHA-256 of the names of all files of a cohort, which is the same for all its parts."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()


def one_manifest(manifests: Mapping[str, dict[str, Any]], path: object) -> dict[str, Any]:
    """Join the manifests of several stores to that of the cohort, with the folder in the names of its files.

    Args:
        manifests: Mapping from the folder of each store to its manifest.
        path: Path of the cohort's folder, for errors.

    Raises:
        DataError: A part is missing, or parts belong to different cohorts.
    """
    _check_complete(list(manifests), path)
    folders = sorted(manifests)
    first = manifests[folders[0]]
    for folder in folders[1:]:
        for key in (*_ALIKE, "signal"):
            mine, others = (_comparable(manifest.get(key)) for manifest in (first, manifests[folder]))
            if mine != others:
                raise DataError(
                    f"{path}: {folders[0]} and {folder} have different {key} ({mine} and {others}), so they are not "
                    "parts of one cohort: prepare one of them again with overwrite=true."
                )
    lists = {manifests[folder]["part"]["names_sha256"]: folder for folder in folders if "part" in manifests[folder]}
    if len(lists) > 1:
        a, b = list(lists.values())[:2]
        raise DataError(
            f"{path}: {a} and {b} were prepared from different lists of files, so files may be missing or occur twice: "
            "prepare all parts again with overwrite=true."
        )
    return {
        **{key: value for key, value in first.items() if key != "description_sha256"},
        "excluded": {name: why for folder in folders for name, why in manifests[folder]["excluded"].items()},
        "files": {
            f"{folder}/{name}": facts for folder in folders for name, facts in manifests[folder]["files"].items()
        },
    }


def _comparable(value: Any) -> Any:
    """Remove counts, which may differ between parts."""
    return {key: item for key, item in value.items() if key != "cut_samples"} if isinstance(value, dict) else value


def _check_complete(folders: Sequence[str], path: object) -> None:
    found = [(int(match[1]), int(match[2])) for match in map(PART_FOLDER.fullmatch, folders) if match and match[1]]
    counts = sorted({of for _, of in found})
    if len(counts) > 1:
        raise DataError(
            f"{path} mixes divisions into {' and '.join(map(str, counts))} parts: remove the parts of one division."
        )
    missing = sorted(set(range(1, counts[0] + 1)) - {number for number, _ in found}) if counts else []
    if missing or not counts:
        text = ", ".join(f"{number}/{counts[0]}" for number in missing[:5]) if counts else "all"
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise DataError(f"{path}/{MANIFEST}: parts are missing: prepare part={text}{more}.")


def read_manifest(place: Folder | Bucket) -> dict[str, Any]:
    """Read the manifest of a store; for parts, join their manifests.

    Raises:
        DataError: The store has another version, or a file is missing, truncated or changed.
        FileNotFoundError: There is no manifest.
    """
    try:
        manifest: dict[str, Any] = json.loads(place.read(MANIFEST))
    except FileNotFoundError:
        parts = place.parts()
        if not parts:
            raise
        manifests = {part: json.loads(place.read(f"{part}/{MANIFEST}")) for part in parts}
        checked = {part: _checked(place, own, f"{part}/") for part, own in manifests.items()}
        manifest = one_manifest(checked, place.path)
    else:
        manifest = _checked(place, manifest)
    sizes = place.sizes()
    for name, expected in manifest["files"].items():
        size = sizes.get(name)
        if size != expected["bytes"]:
            found = "is missing" if size is None else f"has {size} bytes"
            raise DataError(f"{place.path}/{name} {found}, expected {expected['bytes']} bytes; {place.remedy}.")
    return manifest


def _checked(place: Folder | Bucket, manifest: dict[str, Any], folder: str = "") -> dict[str, Any]:
    where = f"{place.path}/{folder}{MANIFEST}"
    if manifest["schema"] not in SCHEMAS:
        known = " and ".join(map(str, SCHEMAS))
        raise DataError(
            f"{where} has schema {manifest['schema']}, but this version reads {known}; prepare the store again with "
            "overwrite=true."
        )
    if manifest["unit"] != "g":
        raise DataError(f"{where} has unit {manifest['unit']}, expected g; convert the signals first.")
    if "description_sha256" in manifest and manifest["description_sha256"] != description_checksum(manifest):
        raise DataError(f"{where} was changed or damaged: its SHA-256 is not that of the written file; {place.remedy}.")
    _check_entries(manifest)
    return {**manifest, "info": with_license(manifest["info"])}


def _check_entries(manifest: dict[str, Any]) -> None:
    """Raise ValueError for values of a wrong type, and for unexpected files."""
    if manifest["schema"] != schema_of(described_coding(manifest.get("signal"))):
        raise ValueError(f"signal: {manifest.get('signal')} does not belong to schema {manifest['schema']}")
    info, excluded, files = manifest["info"], manifest["excluded"], manifest["files"]
    texts = [value for key, value in info.items() if key != "sampling_rate"]
    if not all(isinstance(value, str) for value in [*texts, *excluded, *excluded.values()]):
        raise ValueError("info or excluded contains values other than text")
    signals = len(files) - len(TABLES)
    expected = {f"{table}.parquet" for table in TABLES} | {f"signals/{i:05d}.npy" for i in range(signals)}
    if files.keys() != expected:
        odd = min(files.keys() ^ expected, default="")
        raise ValueError(f"files: {odd!r} is not one of the tables and signal files in a row")
    for name, facts in files.items():
        if type(facts["bytes"]) is not int or not isinstance(facts.get("sha256", ""), str):
            raise ValueError(f"files: bytes or sha256 of {name!r} has a wrong type")
