"""``relcon-eval``: evaluate a trained encoder with a probe, and compare it with baselines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from os.path import relpath
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.utils import instantiate
from lightning.pytorch.loggers import WandbLogger
from omegaconf import DictConfig

from relcon_lightning.cli.app import plain
from relcon_lightning.cli.systems import check_rates, classifiers, regressors
from relcon_lightning.data.prepare import prepare, summary
from relcon_lightning.data.store.cohort import CohortStore
from relcon_lightning.downstream import (
    Evaluation,
    evaluate,
    evaluate_regression,
    target_windows,
)
from relcon_lightning.downstream.evaluate import Divisions
from relcon_lightning.downstream.protocol import Protocol
from relcon_lightning.errors import ConfigError
from relcon_lightning.reporting.evaluations import SYSTEMS
from relcon_lightning.reporting.replace import make_room, refuse_to_replace
from relcon_lightning.reporting.report import print_report, result_tables, write_report
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.compare import MethodRuns, find_checkpoints, group
from relcon_lightning.runs.trust import trust
from relcon_lightning.training.loggers import finish
from relcon_lightning.wording import counted

log = logging.getLogger(__name__)


def main(config: DictConfig) -> None:
    """Evaluate, print the tables and write the report."""
    trust(config.trust)
    refuse_to_replace(Path(relpath(config.run_dir)), plain(config), config.overwrite)
    trained = group(find_checkpoints(config.checkpoint))
    check_rates(config, trained)
    with _cohort(config) as store:
        _report(config, trained, store)


@contextmanager
def _cohort(config: DictConfig) -> Iterator[CohortStore]:
    """The store of ``data=...``, or a temporary store of the recordings in ``task.root``.

    The temporary store is written each time, because the files may have changed.
    """
    root = config.task.get("root")
    if root is None:
        store = CohortStore.open(config.data.datamodule.store, config.data.verify, config.data.cache_gb)
        store.check_rate(config.data.sampling_rate)
        yield store
        return
    if "raw_dir" not in config.data.source:
        raise ConfigError(f"data={config.data.name} does not read a folder of recordings: leave task.root={root} out.")
    config.data.raw_dir = root
    source = instantiate(config.data.source)
    Path(config.data.root).mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".eval.", dir=config.data.root, ignore_cleanup_errors=True) as folder:
        store = prepare(source, Path(folder) / config.data.name, config.data.sampling_rate)
        log.info("Recordings in %s: %s", root, summary(store))
        yield store


def _report(config: DictConfig, trained: Sequence[MethodRuns], store: CohortStore) -> None:
    checkpoints = [checkpoint for one in trained for checkpoint in one.checkpoints]
    _name_other_data(config, store.info.name)
    protocol = _protocol(config)
    allowed = protocol.participants(store, [people for one in checkpoints for people in one.participants])
    task = _regression if config.task.get("targets") else _classification
    result, folds = task(config, trained, store, protocol, allowed)
    splits = [split for own in folds.values() for split in own] if isinstance(folds, Mapping) else list(folds)
    participants = sorted({name for split in splits for part in asdict(split).values() for name in part})
    title = _title(config)
    print_report(result, title)
    folder = Path(relpath(config.run_dir))
    for i, split in enumerate(splits):
        split.save(folder / "splits" / f"{i}.json")
    facts = {
        "Checkpoints": "; ".join(f"{one.name}: {', '.join(run.name for run in one.checkpoints)}" for one in trained),
        "Trained": "; ".join(f"{one.name}: {_training(one.checkpoints[0])}" for one in trained),
        "Version": ", ".join(sorted({checkpoint.version for checkpoint in checkpoints})),
        "Data": f"{store.info.name}: {store.info.citation}",
        "Probe": f"{config.probe.title}, {counted(len(config.seeds), 'seed')}: {list(config.seeds)}",
        "Participants": f"{', '.join(participants)}: none of them was used for pre-training",
        "Folds": f"{len(splits)}; in each, a probe is fitted on some of them and tested on others"
        + ("; each seed divides the participants again" if config.task.get("redivide") else ""),
        **_spelled_out(config, result.classes),
    }
    make_room(folder, plain(config))
    systems = {one.name: [run.name for run in one.checkpoints] for one in trained}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SYSTEMS).write_text(json.dumps(systems, indent=1) + "\n", "utf-8")
    page = write_report(result, title, facts, folder, _pictures(trained))
    _log(config, result, folder)
    log.info("Report: %s and %s", page, page.with_suffix(".md"))


def _name_other_data(config: DictConfig, found: str) -> None:
    """Warn if the task describes another data set than the store has."""
    described = config.task.get("dataset")
    if described not in (None, found):
        log.warning(
            "The task %r describes %s, but the store holds %s: the report has a title, and perhaps classes and folds, "
            "that do not fit. Choose its own task=, or task=folder for any labels.",
            _title(config),
            described,
            found,
        )


def _title(config: DictConfig) -> str:
    """Title of the task; if it has none, the classes or targets."""
    if config.task.title is not None:
        return str(config.task.title)
    targets = config.task.get("targets")
    return f"Regression of {', '.join(map(str, targets))}" if targets else "Classification of your labels"


def _spelled_out(config: DictConfig, classes: Sequence[str]) -> dict[str, str]:
    """Full names of the class codes, if the task defines them."""
    names = config.task.get("class_names") or {}
    told = [f"{code}: {names[code]}" for code in classes if code in names]
    return {"Classes": "; ".join(told)} if told else {}


def _protocol(config: DictConfig) -> Protocol:
    """The protocol that the task describes."""
    task = config.task
    return Protocol(
        window_s=task.window_s,
        stride_s=task.stride_s,
        overlap=task.get("overlap", 0.0),
        divide=instantiate(task.folds),
        asked=task.participants,
        redivide=task.get("redivide", False),
        stratify=task.get("stratify"),
        position=task.get("position"),
    )


def _classification(
    config: DictConfig, trained: Sequence[MethodRuns], store: CohortStore, protocol: Protocol, allowed: list[str]
) -> tuple[Evaluation, Divisions]:
    lengths, seeds = protocol.lengths(store.sampling_rate), list(config.seeds)
    windows = instantiate(config.windows)(store, *lengths, allowed, config.task.get("classes"))
    folds = protocol.folds(allowed, store, windows.participant.tolist(), seeds)
    systems = classifiers(config, trained)
    return evaluate(systems, windows, folds, seeds, config.bootstrap, config.standardise), folds


def _regression(
    config: DictConfig, trained: Sequence[MethodRuns], store: CohortStore, protocol: Protocol, allowed: list[str]
) -> tuple[Evaluation, Divisions]:
    if config.standardise or not config.windows._target_.endswith(".labelled_windows"):
        raise ConfigError("windows=grid and standardise=true are for tasks with labels: leave them out.")
    units = {str(name): str(unit) for name, unit in config.task.targets.items()}
    lengths, seeds = protocol.lengths(store.sampling_rate), list(config.seeds)
    windows = target_windows(store, *lengths, list(units), allowed)
    folds = protocol.folds(allowed, store, windows.participant.tolist(), seeds)
    systems = regressors(config, trained)
    return evaluate_regression(systems, windows, folds, seeds, units, config.bootstrap), folds


def _pictures(trained: Sequence[MethodRuns]) -> dict[str, tuple[str, bytes]]:
    """Figures in the folder of each method's first run: curves, and examples of the ranking."""
    captions = {
        "curves": "Training of {}",
        "ranking": "Windows ranked by the distance of {}",
        "ranking_embedding": "The same windows ranked by the embedding of {}",
    }
    found = {}
    for i, one in enumerate(trained):
        run = Path(one.checkpoints[0].path)
        run = run if run.is_dir() else run.parents[1]
        for name, caption in captions.items():
            if (run / f"{name}.png").is_file():
                found[f"{name}_{i}"] = (caption.format(one.name), (run / f"{name}.png").read_bytes())
    return found


