"""``relcon-eval``: judge a trained encoder with a probe, beside two floors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from os.path import relpath
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from relcon_lightning.checkpoint import fresh_encoder, load_encoder, seeded
from relcon_lightning.cli.app import command, plain
from relcon_lightning.compare import Trained, find_checkpoints, group
from relcon_lightning.data.splits import refuse_leakage, unseen_participants
from relcon_lightning.data.store import CohortStore
from relcon_lightning.downstream import evaluate, labelled_windows, print_report, write_report
from relcon_lightning.downstream.end_to_end import Nets
from relcon_lightning.downstream.systems import NORMALISED, RANDOM, System, end_to_end, frozen, handcrafted, normalised
from relcon_lightning.errors import ConfigError

log = logging.getLogger(__name__)


@command("eval")
def main(config: DictConfig) -> None:
    """Evaluate, print the tables and write the report."""
    trained = group(find_checkpoints(config.checkpoint))
    origins = [origin for one in trained for origin in one.origins]
    _check_rates(config, origins)
    store = CohortStore.open(config.data.datamodule.store)
    store.check_rate(config.data.sampling_rate)
    participants = _unseen(config.task.participants, store, [origin["participants"] for origin in origins])
    splits = list(instantiate(config.task.folds)(participants))
    window, stride = (round(seconds * store.sampling_rate) for seconds in (config.task.window_s, config.task.stride_s))
    windows = labelled_windows(store, window, stride, participants)
    result = evaluate(_systems(config, trained), windows, splits, list(config.seeds))
    print_report(result, config.task.title)
    folder = Path(relpath(config.run_dir))
    for i, split in enumerate(splits):
        split.save(folder / "splits" / f"{i}.json")
    facts = {
        "Checkpoints": "; ".join(f"{one.name}: {', '.join(one.checkpoints)}" for one in trained),
        "Trained": "; ".join(f"{one.name}: {_training(one.origins[0])}" for one in trained),
        "Version": ", ".join(sorted({origin["version"] for origin in origins})),
        "Data": f"{store.info.name}: {store.info.citation}",
        "Probe": f"{config.probe.title}, {len(config.seeds)} seeds: {list(config.seeds)}",
        "Participants": f"{', '.join(participants)}: none of them was pre-trained on",
        "Folds": f"{len(splits)}; in each, a probe is fitted on some of them and tested on others",
    }
    page = write_report(result, config.task.title, facts, folder)
    _log(config, result.scores)
    log.info("Report: %s and %s", page, page.with_suffix(".md"))


def _systems(config: DictConfig, trained: Sequence[Trained]) -> list[System]:
    """What was trained, the floors with the architecture of the first of them, and the baselines asked for."""
    fresh = partial(fresh_encoder, trained[0].checkpoints[0])
    training = instantiate(config.training)
    baseline = OmegaConf.to_container(config.get("baseline") or OmegaConf.create())
    assert isinstance(baseline, dict)
    if config.probe.frozen:
        probe = partial(instantiate, config.probe.head)
        own = [frozen(one.name, _loader(one.checkpoints), probe, len(one.checkpoints) > 1) for one in trained]
        floors = [frozen(RANDOM, fresh, probe), normalised(NORMALISED, fresh, probe)]
    else:
        own = [end_to_end(f"{one.name}, fine-tuned", _loader(one.checkpoints), training) for one in trained]
        floors = [end_to_end("from scratch", fresh, training)]
    baselines = [end_to_end(str(name), seeded(net), training) for name, net in baseline.items()]
    return [*own, *floors, *baselines, handcrafted(config.data.sampling_rate)]


def _loader(checkpoints: Sequence[str]) -> Nets:
    """Seed k takes the k-th checkpoint, and the first again after the last."""
    return lambda seed: load_encoder(checkpoints[seed % len(checkpoints)])


def _check_rates(config: DictConfig, origins: Sequence[dict[str, Any]]) -> None:
    for rate in {origin["config"]["data"]["sampling_rate"] for origin in origins}:
        if rate != config.data.sampling_rate:
            raise ConfigError(
                f"The encoder was trained at {rate} Hz, data.sampling_rate is {config.data.sampling_rate}."
            )


def _training(origin: dict[str, Any]) -> str:
    config = origin["config"]
    return f"{config['trainer']['max_steps']} steps on {config['data']['name']}, seed {config['seed']}"


def _unseen(asked: list[str] | None, store: CohortStore, trained_on: Sequence[dict[str, Any]]) -> list[str]:
    """The participants to evaluate on: those asked for, or all that no encoder was trained on."""
    if asked is not None:
        for one in trained_on:
            refuse_leakage(asked, **one)
        return list(asked)
    everybody = store.participants["participant_id"].tolist()
    unseen = everybody
    for one in trained_on:
        unseen = unseen_participants(unseen, **one)
    if len(unseen) < len(everybody):
        log.info(
            "%d of %d participants are left out: they were pre-trained on.",
            len(everybody) - len(unseen),
            len(everybody),
        )
    return unseen


def _log(config: DictConfig, scores: pd.DataFrame) -> None:
    """Send the mean scores to the loggers as ``eval/<task>/<level>/<metric>/<system>``."""
    names = scores["level"] + "/" + scores["metric"] + "/" + scores["system"]
    means = scores["value"].groupby(names).mean()
    try:
        for logger in instantiate(config.logger).values():
            logger.log_hyperparams(plain(config))
            logger.log_metrics({f"eval/{config.task.name}/{name}": value for name, value in means.items()}, step=0)
            logger.save()
    finally:
        wandb.finish()


if __name__ == "__main__":
    main()
