"""Shared code of the commands: the folder of the configuration, and errors without a traceback."""

from __future__ import annotations

import errno
import logging
import os
import re
import select
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationToMissingValueError, MissingMandatoryValue

import relcon_lightning
from relcon_lightning.cli import early, signals, sweep, usage
from relcon_lightning.cli.choices import check_flags, checked, hide_parts
from relcon_lightning.cli.completion import for_the_others
from relcon_lightning.cli.early import Check
from relcon_lightning.cli.launch import job, launch
from relcon_lightning.cli.order import options_first
from relcon_lightning.cli.quoting import quoted
from relcon_lightning.cli.suggest import suggestions
from relcon_lightning.cli.values import check_finite, check_types
from relcon_lightning.errors import (
    INTERRUPTED,
    MISTAKE,
    NO_ROOM,
    PREEMPTED,
    ConfigError,
    DataError,
    Interrupted,
    Preempted,
    TrainingError,
)

log = logging.getLogger(__name__)

_CLOSED = 141  # exit code of a program whose output was closed: 128 + SIGPIPE
COMPOSITION = 1  # exit code of Hydra, for example if a configuration cannot be composed

_NO_PERMISSION = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_PLACE = (errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ENAMETOOLONG)
_UNUSED = {"pretrain": ("data.source",), "prepare": ("data.datamodule",)}  # objects that a command does not create
_OF_LIGHTNING = "MisconfigurationException"  # for example, a GPU that does not exist


