"""Sweeps (``-m``): one folder per job, a failed job does not stop the others, and a summary at the end."""

from __future__ import annotations

import hashlib
import logging
import math
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from relcon_lightning.training.objective import direction_of
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)

_LONGEST = 80  # characters of the readable part of a folder's name; file systems take 255 bytes
# Keys that do not change the result of a run, except its location.
_NOT_IN_NAME = {"name", "search", "overwrite", "objective", "objective_direction", "paths.runs"}
_SHOWN = {"data": "data.name", "model": "model.name"}  # groups whose name is in the path, unless the key is given
_PLAIN = r"[A-Za-z0-9.+-]+(_[A-Za-z0-9.+-]+)*"  # no double underscore, which separates overrides


def register() -> None:
    """Make ``${job_folder:}`` available to ``hydra.sweep.subdir``."""
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)


def job_folder(overrides: Sequence[str], name: str) -> str:
    """Readable name of a job's folder, without characters that are special to a shell or to Hydra's grammar.

    Values that cannot be used, and names that are too long, are shortened and get a hash of all overrides, so
    that two jobs never share a folder.

    Args:
        overrides: Overrides ``key=value`` of the job.
        name: Name of the run.
    """
    given = {_key(word) for word in overrides}
    left_out = _NOT_IN_NAME | {group for group, shown in _SHOWN.items() if shown not in given}
    words = sorted(word.lstrip("+") for word in overrides if _key(word) not in left_out)
    # The name is seed${seed} by default; resume=auto continues in the folder of the interrupted job.
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
        folder: Folder of the run.
        overrides: Overrides of the job.
        value: Value of the objective; None if it was not logged.
        objective: Name of the metric; empty for commands without one.
        error: Reason why the job failed; None: it did not fail.
        stopped: True if a user or a signal ended it.
    """

    folder: Path
    overrides: list[str]
    value: float | None = None
    objective: str = ""
    error: str | None = None
    stopped: bool = False


@dataclass
class Sweep:
    """Jobs that one process runs one after the other.

    Attributes:
        jobs: Jobs that have ended.
        objective: Name of the metric of the running job; empty for commands without one.
        direction: ``minimize`` or ``maximize`` the objective; None: the direction that :func:`direction_of` gives.
    """

    jobs: list[Job] = field(default_factory=list)
    objective: str = ""
    direction: str | None = None

    def failed(self, error: Exception) -> None:
        """Record that the running job has failed."""
        self.jobs.append(Job(_folder(), _overrides(), error=str(error) or type(error).__name__))

    def ended(self, value: float | None) -> None:
        """Record that the running job has ended."""
        self.jobs.append(Job(_folder(), _overrides(), value, self.objective))

    def stopped(self) -> None:
        """Record that the running job, and with it the sweep, is stopped by a user or a signal."""
        self.jobs.append(Job(_folder(), _overrides(), stopped=True))

    def any_failed(self) -> bool:
        """True if a job has failed."""
        return any(job.error for job in self.jobs)

    def tell(self) -> None:
        """Print the summary, unless there was a single job without errors."""
        if len(self.jobs) > 1 or self.any_failed():
            print("\n".join(self.summary()))

    def summary(self) -> list[str]:
        """One line per job, the best job, and the command that evaluates it."""
        lines = [f"{counted(len(self.jobs), 'job')}:", *(f"  {job.folder}: {self._told(job)}" for job in self.jobs)]
        known = [job for job in self.jobs if not job.error and job.value is not None and math.isfinite(job.value)]
        if known and len(self.jobs) > 1:
            lines.append(self._best(known))
        if self.any_failed():
            lines.append(f"{sum(bool(job.error) for job in self.jobs)} of {counted(len(self.jobs), 'job')} failed.")
        if any(job.stopped for job in self.jobs):
            lines.append("The sweep was stopped before its last job. Continue with the same command and resume=auto.")
        return lines

    def _told(self, job: Job) -> str:
        if job.error:
            return f"failed: {job.error.splitlines()[0]}"
        if job.stopped:
            return "stopped"
        if not job.objective:
            return "done"
        if job.value is None:
            return f"done, but {job.objective} was not logged"
        return f"{job.objective} {job.value:.4f}"

    def _best(self, known: Sequence[Job]) -> str:
        objectives = sorted({job.objective for job in known})
        if len(objectives) > 1:
            return (
                f"No best job is named: {' and '.join(objectives)} cannot be compared. Set objective=... for all jobs."
            )
        [objective] = objectives
        direction = self.direction or direction_of(objective)
        if direction is None:
            return (
                f"No best job is named, because the direction of {objective} is not known: set "
                "objective_direction=minimize or maximize."
            )
        pick: Callable[..., Job] = max if direction == "maximize" else min
        best = pick(known, key=lambda job: job.value or 0.0)
        which = "highest" if direction == "maximize" else "lowest"
        return (
            f"Best, with the {which} {objective} on validation people: "
            f"relcon-eval checkpoint={shlex.quote(str(best.folder))}"
        )


def in_this_process() -> bool:
    """True if this is a job of a sweep whose jobs run in one process, one after the other."""
    hydra = HydraConfig.get()
    return hydra.mode == RunMode.MULTIRUN and str(hydra.launcher.get("_target_", "")).endswith("BasicLauncher")


def _key(override: str) -> str:
    return override.lstrip("+~").split("=", 1)[0]


def _folder() -> Path:
    path = Path(HydraConfig.get().runtime.output_dir)
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _overrides() -> list[str]:
    return list(HydraConfig.get().overrides.task)
