"""Weights & Biases that works without an account."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger


def wandb_logger(save_dir: str | Path, **kwargs: Any) -> WandbLogger:
    """A W&B logger: online when logged in, else offline under ``save_dir``/wandb. ``WANDB_MODE`` overrides this.

    Args:
        save_dir: Folder of the run.
        **kwargs: Of ``wandb.init``: project, group, job_type, name, tags ...
    """
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False, verify=False) else "offline")
    logger = WandbLogger(save_dir=str(save_dir), mode=mode, settings=wandb.Settings(silent=True), **kwargs)
    logger._wandb_init.pop("anonymous", None)  # Lightning passes it on and W&B warns that it has no effect
    return logger