def tenth(steps: int) -> int:
    """A tenth of the steps of a run, for ``${tenth:...}`` in the configuration; 1000 for a run without an end."""
    return max(1, steps // 10) if isinstance(steps, int) and steps > 0 else 1000


def samples(seconds: float, rate: float) -> int:
    """Number of samples in a window, for ``${samples:...}`` in the configuration."""
    return round(seconds * rate)


OmegaConf.register_new_resolver("tenth", tenth, replace=True)
OmegaConf.register_new_resolver("samples", samples, replace=True)


def config_folder() -> str:
    """The ``conf`` folder: inside the installed package, or at the top of the checkout of an editable install."""
    package = Path(relcon_lightning.__file__).parent
    folders = [package / "conf", package.parents[1] / "conf"]
    return str(next((folder for folder in folders if folder.is_dir()), folders[0]))


class Command:
    """A command that composes ``conf/<entry>.yaml`` and passes it to ``main`` of a module of this package.

    The module is imported late, so that help, completion and errors of the composition do not wait for torch.

    Args:
        entry: Name of the entry file.
        module: Name of the module; None: the name of the entry file.
        expand: Function that completes the arguments of the command line.
        again: Sentence that says how to continue after the command was stopped.
        check: Function that checks the values before the module is imported; None: no check.
    """

    def __init__(
        self,
        entry: str,
        module: str | None = None,
        expand: Callable[[list[str]], list[str]] | None = None,
        again: str = "Start it again with the same command.",
        check: Check | None = None,
    ) -> None:
        self._entry, self._path = entry, f"relcon_lightning.cli.{module or entry}"
        self._expand, self._again, self._check = expand, again, check
        self._jobs = sweep.Sweep()

    def __call__(self) -> None:
        """Run the command with the arguments of the process, and exit with its code."""
        usage.register(config_folder())
        hide_parts()
        sweep.register()
        with _mistakes_told():
            sys.argv[1:] = self._arguments(sys.argv[1:])  # Lightning starts the other ranks with these too
        signals.end_on_sigterm(PREEMPTED, f"Stopped by a signal. {self._again}")
        try:
            with _mistakes_told():
                launch(self._composed())
            for line in for_the_others(sys.argv[1:]):
                print(line)
        except KeyboardInterrupt:
            print(f"Interrupted. {self._again}", file=sys.stderr)
            self._jobs.tell()
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # the reader of the output has closed it, as in ``--help | head``
            if not _output_closed():
                raise
            sys.exit(_CLOSED)
        except SystemExit as end:
            self._jobs.tell()
            if end.code == COMPOSITION:
                for meant in suggestions(config_folder(), self._entry, sys.argv[1:]):
                    print(f"Did you mean {meant}?", file=sys.stderr)
            raise
        self._jobs.tell()
        if self._jobs.any_failed():
            sys.exit(MISTAKE)

    def _arguments(self, given: list[str]) -> list[str]:
        """Arguments in the form in which Hydra reads them."""
        words = quoted(given)
        return options_first(checked(config_folder(), words if self._expand is None else self._expand(words)))

    def _composed(self) -> Callable[[], None]:
        """Hydra's application, which composes the configuration of each job and runs it."""

        def run(config: DictConfig) -> float | None:
            return self._job(config)

        run.__module__ = self._path  # Hydra names the job and its log after the module
        start: Callable[[], None] = hydra.main(
            config_path=config_folder(), config_name=self._entry, version_base="1.3"
        )(run)
        return start

    def _job(self, config: DictConfig) -> float | None:
        """Run one job. In a sweep in this process, a failed job does not end the others."""
        jobs = self._jobs
        jobs.objective = str(config.get("objective") or "")
        jobs.direction = config.get("objective_direction")
        if not sweep.in_this_process():
            with job(), _mistakes_told():
                return self._work(config)
        try:
            with job(), _mistakes_told(jobs.failed):
                jobs.ended(self._work(config))
        except (KeyboardInterrupt, SystemExit):
            jobs.stopped()
            raise
        except Exception as error:  # an unexpected error; the other jobs still run
            log.exception("The job ended with an error:")
            jobs.failed(error)
        return jobs.jobs[-1].value

    def _work(self, config: DictConfig) -> float | None:
        with early.without_traces():
            check_flags(config_folder(), self._entry, config)
            check_finite(config)
            if self._check is not None:
                self._check(config)
            main = import_module(self._path).main
            check_types(config, _UNUSED.get(self._entry, ("data.datamodule", "data.source")))
            quiet()  # after the import, because Lightning then sets the levels of its loggers
            value: float | None = main(config)
            return value


@contextmanager
def _mistakes_told(tell: Callable[[Exception], None] | None = None) -> Iterator[None]:
    """Report errors that the user can fix in one line instead of a traceback.

    Args:
        tell: Function that receives the error; None: :func:`stop`, which ends the command.
    """

    def told(error: Exception) -> None:
        if tell is None:
            stop(error)
        log.error("%s", error)
        tell(error)

    try:
        yield
    except (ConfigError, DataError, TrainingError) as error:
        told(error)
    except Interrupted as error:
        stop(error, INTERRUPTED)
    except Preempted as error:
        # If another rank ends with an error code, Lightning kills the first rank, which is still cleaning up.
        stop(error, PREEMPTED if error.first_rank else 0)
    except OSError as error:
        if error.errno not in NO_ROOM + _NO_PERMISSION + _NO_PLACE or (error.errno in _NO_PLACE and not error.filename):
            raise
        ways = {**dict.fromkeys(NO_ROOM, "Make room on the disk, or choose"), **dict.fromkeys(_NO_PLACE, "Choose")}
        place = f"{error.filename}: " if error.filename else ""
        way_on = ways.get(error.errno, "Change its permissions, or choose")
        told(ConfigError(f"{place}{error.strerror}. {way_on} another folder."))
    except (MissingMandatoryValue, InterpolationToMissingValueError) as error:
        key = str(error).split("Missing mandatory value: ")[-1].split()[0]
        told(ConfigError(f"{key} must be given: add {key}=... to the command (see --help)."))
    except InstantiationException as error:  # Hydra wraps the error of a constructor
        cause = error.__cause__
        if isinstance(cause, ConfigError | DataError) or type(cause).__name__ == _OF_LIGHTNING:
            hint = " Set trainer=cpu where there is no GPU." if "backend" in str(cause) or "GPU" in str(cause) else ""
            told(ConfigError(f"{cause}{hint}"))
        elif isinstance(cause, TypeError | ValueError | OverflowError):
            where = re.search(r"full_key: (\S+)", str(error))
            told(ConfigError(f"{where[1] if where else 'A setting'} cannot be used: {str(cause).splitlines()[0]}."))
        else:
            raise


def _output_closed() -> bool:
    """Whether the standard output is a closed pipe. It is then replaced, or Python would report it again at exit."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    if not any(event & select.POLLERR for _, event in output.poll(0)):
        return False
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def quiet() -> None:
    """Silence messages of libraries, except warnings that concern the user."""
    for name in ("lightning.pytorch", "lightning.fabric", "httpx", "httpx2"):  # httpx: client of the Hub
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # inside Lightning
        ".*does not have many workers",  # a batch is one read of a memory-mapped file
        "Found .* module\\(s\\) in eval mode",  # RelCon's frozen distance
        "The number of training batches .* is smaller than the logging interval",
        ".*exists and is not empty",  # a run that overwrite=true replaces or resume= continues
        "Grad strides do not match bucket view strides",  # of kernels with one sample
        "You're resuming from a checkpoint that ended before the epoch ended",  # batches depend on the step alone
    ):
        warnings.filterwarnings("ignore", message)


def stop(error: Exception, code: int = MISTAKE) -> NoReturn:
    """End the command with a message instead of a traceback."""
    log.error("%s", error)
    sys.exit(code)


def plain(config: DictConfig) -> dict[str, Any]:
    """The resolved configuration as plain Python, which a checkpoint can contain with ``weights_only=True``."""
    content = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}
