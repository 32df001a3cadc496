"""``relcon-pretrain``: train one method on one cohort."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig

from relcon_lightning.checkpoint import Provenance
from relcon_lightning.cli.app import command, plain
from relcon_lightning.errors import ConfigError

log = logging.getLogger(__name__)


@command("pretrain")
def main(config: DictConfig) -> None:
    """Train, and say where the checkpoint and the logs are."""
    settings = plain(config)
    folder = Path(config.run_dir)
    _refuse_to_overwrite(folder, config.overwrite, config.resume)
    L.seed_everything(config.seed, workers=True, verbose=False)
    datamodule = instantiate(config.data.datamodule)
    datamodule.setup()
    datamodule.split.save(folder / "split.json")
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
        log.info("Logs:       %s (metrics.csv), %s", folder, folder / "wandb")


def _refuse_to_overwrite(folder: Path, overwrite: bool, resume: str | None) -> None:
    if (folder / "checkpoints" / "last.ckpt").exists() and not (overwrite or resume):
        raise ConfigError(f"{folder} holds a finished run. Choose another name=..., or replace it with overwrite=true.")


if __name__ == "__main__":
    main()
