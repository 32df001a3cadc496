"""Report file-system errors and missing values before a job begins, for which Hydra would print a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from hydra._internal.utils import run_and_report
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from relcon_lightning.errors import ConfigError

_RAISE = "HYDRA_FULL_ERROR"  # with this variable, Hydra raises errors
_begun: list[bool] = []  # one entry per job


def launch(start: Callable[[], None]) -> None:
    """Run the function that ``hydra.main`` returned. Hydra reports all errors other than those below.

    Args:
        start: Function that composes the configuration and runs the jobs, each inside :func:`job`.

    Raises:
        ConfigError: A value is missing before a job begins, or a search (``+search=optuna``) cannot continue.
        OSError: The folder of a run cannot be created or written to.
    """
    if _RAISE in os.environ:
        start()
        return
    try:
        with _variable("1"):
            start()
    except Exception as error:
        if isinstance(error, OSError) and not isinstance(error, HydraException):
            raise
        if isinstance(error, ConfigError):  # raised by a search between its jobs
            raise
        if isinstance(error, OmegaConfBaseException) and not _begun:
            raise ConfigError(f"{str(error).splitlines()[0]}. (--cfg job prints the values.)") from error
        kept = error  # Python deletes ``error`` at the end of this block
        run_and_report(lambda: _raise_again(kept))


@contextmanager
def job() -> Iterator[None]:
    """Restore the user's environment for a job, because its child processes inherit it."""
    _begun.append(True)
    with _variable(None):
        yield


@contextmanager
def _variable(value: str | None) -> Iterator[None]:
    before = os.environ.pop(_RAISE, None)
    if value is not None:
        os.environ[_RAISE] = value
    try:
        yield
    finally:
        os.environ.pop(_RAISE, None)
        if before is not None:
            os.environ[_RAISE] = before


def _raise_again(error: Exception) -> NoReturn:
    """Raise an error with the traceback that Hydra expects, which begins at its own function."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name != run_and_report.__name__:
        trace = trace.tb_next
    raise error.with_traceback(trace)
