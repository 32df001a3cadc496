"""``relcon-eval``: judge a trained encoder with a probe, beside two floors."""

from __future__ import annotations

import logging
from functools import partial
from os.path import relpath
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig

from relcon_lightning.checkpoint import fresh_encoder, load_encoder, provenance
from relcon_lightning.cli.app import command, plain
from relcon_lightning.data.splits import refuse_leakage, unseen_participants
from relcon_lightning.data.store import CohortStore
from relcon_lightning.downstream import evaluate, labelled_windows, print_report, write_report
from relcon_lightning.downstream.evaluate import (
    handcrafted_system,
    normalised_random_system,
    random_system,
    trained_system,
)
from relcon_lightning.errors import ConfigError

log = logging.getLogger(__name__)


@command("eval")
def main(config: DictConfig) -> None:
    """Evaluate, print the tables and write the report."""
    origin = provenance(config.checkpoint)
    trained = origin["config"]
    if config.data.sampling_rate != trained["data"]["sampling_rate"]:
        raise ConfigError(
            f"The encoder was trained at {trained['data']['sampling_rate']} Hz, "
            f"data.sampling_rate is {config.data.sampling_rate}."
        )
    store = CohortStore.open(config.data.datamodule.store)
    store.check_rate(config.data.sampling_rate)
    participants = _unseen(config.task.participants, store, origin["participants"])
    splits = list(instantiate(config.task.folds)(participants))
    window, stride = (round(seconds * store.sampling_rate) for seconds in (config.task.window_s, config.task.stride_s))
    probe = partial(instantiate, config.probe)
    systems = [
        trained_system(trained["model"]["name"], load_encoder(config.checkpoint), probe),
        random_system(partial(fresh_encoder, config.checkpoint), probe),
        normalised_random_system(partial(fresh_encoder, config.checkpoint), probe),
        handcrafted_system(store.sampling_rate),
    ]
    result = evaluate(systems, labelled_windows(store, window, stride, participants), splits, list(config.seeds))
    print_report(result, config.task.title)
    folder = Path(relpath(config.run_dir))
    for i, split in enumerate(splits):
        split.save(folder / "splits" / f"{i}.json")
    facts = {
        "Checkpoint": config.checkpoint,
        "Trained": f"{trained['trainer']['max_steps']} steps on {trained['data']['name']}, seed {trained['seed']}",
        "Version": origin["version"],
        "Data": f"{store.info.name}: {store.info.citation}",
        "Probe": f"{config.probe['_target_'].rsplit('.', 1)[-1]}, {len(config.seeds)} seeds: {list(config.seeds)}",
        "Participants": f"{', '.join(participants)}: none of them was pre-trained on",
        "Folds": f"{len(splits)}; in each, a probe is fitted on some of them and tested on others",
    }
    page = write_report(result, config.task.title, facts, folder)
    _log(config, result.scores)
    log.info("Report: %s and %s", page, page.with_suffix(".md"))


def _unseen(asked: list[str] | None, store: CohortStore, trained_on: dict[str, Any]) -> list[str]:
    """The participants to evaluate on: those asked for, or all that the encoder was not trained on."""
    if asked is not None:
        refuse_leakage(asked, **trained_on)
        return list(asked)
    everybody = store.participants["participant_id"].tolist()
    unseen = unseen_participants(everybody, **trained_on)
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
