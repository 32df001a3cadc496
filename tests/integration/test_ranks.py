"""Two processes that train one run, and what ends it."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import pandas as pd
import pytest
import torch

from tests.integration.commands import TINY, run
from tests.integration.stopping import STOPPED

NOW = "+callbacks.stop._target_=tests.integration.stopping."
DDP = ["model=distance", "trainer=ddp_cpu", *TINY, "trainer.max_steps=8", "trainer.val_check_interval=3"]
FAR_FROM_HANGING_S = 60
FAILED = (1, -signal.SIGKILL)  # by itself, or by Lightning's observer, which looks every 5 s whether a child has failed


def ended(folder, *arguments, code):
    """What a run said that one rank ended, soon after."""
    output = run(folder, "relcon-pretrain", *DDP, *arguments, code=code)
    assert time.time() - (folder / STOPPED).stat().st_mtime < FAR_FROM_HANGING_S, output
    return output


def test_two_ranks_share_one_run(folder):
    run(folder, "relcon-pretrain", *DDP, "name=ddp")
    made = folder / "runs" / "watch" / "distance" / "ddp"
    assert (made / "checkpoints" / "last.ckpt").exists()
    assert len(list((made / "wandb").glob("offline-run-*"))) == 1
    assert len(list((made / "csv").glob("metrics*.csv"))) == 1
    assert [path.name for path in made.glob("run*.json")] == ["run.json"]
    best = torch.load(made / "checkpoints" / "best.ckpt", weights_only=True)
    validated = pd.read_csv(made / "csv" / "metrics.csv").dropna(subset="val/average_precision")
    highest = validated["val/average_precision"].max()
    chosen = best["relcon_lightning"]["chosen"]
    assert chosen == {"metric": "val/average_precision", "value": pytest.approx(highest, abs=1e-6)}
    at = validated["step"][validated["val/average_precision"] == highest] + 1
    assert best["global_step"] in at.tolist()


def test_a_sweep_over_several_devices_is_refused(folder):
    output = run(folder, "relcon-pretrain", "-m", *DDP, "seed=7,8", code=2)
    assert "torchrun" in output


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_raises_ends_the_run_with_its_cause(folder, rank):
    output = ended(
        folder,
        f"name=raises{rank}",
        f"{NOW}FailAt",
        "+callbacks.stop.step=4",
        f"+callbacks.stop.rank={rank}",
        code=FAILED,
    )
    assert "this rank broke" in output


@pytest.mark.parametrize(("rank", "code"), [(0, -signal.SIGKILL), (1, FAILED)])
def test_a_rank_that_dies_ends_the_run(folder, rank, code):
    stop = [f"{NOW}SignalAt", "+callbacks.stop.step=4", f"+callbacks.stop.rank={rank}"]
    output = ended(folder, f"name=dies{rank}", *stop, code=code)
    assert "by peer" in output  # what the other one saw


@pytest.mark.parametrize("rank", [0, 1])
def test_ranks_asked_to_end_save_the_same_step_and_go_on(folder, rank):
    stop = [f"{NOW}SignalAt", "+callbacks.stop.step=4", "+callbacks.stop.name=SIGTERM", f"+callbacks.stop.rank={rank}"]
    ended(folder, f"name=asked{rank}", *stop, code=75)
    path = folder / "runs" / "watch" / "distance" / f"asked{rank}" / "checkpoints" / "last.ckpt"
    assert torch.load(path, weights_only=True)["global_step"] == 5
    run(folder, "relcon-pretrain", *DDP, f"name=asked{rank}", "resume=auto")
    steps = pd.read_csv(path.parents[1] / "csv" / "metrics.csv").dropna(subset="train/loss")["step"]
    assert steps.tolist() == list(range(8))


def named(output):
    """The rank that is said not to answer; its process must have been ended."""
    rank, process = re.search(r"[Rr]ank (\d) \(process (\d+) on ", " ".join(output.split())).groups()
    stat = Path("/proc", process, "stat")
    assert not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z"
    return int(rank)


@pytest.mark.parametrize(("rank", "code"), [(0, -signal.SIGKILL), (1, 2)])
def test_a_stopped_rank_ends_the_run_and_is_named(folder, rank, code):
    stop = [f"{NOW}SignalAt", "+callbacks.stop.name=SIGSTOP", "+callbacks.stop.step=4", f"+callbacks.stop.rank={rank}"]
    output = ended(folder, f"name=stopped{rank}", *stop, "callbacks.ranks.timeout_s=6", code=code)
    assert named(output) == rank
    assert "did not answer for 6 s. Continue with resume=auto." in " ".join(output.split())
    assert "Traceback" not in output
