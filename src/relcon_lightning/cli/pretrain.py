"""``relcon-pretrain``: train one method on one cohort."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from os.path import relpath
from pathlib import Path
from typing import Any

import lightning as L
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from relcon_lightning.cli import commands
from relcon_lightning.cli.app import plain
from relcon_lightning.cli.rerun import report_differences
from relcon_lightning.data.datamodule import CandidateDataModule
from relcon_lightning.data.splits import few_to_evaluate
from relcon_lightning.errors import ConfigError, Interrupted
from relcon_lightning.lock import LockedError, lock
from relcon_lightning.runs.checkpoint import BuiltFrom, Checkpoint
from relcon_lightning.runs.checkpoint_paths import BEST, LAST, reads_checkpoint, require_distance
from relcon_lightning.runs.record import make_record, save_record
from relcon_lightning.runs.trust import foreign_networks, trust
from relcon_lightning.training.callbacks import BestCheckpoint, FirstStep, LastCheckpoint, LongerSchedule, Provenance
from relcon_lightning.training.continuation import (
    refuse_another_run,
    refuse_other_weights,
    steps_left,
    tell_other_draws,
)
from relcon_lightning.training.loggers import begin, finish
from relcon_lightning.training.objective import check_direction
from relcon_lightning.training.resume import Replaced, Resumed, find_checkpoint, keep_metrics, last_value
from relcon_lightning.training.unread import unread

log = logging.getLogger(__name__)


def main(config: DictConfig) -> float | None:
    """Train, and print where the checkpoint and the logs are.

    Returns:
        The last value of the metric ``objective``; None if it was not logged.
    """
    folder = Path(relpath(config.run_dir))
    trust(config.trust)
    with _alone(folder):
        rank_zero_only(Replaced(folder).restore)()
        return _train(config, folder)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Allow only the ranks of this run to use its folder.

    Raises:
        ConfigError: Another process uses the folder.
    """
    with ExitStack() as stack:
        if not getattr(rank_zero_only, "rank", 0):
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                stack.enter_context(lock(folder))
            except LockedError as error:
                raise ConfigError(
                    f"{folder} is in use: {error.holder} trains there. Wait until it ends, or choose another name=..."
                ) from error
        yield


def _train(config: DictConfig, folder: Path) -> float | None:
    settings = plain(config)
    check_direction(config.objective_direction)
    _refuse_parallel_sweep(config)
    _refuse_unread(config)
    start = find_checkpoint(config.resume, (folder / LAST).parent)
    if start:
        refuse_another_run(start.checkpoint, settings, _given())
    if start and not steps_left(start, config.trainer.max_steps):
        return last_value(folder / "csv" / "metrics.csv", config.objective) if config.objective else None
    L.seed_everything(config.seed, workers=True, verbose=False)
    datamodule = instantiate(config.data.datamodule)
    datamodule.setup()
    _tell_few(datamodule)
    _tell_foreign(settings)
    trainer = _trainer(config, settings, folder, start)
    if start:
        refuse_another_run(start.checkpoint, settings, _given(), datamodule.store.fingerprint(), trainer.world_size)
        rank_zero_only(tell_other_draws)(start.checkpoint)
    method = instantiate(config.model.method)
    if start:
        refuse_other_weights(method, start.checkpoint)
    with _replacing(config, folder, trainer):
        _record(config, settings, folder, datamodule)
        _begin_logs(trainer, settings, start)
        if trainer.is_global_zero:
            log.info("%s on %s: %s.", config.model.name, config.data.name, _parameters(method))
        try:
            with _interruption_told(folder):
                trainer.fit(method, datamodule, ckpt_path=start and start.path, weights_only=True)
        finally:
            finish(trainer.loggers)
    if trainer.is_global_zero:
        _tell_results(folder, trainer)
    return _objective(config, trainer)


