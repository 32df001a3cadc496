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
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig

from relcon_lightning.checkpoint import Provenance
from relcon_lightning.cli.app import command, plain
from relcon_lightning.errors import ConfigError

log = logging.getLogger(__name__)


@command("pretrain")
def main(config: DictConfig) -> None:
    """Train, and say where the checkpoint and the logs are."""
    settings = plain(config)
    folder = Path(relpath(config.run_dir))
    _refuse_to_overwrite(folder, config.overwrite, config.resume)
    _refuse_parallel_sweep(config)
    L.seed_everything(config.seed, workers=True, verbose=False)
    datamodule = instantiate(config.data.datamodule)
    datamodule.setup()
    rank_zero_only(datamodule.split.save)(folder / "split.json")
    method = instantiate(config.model.method)
    callbacks = [Provenance(settings), *instantiate(config.callbacks).values()]
    trainer = instantiate(config.trainer, callbacks=callbacks, logger=list(instantiate(config.logger).values()))
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)
    try:
        trainer.fit(method, datamodule, ckpt_path=config.resume, weights_only=True)
    finally:
        wandb.finish()
    if trainer.is_global_zero:
        log.info("Checkpoint: %s", folder / "checkpoints" / "last.ckpt")
        log.info("Logs:       %s and %s", folder / "csv" / "metrics.csv", folder / "wandb")


def _refuse_to_overwrite(folder: Path, overwrite: bool, resume: str | None) -> None:
    if (folder / "checkpoints" / "last.ckpt").exists() and not (overwrite or resume):
        raise ConfigError(f"{folder} holds a finished run. Choose another name=..., or replace it with overwrite=true.")


def _refuse_parallel_sweep(config: DictConfig) -> None:
    """Lightning starts the other ranks by repeating the command, ``-m`` included: each would sweep by itself."""
    devices = config.trainer.get("devices", 1)
    several = devices not in (1, "1", [0]) or config.trainer.get("num_nodes", 1) > 1
    if several and HydraConfig.get().mode == RunMode.MULTIRUN and "TORCHELASTIC_RUN_ID" not in os.environ:
        raise ConfigError(
            "A sweep (-m) cannot train on several devices in one process. Start each job by itself, with torchrun "
            "--nproc-per-node=N -m relcon_lightning.cli.pretrain key=value ..., or sweep through a cluster launcher."
        )


if __name__ == "__main__":
    main()
