"""Weights & Biases that works without an account."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only


def wandb_logger(save_dir: str | Path, resume: str | None = None, **kwargs: Any) -> WandbLogger:
    """A W&B logger: online when logged in, else offline under ``save_dir``/wandb. ``WANDB_MODE`` overrides this.

    Args:
        save_dir: Folder of the run.
        resume: If not None, the W&B run that was begun in this folder goes on.
        **kwargs: Of ``wandb.init``: project, group, job_type, name, tags ...
    """
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    begun = Path(save_dir) / "wandb_id"
    if resume and begun.exists():
        kwargs |= {"id": begun.read_text("utf-8").strip(), "resume": "allow"}
    else:
        kwargs["id"] = uuid.uuid4().hex[:8]
        rank_zero_only(begun.write_text)(kwargs["id"] + "\n", "utf-8")
    mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False, verify=False) else "offline")
    logger = WandbLogger(save_dir=str(save_dir), mode=mode, settings=wandb.Settings(silent=True), **kwargs)
    logger._wandb_init.pop("anonymous", None)  # Lightning passes it on and W&B warns that it has no effect
    return logger