@contextmanager
def _replacing(config: DictConfig, folder: Path, trainer: L.Trainer) -> Iterator[None]:
    """With ``overwrite=true``, keep the files of the run before until a step is trained."""
    if not config.overwrite or config.resume or not trainer.is_global_zero:
        yield
        return
    replaced = Replaced(folder)
    trainer.callbacks.append(FirstStep(replaced.remove))  # type: ignore[attr-defined]
    with replaced.aside():
        yield


def _trainer(config: DictConfig, settings: dict[str, Any], folder: Path, start: Resumed | None) -> L.Trainer:
    """The trainer with its loggers and callbacks. The last step is always saved."""
    loggers = _made(config, "logger")
    callbacks = [
        Provenance(settings, _built_from(config, start)),
        *_longer(start, config.trainer.max_steps),
        *(one for one in _made(config, "callbacks") if loggers or not isinstance(one, LearningRateMonitor)),
    ]
    if not any(isinstance(callback, LastCheckpoint) for callback in callbacks):
        callbacks.append(LastCheckpoint((folder / LAST).parent))
    trainer: L.Trainer = instantiate(
        config.trainer, callbacks=callbacks, logger=loggers or False, enable_model_summary=False
    )
    return trainer


def _record(config: DictConfig, settings: dict[str, Any], folder: Path, datamodule: CandidateDataModule) -> None:
    """Write what the run is: its settings, versions, data and split."""
    record = make_record(settings, datamodule.store)
    if config.from_run:
        report_differences(config.from_run, record)
    rank_zero_only(datamodule.split.save)(folder / "split.json")
    rank_zero_only(save_record)(record, folder)


def _begin_logs(trainer: L.Trainer, settings: dict[str, Any], start: Resumed | None) -> None:
    for logger in trainer.loggers:
        if start and isinstance(logger, CSVLogger):
            keep_metrics(logger, step=start.step)
        if isinstance(logger, WandbLogger):
            begin(logger)
        logger.log_hyperparams(settings)


def _objective(config: DictConfig, trainer: L.Trainer) -> float | None:
    """The last value of the objective; None if it was not logged."""
    value = trainer.callback_metrics.get(config.objective) if config.objective else None
    if value is None and config.objective and HydraConfig.get().mode == RunMode.MULTIRUN:
        logged = ", ".join(sorted(name for name in trainer.callback_metrics if name.startswith("val/")))
        log.warning("objective=%s was not logged; these were: %s.", config.objective, logged)
    return None if value is None else float(value)


def _tell_results(folder: Path, trainer: L.Trainer) -> None:
    """Log the paths of the last checkpoint, the best one and the logs."""
    best = next((one for one in trainer.callbacks if isinstance(one, BestCheckpoint)), None)  # type: ignore[attr-defined]
    if best is not None and best.value is not None and best.step == 0:
        log.warning("The best step is the untrained network: no later validation had a better %s.", best.metric)
    log.info("Checkpoint: %s, step %d", folder / LAST, trainer.global_step)
    if best is not None and best.value is not None:
        log.info("Best:       %s, step %d: %s %.4f", folder / BEST, best.step, best.metric, best.value)
    logs = [path for path in (folder / "csv" / "metrics.csv", folder / "wandb") if path.exists()]
    if logs:
        log.info("Logs:       %s", " and ".join(map(str, logs)))


def _made(config: DictConfig, group: str) -> list[Any]:
    """Instantiate the objects of a group. Entries can be null (switched off), and the group can be missing."""
    return [one for one in instantiate(config.get(group) or {}).values() if one is not None]


@contextmanager
def _interruption_told(folder: Path) -> Iterator[None]:
    """Report the saved checkpoint of a training that Ctrl-C ends at once.

    Raises:
        Interrupted: Training was stopped with Ctrl-C.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and not isinstance(end.__context__, KeyboardInterrupt):
            raise  # Lightning ends the process itself at Ctrl-C
        try:
            step = Checkpoint.read(folder / LAST).step
        except ConfigError:
            raise Interrupted("Interrupted before a step was saved. Start again with the same command.") from end
        raise Interrupted(f"Interrupted. {folder / LAST} is from step {step or 0}: continue with resume=auto.") from end


def _tell_foreign(settings: dict[str, Any]) -> None:
    """Log, before training, that loading a network of the user's own package will need ``trust``."""
    method = settings["model"]["method"]
    names = sorted({*foreign_networks(method.get("encoder")), *foreign_networks(method.get("distance"))})
    if names and not getattr(rank_zero_only, "rank", 0):
        packages = ",".join(sorted({name.split(".")[0] for name in names}))
        log.warning(
            "%s is not part of this package: relcon-eval, relcon-embed and relcon-export build it from the checkpoint "
            "only with trust=[%s].",
            *(", ".join(names), packages),
        )


