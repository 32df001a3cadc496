"""Resume an interrupted run: write checkpoints atomically, and find the newest one."""

from __future__ import annotations

import csv
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only

from relcon_lightning.errors import ConfigError, TrainingError
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_paths import BEST, CONFIG, HUB, file_of, located
from relcon_lightning.training.restore import restorable
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)


class Resumed(NamedTuple):
    """A checkpoint from which a run continues, its file, and the number of its steps."""

    path: Path
    step: int
    checkpoint: Checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes checkpoints atomically: a file gets its name once it is completely on the disk.

    Lightning first writes to the system's temporary folder. Moving a file from there to another disk is a copy, which
    can be interrupted.
    """

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read the state from which training resumes, see :func:`~relcon_lightning.training.restore.restorable`."""
        return restorable(super().load_checkpoint(path, *args, **kwargs), str(path))

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove a checkpoint, but only a file that ends in ``.ckpt``."""
        if "://" in str(path):
            super().remove_checkpoint(path)
        elif Path(path).suffix == ".ckpt" and (Path(path).is_symlink() or Path(path).is_file()):
            Path(path).unlink()

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write a temporary file next to the path, then rename it.

        Raises:
            TrainingError: The file cannot be written, for example because the disk is full. An existing file is kept.
        """
        if "://" in str(path):  # a bucket, in which objects are written atomically
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        path = Path(path)
        part = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except (OSError, RuntimeError) as error:  # torch raises RuntimeError if a write fails
            part.unlink(missing_ok=True)
            raise TrainingError(
                f"{path} cannot be written ({str(error).splitlines()[0]}). The checkpoint before it is kept: make room "
                "on the disk, then continue with resume=auto."
            ) from error


def find_checkpoint(resume: str | None, folder: Path) -> Resumed | None:
    """Find the checkpoint to resume from, and read it.

    Args:
        resume: Path; ``auto``: the newest readable checkpoint in the folder, ``best.ckpt`` only if there is
            no other; None: start a new run.
        folder: Folder of the run's checkpoints.

    Returns:
        The checkpoint; None to start a new run (with ``auto``, if nothing was saved yet).

    Raises:
        ConfigError: The path is not a checkpoint, or there are checkpoints in the folder but none can be read.
    """
    if resume is None:
        return None
    if not isinstance(resume, str) or not resume or ("://" in resume and not resume.startswith(HUB)):
        raise ConfigError(f"resume={resume}: expected auto, or the path of a checkpoint or run on this machine.")
    if resume != "auto":
        found_at = located(resume)
        if isinstance(found_at, str) or (found_at / CONFIG).is_file():
            raise ConfigError(
                f"resume={resume} is an exported encoder, without the state of its training: give the folder of a run, "
                "or a checkpoint of it."
            )
        one = _read(file_of(found_at))
        if one.step == 0:
            raise ConfigError(f"{one.path} contains the untrained network: start a new run, without resume.")
        return one
    found: list[Resumed] = []
    damaged = []
    for path in sorted(folder.glob("*.ckpt")):
        try:
            one = _read(path)
            if one.step > 0:  # best.ckpt may contain the untrained network
                found.append(one)
        except ConfigError as error:
            log.warning("Skipped %s: %s", path, error)
            damaged.append(path.name)
    if found:
        newest = max(found, key=lambda one: (one.path.name != BEST.name, one.step, one.path.stat().st_mtime, one.path))
        log.info("Resuming from %s, after %s.", newest.path, counted(newest.step, "step"))
        return newest
    if damaged:
        raise ConfigError(f"No checkpoint in {folder} can be read; start a new run with overwrite=true.")
    log.info("There is no checkpoint in %s yet: starting a new run.", folder)
    return None


def _read(path: Path) -> Resumed:
    """Read a checkpoint from which training can resume.

    Raises:
        ConfigError: It cannot be read, or does not contain its step.
    """
    checkpoint = Checkpoint.read(path)
    if checkpoint.step is None:
        raise ConfigError(f"{path} does not say how many steps were trained: give another checkpoint of the run.")
    return Resumed(path, checkpoint.step, checkpoint)


class Replaced:
    """The files of an earlier run in the folder of a new one, which are kept until the new run has trained a step.

    Only files that a run writes are set aside (checkpoints, logs, records, figures), and none in linked folders.

    Args:
        folder: Folder of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._aside = folder, folder / ".replaced"
        self._moving, self._gone = folder / ".replaced.moving", folder / ".replaced.gone"

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Set the files aside. If the new run ends before :meth:`remove`, its files are removed and these are back."""
        self._move(self.folder, self._moving)
        self._moving.rename(self._aside)
        try:
            yield
        finally:
            self.restore()

    def restore(self) -> None:
        """Put the files back, if they are set aside, for example by a run that was killed before its first step.

        Folders are renamed when all files are in them, so that a kill at any time loses no file of either run.
        """
        if self._aside.is_dir():
            for path in self._files(self.folder):
                path.unlink()
            self._aside.rename(self._moving)
        if self._moving.is_dir():
            self._move(self._moving, self.folder)
            shutil.rmtree(self._moving)
        shutil.rmtree(self._gone, ignore_errors=True)

    def remove(self) -> None:
        """Remove the files that are set aside."""
        self._aside.rename(self._gone)
        shutil.rmtree(self._gone, ignore_errors=True)

    def _move(self, old: Path, new: Path) -> None:
        new.mkdir(parents=True, exist_ok=True)
        for path in self._files(old):
            target = new / path.relative_to(old)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)

    @staticmethod
    def _files(folder: Path) -> list[Path]:
        patterns = ("checkpoints/*.ckpt", "csv/*", "not_finite/*.pt", "run*.json", "split.json", "*.png", "wandb_id")
        found = [path for pattern in patterns for path in folder.glob(pattern)]
        inside = folder.resolve()
        return [
            path
            for path in found
            if path.parent.resolve().is_relative_to(inside) and (path.is_file() or path.is_symlink())
        ]


def last_value(path: Path, metric: str) -> float | None:
    """The last value of a metric in the ``metrics.csv`` of a run; None if there is none.

    Args:
        path: File, which need not exist.
        metric: Name of the column.
    """
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8") as file:
        values = [row[metric] for row in csv.DictReader(file) if row.get(metric)]
    try:
        return float(values[-1]) if values else None
    except ValueError:
        return None


@rank_zero_only
def keep_metrics(logger: CSVLogger, step: int) -> None:
    """Continue ``metrics.csv`` after the rows of the first steps; Lightning would start a new file.

    Args:
        logger: Logger of the run, before it has logged.
        step: Number of completed steps; rows of later steps, which will be repeated, are removed.
    """
    path = Path(logger.log_dir) / "metrics.csv"
    kept = path.with_suffix(".csv.part")
    if path.exists():
        content = path.read_text("utf-8", errors="replace")
        reader = csv.DictReader(content[: content.rfind("\n") + 1].splitlines())  # the last line may be cut short
        names = list(reader.fieldnames or [])
        rows = [row for row in reader if _is_whole(row.get("step") or "") and int(row["step"]) < step]
        with kept.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
    if kept.exists():  # it exists, or a run that was interrupted here left it
        experiment = logger.experiment  # this removes the file
        kept.replace(path)
        with path.open(newline="", encoding="utf-8") as file:
            experiment.metrics_keys = next(csv.reader(file), [])


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdigit()  # -1 is before the first step
