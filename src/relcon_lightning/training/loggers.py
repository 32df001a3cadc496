"""A Weights & Biases logger that also works without an account."""

from __future__ import annotations

import logging
import os
import uuid
from pathlib import Path
from typing import Any

import requests
import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

log = logging.getLogger(__name__)

_PROBE_S = 5.0  # seconds to wait for a server; W&B itself waits for minutes
_START_S = 8.0  # until a server that answered first and then fell silent is given up


def wandb_logger(save_dir: str | Path, resume: str | None = None, **kwargs: Any) -> WandbLogger:
    """Create a W&B logger: online if logged in and the server answers, otherwise offline in ``save_dir``/wandb.

    ``WANDB_MODE`` overrides the check of the login. If the server does not answer, the run is always logged offline.

    Args:
        save_dir: Folder of the run.
        resume: If not None, continue the W&B run that was started in this folder.
        **kwargs: Arguments of ``wandb.init``: project, group, job_type, name, tags ...
    """
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    begun = Path(save_dir) / "wandb_id"
    if resume and begun.exists():
        kwargs |= {"id": begun.read_text("utf-8").strip(), "resume": "allow"}
    else:
        kwargs["id"] = uuid.uuid4().hex[:8]
        rank_zero_only(begun.write_text)(kwargs["id"] + "\n", "utf-8")
    settings = wandb.Settings(silent=True, init_timeout=_START_S, x_graphql_timeout_seconds=_START_S, finish_timeout=60)
    mode = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
    server = wandb.setup().settings.base_url
    if mode in ("online", "run") and not _answers(server):
        _say_offline(f"{server} does not answer", Path(save_dir))
        mode = "offline"
    logger = WandbLogger(save_dir=str(save_dir), mode=mode, settings=settings, **kwargs)
    logger._wandb_init.pop("anonymous", None)  # Lightning passes it on, and W&B warns that it has no effect
    return logger


def begin(logger: WandbLogger) -> None:
    """Start the W&B run; offline if the server refuses the key, or stops answering.

    Args:
        logger: Logger made by :func:`wandb_logger`.
    """
    try:
        _ = logger.experiment
    except wandb.Error as error:
        _say_offline(str(error).splitlines()[0], Path(str(logger.save_dir)))
        wandb.teardown()
        logger._wandb_init["mode"] = "offline"
        _ = logger.experiment


def _has_key() -> bool:
    """True if an API key is set in the environment or in the netrc file. Does not contact a server."""
    return bool(wandb.login(prompt=False, verify=False))


def _answers(address: str) -> bool:
    """True if the server answers, even with an error."""
    try:
        requests.post(f"{address}/graphql", json={"query": "{ __typename }"}, timeout=_PROBE_S)
    except requests.RequestException:
        return False
    return True


@rank_zero_only
def _say_offline(why: str, folder: Path) -> None:
    log.warning(
        "W&B: %s. This run is logged offline; upload it later with: wandb sync %s/wandb/offline-run-*", why, folder
    )