def _tell_few(datamodule: CandidateDataModule) -> None:
    """Warn, before training, if too few people are left for an evaluation; does nothing for cohorts without labels."""
    few = few_to_evaluate(datamodule.split)
    if few and len(datamodule.store.segments) and not getattr(rank_zero_only, "rank", 0):
        log.warning("%s", few)


def _longer(start: Resumed | None, max_steps: int) -> list[LongerSchedule]:
    """Callback for a run that resumes with another number of steps than planned; empty for other runs."""
    planned = None if start is None else start.checkpoint.config["trainer"]["max_steps"]
    return [] if planned in (None, max_steps) else [LongerSchedule(planned)]


def _built_from(config: DictConfig, start: Resumed | None) -> list[BuiltFrom]:
    """The frozen distance and the checkpoint from which this run starts."""
    ranking: Any = config.model.method.get("distance")
    parts = [_distance(ranking, config).described("distance")] if reads_checkpoint(ranking) else []
    if start is not None:
        parts.append(start.checkpoint.described("start"))
    return parts


def _distance(ranking: Any, config: DictConfig) -> Checkpoint:
    """The checkpoint of the frozen distance.

    Raises:
        ConfigError: It was trained at another sampling rate, so it cannot rank these windows.
    """
    found = Checkpoint.read(require_distance(ranking.checkpoint))
    if found.sampling_rate != config.data.sampling_rate:
        raise ConfigError(
            f"The distance in {ranking.checkpoint} was trained at {found.sampling_rate:g} Hz, but the windows have "
            f"data.sampling_rate={config.data.sampling_rate:g}. Prepare a store at {found.sampling_rate:g} Hz, or "
            "train a distance on this one."
        )
    return found


def _refuse_unread(config: DictConfig) -> None:
    """Refuse settings that the method ignores; in a sweep, which may contain several methods, only log them."""
    found = unread(config, _given())
    if found and HydraConfig.get().mode != RunMode.MULTIRUN:
        raise ConfigError(" ".join(found))
    for line in found:
        log.warning("%s", line)


def _given() -> set[str]:
    """Keys on the command line."""
    return {word.lstrip("+~").split("=", 1)[0] for word in HydraConfig.get().overrides.task}


def _parameters(method: L.LightningModule) -> str:
    """Number of parameters to train and, with a frozen distance, of frozen ones."""
    trained, frozen = (sum(p.numel() for p in method.parameters() if p.requires_grad is own) for own in (True, False))
    return f"{trained:,} parameters to train" + (f", {frozen:,} frozen" if frozen else "")


def _refuse_parallel_sweep(config: DictConfig) -> None:
    """Refuse a sweep on several devices: Lightning repeats the command with ``-m`` per rank, and each would sweep."""
    devices = config.trainer.get("devices", 1)
    several = devices not in (1, "1", [0]) or config.trainer.get("num_nodes", 1) > 1
    started_by_rank = {"TORCHELASTIC_RUN_ID", "SLURM_PROCID"} & os.environ.keys()  # torchrun, srun
    if several and HydraConfig.get().mode == RunMode.MULTIRUN and not started_by_rank:
        raise ConfigError(
            "A sweep (-m) cannot train on several devices in one process. Start each job by itself, with torchrun "
            "--nproc-per-node=N -m relcon_lightning.cli.pretrain key=value ..., or sweep with +cluster=slurm."
        )


if __name__ == "__main__":  # python -m, as torchrun starts it
    commands.pretrain()
