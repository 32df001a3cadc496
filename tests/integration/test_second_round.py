"""RelCon that ranks by the embedding of an earlier run."""

from __future__ import annotations

from dataclasses import replace

import torch

from relcon_lightning.data import CohortStore
from relcon_lightning.runs.checkpoint import Checkpoint
from tests.conftest import INFO, recordings
from tests.integration.commands import TINY, fork

FIRST = "model.distance_checkpoint=runs/watch/relcon/seed0"


def test_the_embedding_of_a_run_ranks_the_candidates_of_the_next(folder):
    fork(folder, "relcon-pretrain", "ranking=embedding", FIRST, "name=second", *TINY)
    first, second = (Checkpoint.read(folder / "runs" / "watch" / "relcon" / name) for name in ("seed0", "second"))
    frozen = {name: w for name, w in second.weights.items() if name.startswith("distance.encoder.")}
    assert frozen
    for name, weight in frozen.items():
        assert torch.equal(weight, first.weights[name.removeprefix("distance.")])
    assert [(part.role, part.config["seed"]) for part in second.built_from] == [("distance", 0)]
    assert all(people in second.participants for people in first.participants)


def test_a_checkpoint_without_an_encoder_is_refused(folder):
    wrong = "model.distance_checkpoint=runs/watch/distance/seed0"
    output = fork(folder, "relcon-pretrain", "ranking=embedding", wrong, "name=none", *TINY, code=2)
    assert "contains no encoder: it is a run with model=distance" in " ".join(output.split())


def test_a_distance_of_another_sampling_rate_is_refused(folder):
    CohortStore.write(
        folder / "data" / "slow",
        recordings({f"p{i}": [2000] * 4 for i in range(10)}, rate=50),
        replace(INFO, sampling_rate=50),
    )
    slow = ["data.name=slow", "data.sampling_rate=50", "data.window_s=5.12"]
    for ranking, run in (("embedding", "relcon"), ("motif", "distance")):
        asked = [f"ranking={ranking}", f"model.distance_checkpoint=runs/watch/{run}/seed0", "name=other", *slow]
        output = " ".join(fork(folder, "relcon-pretrain", *asked, *TINY, code=2).split())
        assert f"runs/watch/{run}/seed0 was trained at 100 Hz, but the windows have data.sampling_rate=50" in output
        assert not (folder / "runs" / "slow" / "relcon" / "other" / "checkpoints").exists()
