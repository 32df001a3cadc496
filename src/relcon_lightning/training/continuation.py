"""Check that a run may resume from a checkpoint: both must describe the same training."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any

import lightning as L

from relcon_lightning.errors import ConfigError
from relcon_lightning.methods.base import DRAWS
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.fit import compare
from relcon_lightning.runs.record import flat
from relcon_lightning.training.resume import Resumed

log = logging.getLogger(__name__)

# Keys that may change when a run resumes: its length, its machine, its folders and its logs.
_GROUPS = (
    "paths.",
    "objectives.",
    "logger.",
    "callbacks.",
    "steps.",
    "hydra.",
    "trainer.plugins",
    "trainer.logger",
    "trainer.strategy.",
)
_KEYS = {
    "name", "folder", "run_dir", "job_type", "overwrite", "resume", "from_run", "compile", "objective",
    "objective_direction",
    "trainer.max_steps", "trainer.max_time", "trainer.accelerator", "trainer.devices", "trainer.num_nodes",
    "trainer.strategy", "trainer.default_root_dir", "trainer.val_check_interval", "trainer.log_every_n_steps",
    "trainer.num_sanity_val_steps", "trainer.limit_val_batches", "trainer.enable_progress_bar", "trainer.profiler",
    "trainer.check_val_every_n_epoch", "trainer.benchmark", "trainer.deterministic",
    "data.root", "data.raw_dir", "data.num_workers", "data.verify", "data.val_batches", "data.stores",
    "model.distance_checkpoint", "encoder.recompute",
}  # fmt: skip
_ENDINGS = {
    "T_max",
    "total_steps",
    "total_iters",
    "recompute",
    "checkpoint",
    "fused",
    "num_workers",
    "verify",
    "val_batches",
    "store",
}

_MOVED = {"relcon_lightning.checkpoint.load_distance": "relcon_lightning.load_distance"}  # names in older checkpoints


def refuse_another_run(
    checkpoint: Checkpoint,
    settings: Mapping[str, Any],
    given: Collection[str],
    data: str | None = None,
    ranks: int | None = None,
) -> None:
    """Check that a checkpoint is one of the run that the configuration describes.

    Args:
        checkpoint: Checkpoint to resume from.
        settings: Resolved configuration of the run.
        given: Keys on the command line. A key that the checkpoint's version did not have is compared only if given.
        data: Fingerprint of the cohort store; None: it is not compared.
        ranks: Number of processes that train together; None: it is not compared.

    Raises:
        ConfigError: A difference changes what is trained. The message names each difference.
    """
    new = flat(dict(settings))
    old = {
        key: _MOVED.get(value, value) if isinstance(value, str) else value
        for key, value in flat(checkpoint.config).items()
    }
    found = [
        f"{key}: {old.get(key)} -> {new.get(key)}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key) and not _may_change(key) and (key in old or key in given)
    ]
    if data is not None and checkpoint.fingerprint not in (None, data):
        found.append("data: the cohort store is not the one that the run was trained on")
    if ranks is not None and checkpoint.ranks not in (None, ranks):
        found.append(f"processes: {checkpoint.ranks} -> {ranks}")
    if found:
        differences = "\n  ".join(found)
        raise ConfigError(
            f"{checkpoint.path} belongs to another run:\n  {differences}\nUse the settings of that run, or start a new "
            "one with another name=... and without resume."
        )


def tell_other_draws(checkpoint: Checkpoint) -> None:
    """Warn if the steps of a run continue with other random numbers than those with which it began."""
    if checkpoint.draws != DRAWS:
        log.warning(
            "%s was written by a version that seeded each step in another way: augmentations and dropout continue with "
            "other random numbers. To repeat the run exactly, continue with that version, or start a new run.",
            checkpoint.path,
        )


def refuse_other_weights(method: L.LightningModule, start: Checkpoint) -> None:
    """Compare a checkpoint with the model that continues from it.

    Raises:
        ConfigError: The architectures differ.
    """
    try:
        compare(method.state_dict(), start.weights)
    except ValueError as error:
        raise ConfigError(
            f"{start.path} does not fit the model ({error}). Use the code and settings of that run, or start a "
            "new one with another name=... and without resume."
        ) from error


def steps_left(start: Resumed, max_steps: int) -> bool:
    """True if steps remain to be trained; reports it if not.

    Raises:
        ConfigError: The checkpoint has more steps than requested.
    """
    path, step, _ = start
    if step < max_steps or max_steps < 0:
        return True
    if step > max_steps:
        raise ConfigError(
            f"{path} has {step} steps, more than trainer.max_steps={max_steps}. Set a larger number of steps to "
            "continue, or start a new run with another name=..."
        )
    log.info(
        "%s has all %d steps, so there is nothing left to train. Set a larger trainer.max_steps to continue.",
        path,
        step,
    )
    return False


def _may_change(key: str) -> bool:
    return key in _KEYS or key.startswith(_GROUPS) or key.rsplit(".", 1)[-1] in _ENDINGS
