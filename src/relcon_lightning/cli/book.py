"""What a table of the paper needs: its runs, evaluations and folders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from os.path import relpath
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

import relcon_lightning
from relcon_lightning.cli.app import config_folder, plain
from relcon_lightning.cli.presets import with_preset
from relcon_lightning.data.splits import checked_seeds
from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.tables import cost
from relcon_lightning.reporting.tables.plan import RUNS, Judgement, Page, trainings
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_paths import LAST
from relcon_lightning.training.continuation import refuse_another_run

OF_DATA = ("data=", "data.", "paths.")  # options of relcon-prepare
_PUBLIC = {"gait": ("ipol_gait", "ipol_gait"), "workout": ("dsa", "dsa")}
_SIMULATED = {"gait": ("simulated", "gait_simulated"), "workout": ("simulated", "workout_simulated")}
_OF_EVALUATION = ("paths.", "data.root=", "data.verify=", "logger=", "logger.")  # options of both commands


@dataclass(frozen=True)
class Training:
    """A run that a table needs.

    Attributes:
        name: Name in :data:`~relcon_lightning.reporting.tables.plan.RUNS`.
        seed: Seed of the run.
        folder: Folder of the run.
        arguments: Arguments for ``relcon-pretrain``.
        settings: Resolved configuration.
        step: Number of completed steps.
    """

    name: str
    seed: int
    folder: Path
    arguments: tuple[str, ...]
    settings: dict[str, Any]
    step: int

    @property
    def steps(self) -> int:
        """Number of requested steps."""
        return int(self.settings["trainer"]["max_steps"])

    @property
    def done(self) -> bool:
        """True if no steps are left to train."""
        return self.step == self.steps


class Book:
    """Runs, evaluations and folders of a table.

    Args:
        config: Configuration of the command.
        page: Table or figure to write.

    Attributes:
        options: Options of ``relcon-pretrain`` for all runs.
        data: Options of ``relcon-prepare`` among them.
        base: Resolved configuration that all runs share.
        runs: Folder of the runs.
        evaluations: Folder of the evaluations.
        folder: Folder of the page.
    """

    def __init__(self, config: DictConfig, page: Page) -> None:
        self.config, self.page = config, page
        self.options = [str(word) for word in OmegaConf.to_container(config.pretrain, resolve=False)]  # type: ignore[union-attr]
        self.options += [f"paths.{key}={value}" for key, value in config.paths.items()]
        self.data = [word for word in self.options if word.startswith(OF_DATA)]
        self.seeds = checked_seeds(config.seeds)
        self.base = _composed("pretrain", [*self.options, "run_dir=."])
        if self.base["trainer"].get("num_nodes", 1) > 1:
            raise ConfigError(
                "relcon-table starts its runs on one machine. On several nodes, start each run with torchrun (see "
                "docs/tables.md). relcon-table then uses these runs."
            )
        self.runs = Path(self.base["paths"]["runs"], self.base["data"]["name"])
        reports = Path(self.base["paths"]["reports"], self.base["data"]["name"])
        self.evaluations = reports / "tables"
        self.folder = Path(config.folder) if config.folder else reports / str(config.table)

    @cached_property
    def trainings(self) -> list[Training]:
        """The runs in the order in which they are trained.

        Raises:
            ConfigError: The options cannot be composed, or a folder contains a run with other settings.
        """
        return [self._training(name, seed) for name, seed in trainings(self.page.runs, self.seeds)]

    def _training(self, name: str, seed: int) -> Training:
        run = RUNS[name]
        folder = self.runs / run.folder / f"seed{seed}"
        words = [*run.overrides, *self.options, f"seed={seed}", f"folder={folder}"]
        if run.distance is not None:
            words.append(f"model.distance_checkpoint={self.runs / RUNS[run.distance].folder / f'seed{seed}'}")
        settings = _composed("pretrain", [*words, f"run_dir={folder}"])
        step = _steps(folder, settings, [word.partition("=")[0].lstrip("+~") for word in words])
        return Training(name, seed, folder, (*searched(), *words, "resume=auto"), settings, step)

    def evaluation(self, judgement: Judgement, part: str) -> tuple[Path, list[str], dict[str, Any]]:
        """Folder, arguments and settings of an evaluation."""
        task, same = judgement.overrides, False
        if not task:
            own = self.config[part]
            default = (_SIMULATED if self.base["data"]["name"] == "simulated" else _PUBLIC)[part]
            data = own.data or default[0]
            task = (f"data={data}", f"task={own.task or (default[1] if own.data is None else own.data)}")
            same = next((word for word in self.options if word.startswith("data=")), "data=watch") == f"data={data}"
        shared = [
            word for word in self.options if word.startswith(_OF_EVALUATION) or (same and word.startswith("data."))
        ]
        folder = self.evaluations / judgement.name
        checkpoints = [
            str(self.runs / RUNS[name].folder / f"seed{seed}") for name in judgement.systems for seed in self.seeds
        ]
        words = [
            *(*task, "bootstrap=false", "overwrite=true", *shared),
            *(f"data.sampling_rate={self.base['data']['sampling_rate']}", f"seeds={self.seeds}".replace(" ", "")),
            *(f"folder={folder}", f"checkpoint=[{','.join(checkpoints)}]"),
            *(str(word) for word in self.config.evaluate),
        ]
        return folder, words, _composed("eval", [*words, f"run_dir={folder}"])

    def facts(self) -> dict[str, object]:
        """Facts that a reader of the page needs, as a mapping from name to value."""
        trainer, data = self.base["trainer"], self.base["data"]
        steps = sorted({one.steps for one in self.trainings})
        made_up = " (SIMULATED people)" if str(data["source"]["_target_"]).endswith("SimulatedCohort") else ""
        return {
            "Pre-trained on": f"{data['name']}{made_up}, seeds {', '.join(map(str, self.seeds))}",
            "Budget": f"{' or '.join(f'{n:,}' for n in steps)} steps of {data['batch_size']} anchors per device, "
            f"devices: {cost.processes(self.base)} {trainer['accelerator']}, encoder "
            f"{str(self.base['encoder']['_target_']).rsplit('.', 1)[-1]}, rate {data['sampling_rate']:g} Hz",
        }


def experiments_folder() -> Path:
    """The ``experiments`` folder: in the installed package, or at the top of the checkout of an editable install."""
    package = Path(relcon_lightning.__file__).parent
    folders = [package / "experiments", package.parents[1] / "experiments"]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def _composed(entry: str, words: Sequence[str]) -> dict[str, Any]:
    """Compose and resolve the configuration of another command.

    Raises:
        ConfigError: The configuration cannot be composed.
    """
    search = f"hydra.searchpath=[file://{experiments_folder()}]"
    try:
        words = with_preset(config_folder(), words) if entry == "pretrain" else words
        return plain(compose(entry, [search, *words]))
    except HydraException as error:
        raise ConfigError(f"The options cannot be composed: {error}") from error


def searched() -> tuple[str, str]:
    """Arguments with which another command finds the configurations of the experiments."""
    return ("--config-dir", str(experiments_folder()))


def _steps(folder: Path, settings: dict[str, Any], given: Sequence[str]) -> int:
    """Number of completed steps of the run in a folder.

    Raises:
        ConfigError: The run has other settings, or more steps than requested.
    """
    if not (folder / LAST).exists():
        return 0
    made = Checkpoint.read(relpath(folder / LAST))
    refuse_another_run(made, settings, given, made.fingerprint or "", made.ranks or 1)
    step = made.step or 0
    if step > settings["trainer"]["max_steps"]:
        raise ConfigError(
            f"{folder} has {step} steps, more than trainer.max_steps={settings['trainer']['max_steps']}: set "
            f"trainer.max_steps={step}, or choose another folder with paths.runs=..."
        )
    return step
