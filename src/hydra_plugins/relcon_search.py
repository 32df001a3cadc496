"""Hydra takes sweepers from this namespace alone. Every command imports it, so what it needs is imported late."""

from __future__ import annotations

from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class OptunaSearch(Sweeper):
    """Lets Optuna choose the values of each job (extra ``optuna``); see :mod:`relcon_lightning.cli.search`.

    Args:
        trials: Number of jobs, including those of an earlier start of the search.
        parallel: Number of jobs that are started together, for ``+cluster=slurm``.
        seed: Seed of the sampler.
        study: File of the search; the same command continues from it.
    """

    def __init__(self, trials: int, parallel: int, seed: int, study: str) -> None:
        self.trials, self.parallel, self.seed, self.study = trials, parallel, seed, study
        self.config: DictConfig | None = None

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take the launcher of the sweep."""
        self.config, self.hydra_context = config, hydra_context
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Run the jobs, in groups of ``parallel``."""
        from relcon_lightning.cli.search import search

        assert self.config is not None and self.launcher is not None and self.hydra_context is not None  # noqa: PT018
        search(self, arguments, self.config, self.launcher, self.hydra_context.config_loader)
