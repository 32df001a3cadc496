"""A Weights & Biases logger that also works without an account."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from os.path import relpath
from pathlib import Path
from typing import Any

import requests
import wandb
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.utilities import rank_zero_only

log = logging.getLogger(__name__)

_PROBE_S = 5.0  # seconds to wait for a server; W&B itself waits for minutes
_START_S = 8.0  # seconds until a server that stopped answering is given up
_END_S = 60.0  # seconds to upload the rest at the end of a run


class GuardedWandbLogger(WandbLogger):
    """Lightning's WandbLogger, but training goes on without W&B if its process ends or its connection is lost."""

    lost: str | None = None  # why nothing is logged any more

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Log values, unless W&B was lost."""
        if self.lost is None:
            try:
                super().log_metrics(metrics, step)
            except Exception as error:  # no error of W&B may end the training
                self.lost = _first_line(error)


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
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # error reports to a failing server fail visibly
    settings = wandb.Settings(
        silent=True,
        init_timeout=_START_S,
        x_graphql_timeout_seconds=_START_S,
        finish_timeout=_END_S,
        finish_timeout_raises=True,
    )
    server = wandb.setup(settings).settings.base_url  # before the login, which contacts the server
    mode = os.environ.get("WANDB_MODE") or ("online" if _has_key() else "offline")
    fault = _fault(server) if mode in ("online", "run") else None
    if fault:
        _say_offline(f"{server} {fault}", Path(save_dir))
        mode = "offline"
    logger = GuardedWandbLogger(save_dir=str(save_dir), mode=mode, settings=settings, **kwargs)
    # Lightning always passes it, and W&B warns that it has no effect. No argument leaves it out.
    logger._wandb_init.pop("anonymous", None)
    return logger


def begin(logger: WandbLogger) -> None:
    """Start the W&B run; offline if the server refuses the key, or stops answering.

    Args:
        logger: Logger made by :func:`wandb_logger`.
    """
    try:
        _ = logger.experiment
    except wandb.Error as error:
        _say_offline(_first_line(error), Path(str(logger.save_dir)))
        wandb.teardown()
        logger._wandb_init["mode"] = "offline"  # the trainer has this logger, and Lightning cannot change its mode
        _ = logger.experiment


def finish(loggers: Iterable[Any] = ()) -> None:
    """End the W&B run, if there is one. If not all of it was uploaded, one line tells how to do so later.

    Args:
        loggers: Loggers of the run.
    """
    if wandb.run is None:
        return
    folder, online = Path(wandb.run.settings.sync_dir), not wandb.run.offline
    lost = next((logger.lost for logger in loggers if isinstance(logger, GuardedWandbLogger) and logger.lost), None)
    try:
        wandb.finish()
    except TimeoutError:
        lost = lost or (f"the server did not accept everything within {_END_S:g} s" if online else None)
    except Exception as error:  # W&B's process or connection failed; the training is saved
        lost = lost or _first_line(error)
    if lost:
        log.warning(
            "W&B: %s. The log is on this machine; upload it later with: wandb sync %s",
            *(lost, relpath(folder)),
        )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _has_key() -> bool:
    """True if an API key is set in the environment or in the netrc file. Does not contact a server."""
    return bool(wandb.login(prompt=False, verify=False))


def _fault(address: str) -> str | None:
    """Why the server cannot be reached; None if it answers, even with a refusal."""
    try:
        status = requests.post(f"{address}/graphql", json={"query": "{ __typename }"}, timeout=_PROBE_S).status_code
    except requests.RequestException:
        return "does not answer"
    busy = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS
    return f"answers with {status} {HTTPStatus(status).phrase}" if busy else None


@rank_zero_only
def _say_offline(why: str, folder: Path) -> None:
    log.warning(
        "W&B: %s. This run is logged offline; upload it later with: wandb sync %s/wandb/offline-run-*", why, folder
    )
