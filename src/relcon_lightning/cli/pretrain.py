"""``relcon-pretrain``: train one method on one cohort."""

from __future__ import annotations

import logging
import os
from os.path import relpath
from pathlib import Path

import lightning as L
import wandb
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from relcon_lightning.callbacks import Provenance
from relcon_lightning.checkpoint import LAST
from relcon_lightning.cli import commands
from relcon_lightning.cli.app import plain
from relcon_lightning.cli.rerun import report_differences
from relcon_lightning.errors import ConfigError
from relcon_lightning.record import make_record, save_record
from relcon_lightning.resume import find_checkpoint, keep_metrics

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Train, and say where the checkpoint and the logs are."""
    settings = plain(config)
    folder = Path(relpath(config.run_dir))
    _refuse_to_overwrite(folder, config.overwrite, config.resume)
    _refuse_parallel_sweep(config)
    start = find_checkpoint(config.resume, (folder / LAST).parent)
    L.seed_everything(config.seed, workers=True, verbose=False)
    datamodule = instantiate(config.data.datamodule)
    datamodule.setup()
    rank_zero_only(datamodule.split.save)(folder / "split.json")
    record = make_record(settings, datamodule.store)
    if config.from_run:
        report_differences(config.from_run, record)
    rank_zero_only(save_record)(record, folder)
    method = instantiate(config.model.method)
    callbacks = [Provenance(settings), *instantiate(config.callbacks).values()]
    loggers = list(instantiate(config.logger).values())
    trainer = instantiate(config.trainer, callbacks=callbacks, logger=loggers, enable_model_summary=False)
    for logger in trainer.loggers:
        if start and isinstance(logger, CSVLogger):
            keep_metrics(logger, step=start[1])
        logger.log_hyperparams(settings)
    if trainer.is_global_zero:
        log.info("%s on %s: %s.", config.model.name, config.data.name, _parameters(method))
    try:
        trainer.fit(method, datamodule, ckpt_path=start and start[0], weights_only=True)
    finally:
        wandb.finish()
    if trainer.is_global_zero:
        log.info("Checkpoint: %s", folder / LAST)
        log.info("Logs:       %s and %s", folder / "csv" / "metrics.csv", folder / "wandb")


def _parameters(method: L.LightningModule) -> str:
    """How many there are to train and, of a frozen distance, how many are not."""
    trained, frozen = (sum(p.numel() for p in method.parameters() if p.requires_grad is own) for own in (True, False))
    return f"{trained:,} parameters to train" + (f", {frozen:,} frozen" if frozen else "")


def _refuse_to_overwrite(folder: Path, overwrite: bool, resume: str | None) -> None:
    if (folder / LAST).exists() and not (overwrite or resume):
        raise ConfigError(
            f"{folder} holds a run. Choose another name=..., go on with it by resume=auto, or replace it with "
            "overwrite=true."
        )


def _refuse_parallel_sweep(config: DictConfig) -> None:
    """Lightning starts the other ranks by repeating the command, ``-m`` included: each would sweep by itself."""
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