def _training(checkpoint: Checkpoint) -> str:
    config, chosen = checkpoint.config, checkpoint.chosen
    steps = config["trainer"]["max_steps"] if checkpoint.step is None else checkpoint.step
    told = f"{counted(steps, 'step')} on {config['data']['name']}, seed {config['seed']}"
    return f"{told}, chosen by {chosen.metric} on validation people" if chosen else told


def _place(config: DictConfig) -> tuple[str, str, str]:
    """Names that identify an evaluation within a project."""
    return config.data.name, config.task.name, config.probe.get("name") or config.probe.title


def _log(config: DictConfig, result: Evaluation, folder: Path) -> None:
    """Log mean scores, and to W&B also tables and figures, as ``eval/<data>/<task>/<probe>/...``.

    The rest of the key of a score is ``<level>/<metric>/<system>``.
    """
    scores = result.scores
    part = "/".join(["eval", *(str(name).replace("/", "_") for name in _place(config))])
    names = scores["level"] + "/" + scores["metric"] + "/" + scores["system"].str.replace("/", "_")
    means = scores["value"].groupby(names).mean()
    loggers = [one for one in instantiate(config.get("logger") or {}).values() if one is not None]
    try:
        for logger in loggers:
            logger.log_hyperparams(plain(config))
            logger.log_metrics({f"{part}/{name}": value for name, value in means.items()}, step=0)
            if isinstance(logger, WandbLogger):
                for heading, table in result_tables(result).items():
                    logger.log_table(f"{part}/{heading}", dataframe=table.reset_index(names="system"))
                for picture in sorted(folder.glob("*.png")):
                    logger.log_image(f"{part}/{picture.stem}", [str(picture)])
            logger.save()
    finally:
        finish(loggers)
