"""Sweeps (``-m``): a folder per job, jobs that fail without ending the others, and a summary at the end."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

log = logging.getLogger(__name__)

_LONGEST = 80  # characters of the readable part of a folder's name; file systems take 255 bytes
# What changes nothing in a run, or where it lies.
_NOT_IN_NAME = {"name", "overwrite", "objective", "paths.runs"}
_SHOWN = {"data": "data.name", "model": "model.name"}  # groups whose name the path holds, unless it is given
_PLAIN = r"[A-Za-z0-9.+-]+(_[A-Za-z0-9.+-]+)*"  # no two underscores: they part overrides


def register() -> None:
    """Make ``${job_folder:}`` available to ``hydra.sweep.subdir``."""
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)


def job_folder(overrides: Sequence[str], name: str) -> str:
    """A folder's name for a job: readable, free of characters that a shell or Hydra's grammar would take apart.

    Values that do not fit as they are, and names that are too long, are shortened and get a hash of all overrides, so
    that two jobs never share a folder.

    Args:
        overrides: ``key=value`` of the job.
        name: Name of the run.
    """
    given = {_key(word) for word in overrides}
    left_out = _NOT_IN_NAME | {group for group, shown in _SHOWN.items() if shown not in given}
    words = sorted(word.lstrip("+") for word in overrides if _key(word) not in left_out)
    # The name is seed${seed} by default; resume=auto goes on in the folder of the job that was interrupted.
    words = [word for word in words if word not in (name.replace("seed", "seed=", 1), "resume=auto", "resume=null")]
    parts = [word.replace("=", "-", 1) for word in words]
    readable = "__".join(re.sub(r"[^A-Za-z0-9.+-]+", "_", part).strip("_") for part in parts)
    fits = len(readable) <= _LONGEST and all(re.fullmatch(_PLAIN, part) for part in parts)
    called = re.sub(r"[^A-Za-z0-9._+-]+", "_", name)[:_LONGEST]
    if not fits or called != name:
        digest = hashlib.sha256("\n".join([name, *words]).encode("utf-8", "surrogateescape")).hexdigest()[:8]
        readable = f"{readable[:_LONGEST].rstrip('._-')}-{digest}".lstrip("-")
    return f"{readable}-{called}" if readable else called


@dataclass
class Job:
    """A job of a sweep that has ended.

    Attributes:
        folder: Its run.
        overrides: What it was asked for.
        value: Of the objective; None if it was not logged.
        error: Why it failed, or None.
    """

    folder: Path
    overrides: list[str]
    value: float | None = None
    error: str | None = None


@dataclass
class Sweep:
    """The jobs that one process runs one after the other."""

    jobs: list[Job] = field(default_factory=list)

    def failed(self, error: Exception) -> None:
        """Note that the job that is running ends with an error."""
        self.jobs.append(Job(_folder(), _overrides(), error=str(error) or type(error).__name__))

    def ended(self, value: float | None) -> None:
        """Note that the job that is running is done."""
        self.jobs.append(Job(_folder(), _overrides(), value))

    def summary(self, objective: str, higher_is_better: bool = True) -> list[str]:
        """A line per job, the best one, and the command that evaluates it."""
        lines = [f"{len(self.jobs)} jobs:"]
        for job in self.jobs:
            what = f"failed: {job.error.splitlines()[0]}" if job.error else _value(objective, job.value)
            lines.append(f"  {job.folder}: {what}")
        known = [job for job in self.jobs if not job.error and job.value is not None and math.isfinite(job.value)]
        if len(known) > 1:
            pick: Callable[..., Job] = max if higher_is_better else min
            best = pick(known, key=lambda job: job.value or 0.0)
            lines.append(
                f"Best by {objective} on validation people: relcon-eval checkpoint={shlex.quote(str(best.folder))}"
            )
        if any(job.error for job in self.jobs):
            lines.append(f"{sum(bool(job.error) for job in self.jobs)} of {len(self.jobs)} jobs failed.")
        return lines


def in_this_process() -> bool:
    """Whether this is a job of a sweep whose jobs run in one process, one after the other."""
    hydra = HydraConfig.get()
    return hydra.mode == RunMode.MULTIRUN and str(hydra.launcher.get("_target_", "")).endswith("BasicLauncher")


def finish(sweep: Sweep, objective: str, lower: bool, code: int) -> None:
    """Print the summary and end with a code if a job failed."""
    if not sweep.jobs:
        return
    if len(sweep.jobs) > 1 or sweep.jobs[0].error:
        print("\n".join(sweep.summary(objective, not lower)))
    if any(job.error for job in sweep.jobs):
        sys.exit(code)


def _key(override: str) -> str:
    return override.lstrip("+~").split("=", 1)[0]


def _value(objective: str, value: float | None) -> str:
    return f"done, but {objective} was not logged" if value is None else f"{objective} {value:.4f}"


def _folder() -> Path:
    path = Path(HydraConfig.get().runtime.output_dir)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task)
