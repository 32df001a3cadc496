"""``run.json`` in a run folder: the information to repeat the run, and to see differences between runs."""

from __future__ import annotations

import json
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relcon_lightning.errors import ConfigError

if TYPE_CHECKING:
    from relcon_lightning.data.store.cohort import CohortStore

FILE = "run.json"
_LIBRARIES = ("relcon-lightning", "torch", "lightning", "hydra-core", "numpy", "scikit-learn")
_WHAT_IS_TRAINED = (
    "data",
    "encoder",
    "loss",
    "model",
    "ranking",
    "augmentation",
    "view",
    "temperature",
    "seed",
    "trainer",
)
_PLACES = {
    "data.root",
    "data.raw_dir",
    "data.datamodule.store",
    "data.verify",
    "data.datamodule.verify",
    "model.distance_checkpoint",
    "trainer.default_root_dir",
}


def make_record(settings: dict[str, Any], store: CohortStore) -> dict[str, Any]:
    """Record the configuration, versions, code, data and machine of a run that starts.

    Args:
        settings: Resolved configuration.
        store: Cohort store.
    """
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        "git": _git(Path(__file__).parent),
        "machine": _machine(),
        "data": {"store": str(store.path), "cohort.json": store.fingerprint(), "files": store.checksum()},
        "config": settings,
    }


def save_record(record: dict[str, Any], folder: Path) -> None:
    """Write the record; when a run resumes, earlier records are kept as ``run.1.json``, ..."""
    path = folder / FILE
    if path.exists():
        path.rename(folder / f"run.{len(list(folder.glob('run.*.json'))) + 1}.json")
    part = path.with_suffix(".part")
    part.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    part.replace(path)


def load_record(folder: Path) -> dict[str, Any]:
    """Read the record of a run.

    Raises:
        ConfigError: The folder has no record.
    """
    try:
        record: dict[str, Any] = json.loads((folder / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{folder} is not a run that can be repeated: {folder / FILE} cannot be read.") from error
    return record


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Differences that could change the result of a run, one per line; locations of files do not count."""
    lines = []
    for part in ("versions", "git"):
        lines += _changes(part, old[part], new[part])
    if any(old["data"].get(key, new["data"][key]) != new["data"][key] for key in ("cohort.json", "files")):
        lines.append(f"data: {new['data']['store']} is not the data of {old['data']['store']}")
    for part in _WHAT_IS_TRAINED:
        lines += _changes(part, old["config"].get(part), new["config"].get(part))
    return lines


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Values of a configuration by dotted key."""
    leaves: dict[str, Any] = {}
    for key, value in config.items():
        leaves.update(flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return leaves


def _changes(name: str, old: Any, new: Any) -> list[str]:
    before, after = flat({name: old}), flat({name: new})
    keys = sorted({*before, *after} - _PLACES)
    return [f"{key}: {before.get(key)} -> {after.get(key)}" for key in keys if before.get(key) != after.get(key)]


def _git(folder: Path) -> dict[str, Any] | None:
    """Commit of the code, and whether files differ from it, if the code is in a git checkout."""

    def ask(*arguments: str) -> str:
        answer = subprocess.run(
            ["git", "-C", folder, *arguments], capture_output=True, text=True, check=True, timeout=30
        )
        return answer.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain", "--", str(folder)))}
    except (OSError, subprocess.SubprocessError):
        return None


def _machine() -> dict[str, Any]:
    import torch  # slow to import, and not needed to read records

    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"platform": platform.platform(), "threads": torch.get_num_threads(), "gpus": gpus}
