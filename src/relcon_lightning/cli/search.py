"""Search over values with Optuna, which proposes the values of each job and gets the objective that the job returns."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from relcon_lightning.errors import ConfigError
from relcon_lightning.training.objective import direction_of
from relcon_lightning.wording import counted

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

_SPACE = "space"  # attribute of a study: the searched space, so that another search cannot continue it
_NOT_OF_THE_SPACE = ("resume=", "overwrite=", "hydra.")


class Options(Protocol):
    """Options of a search, see :class:`hydra_plugins.relcon_search.OptunaSearch`."""

    trials: int
    parallel: int
    seed: int
    study: str


def search(
    options: Options, arguments: Sequence[str], config: DictConfig, launcher: Launcher, loader: ConfigLoader
) -> None:
    """Run jobs until the study has all its trials, and log the best values.

    Args:
        options: Options of the search, such as the number of jobs and the file of the study.
        arguments: Overrides; those with several values or an interval are searched.
        config: Configuration of the sweep, without the searched values.
        launcher: Hydra launcher that starts the jobs.
        loader: Hydra loader that finds the choices of a group, for ``glob(*)``.

    Raises:
        ConfigError: Nothing is searched, the direction of the objective is not known, or the study belongs to another
            search.
    """
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(list(arguments))
    space = {word.get_key_element(): distribution(word) for word in parsed if word.is_sweep_override()}
    fixed = [str(word.input_line) for word in parsed if not word.is_sweep_override()]
    if not space:
        raise ConfigError("+search=optuna finds nothing to search: give a key several values or an interval.")
    if options.trials < 1 or options.parallel < 1:
        raise ConfigError("hydra.sweeper.trials and hydra.sweeper.parallel: expected 1 or more.")
    study = _opened(options, _direction(config, space), sorted(w for w in arguments if _is_of_space(w)))
    stopped = _stopped(study, space)
    while (wanted := min(options.parallel, options.trials - _done(study))) > 0:
        trials = stopped[:wanted] or _asked(study, space, wanted)
        stopped = stopped[wanted:]
        if trials:
            words = [[*fixed, *(f"{key}={value}" for key, value in trial.params.items())] for trial in trials]
            for trial, job in zip(trials, launcher.launch(words, initial_job_idx=trials[0].number), strict=True):
                _tell(study, trial, _value(job))
    _report(study, str(config.objective))


def distribution(word: Override) -> BaseDistribution:
    """Distribution of the values of an override. Intervals and ranges are ordered, other values are categories.

    ``interval(0.1, 1)`` contains real numbers, ``int(interval(1, 9))`` whole numbers; ``tag(log, ...)`` makes either
    logarithmic.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    sweep = word.value()
    try:
        if isinstance(sweep, IntervalSweep):
            assert sweep.start is not None and sweep.end is not None  # noqa: PT018, guaranteed by the grammar
            logarithmic = "log" in sweep.tags
            if isinstance(sweep.start, int) and isinstance(sweep.end, int):
                return IntDistribution(sweep.start, sweep.end, log=logarithmic)
            return FloatDistribution(sweep.start, sweep.end, log=logarithmic)
        values = list(word.sweep_string_iterator())
        if isinstance(sweep, RangeSweep) and len(values) > 1 and isinstance(sweep.start, int):
            whole = [int(value) for value in values if value.lstrip("-").isdigit()]
            if len(whole) == len(values) and whole[1] > whole[0]:
                return IntDistribution(whole[0], whole[-1], step=whole[1] - whole[0])
        return CategoricalDistribution(values)
    except ValueError as error:
        raise ConfigError(f"{word.input_line}: {error}") from error


def _direction(config: DictConfig, space: dict[str, Any]) -> str:
    if "model" in space and "objectives" in config and config.get("objective") not in (None, ""):
        names = {str(name) for name in config.objectives}
        if names & set(getattr(space["model"], "choices", ())):
            raise ConfigError("The searched models have different objectives: set objective=val/... for all of them.")
    objective = str(config.get("objective") or "")
    direction = config.get("objective_direction") or direction_of(objective)
    if direction is None:
        raise ConfigError(
            f"objective={objective or 'null'} has no known direction: set objective_direction=minimize or maximize."
        )
    return str(direction)


def _is_of_space(word: str) -> bool:
    return not word.lstrip("+~").startswith(_NOT_OF_THE_SPACE)


def _opened(options: Options, direction: str, space: list[str]) -> Study:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = Path(options.study)
    path.parent.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=optuna.storages.JournalStorage(JournalFileBackend(str(path))),
        study_name="search",
        direction=direction,
        load_if_exists=True,
    )
    known = study.user_attrs.get(_SPACE)
    if known is None:
        study.set_user_attr(_SPACE, space)
    elif known != space or study.direction.name.lower() != direction:
        raise ConfigError(
            f"{path} belongs to another search ({' '.join(known)}): choose another folder with hydra.sweep.dir=..., or "
            "remove the file."
        )
    # Without a new seed, a restarted sampler would propose the same values again.
    study.sampler = optuna.samplers.TPESampler(seed=options.seed + len(study.trials))
    return study


def _stopped(study: Study, space: dict[str, BaseDistribution]) -> list[Trial | FrozenTrial]:
    """Trials whose jobs were stopped; they run again with the same values."""
    from optuna.trial import TrialState

    running = study.get_trials(states=(TrialState.RUNNING,))
    for trial in running:
        if trial.params.keys() != space.keys():  # stopped before it got its values
            study.tell(trial.number, state=TrialState.FAIL)
    return [trial for trial in running if trial.params.keys() == space.keys()]


def _done(study: Study) -> int:
    return sum(trial.state.is_finished() for trial in study.trials)


def _asked(study: Study, space: dict[str, BaseDistribution], count: int) -> list[Trial | FrozenTrial]:
    """New trials, without those whose values were tried before: their results are known."""
    trials: list[Trial | FrozenTrial] = []
    for _ in range(count):
        trial = study.ask(space)
        known = _same(study, trial)
        if known is not None:
            study.tell(trial, known.value)
        else:
            trials.append(trial)
    return trials


def _same(study: Study, trial: Trial) -> FrozenTrial | None:
    from optuna.trial import TrialState

    finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return next((other for other in finished if other.params == trial.params), None)


def _value(job: JobReturn) -> float | None:
    """The objective of a job; None if it failed, or if its value is not a finite number."""
    try:
        value = float(job.return_value)
    except Exception as error:  # a job on another machine can raise any error
        log.warning("%s: %s", " ".join(job.overrides or []), error)
        return None
    return value if math.isfinite(value) else None


def _tell(study: Study, trial: Trial | FrozenTrial, value: float | None) -> None:
    from optuna.trial import TrialState

    if value is None:
        study.tell(trial.number, state=TrialState.FAIL)
    else:
        study.tell(trial.number, value)


def _report(study: Study, objective: str) -> None:
    from optuna.trial import TrialState

    finished = study.get_trials(states=(TrialState.COMPLETE,))
    if not finished:
        raise ConfigError(f"None of the {_done(study)} jobs of the search returned {objective}.")
    best = study.best_trial
    values = " ".join(f"{key}={value}" for key, value in best.params.items())
    log.info("Best of %s of the search: %s %.4f with %s", counted(_done(study), "job"), objective, best.value, values)
