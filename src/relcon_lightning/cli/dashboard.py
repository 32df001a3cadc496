"""``relcon-dashboard``: a W&B workspace that compares methods."""

from __future__ import annotations

import logging
import os
from os.path import relpath
from pathlib import Path

import wandb
from omegaconf import DictConfig

from relcon_lightning.reporting.dashboard import build, plan

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Plan the workspace from the runs on disk, and build it when W&B is online."""
    dashboard = plan([config.paths.runs, config.paths.reports], config.project, config.name)
    path = Path(relpath(config.folder)) / "dashboard.json"
    dashboard.save(path)
    if _offline():
        log.info("W&B is offline. Log in (wandb login) and upload the runs (wandb sync) to build this workspace:")
        for line in dashboard.describe():
            log.info("%s", line)
    else:
        workspace = build(dashboard, str(config.entity or wandb.Api().default_entity))
        workspace.save()
        log.info("Workspace: %s", workspace.url)
    log.info("Plan: %s", path)


def _offline() -> bool:
    mode = os.environ.get("WANDB_MODE", "")
    return mode in ("offline", "disabled", "dryrun") or not wandb.login(prompt=False, verify=False)
