"""Ranks that stand still while the others train, in processes that another program has started, as torchrun does."""

from __future__ import annotations

import logging
import os
import signal
import socket

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from relcon_lightning.training.callbacks import RankWatch, rank_watch
from tests.integration.commands import warm
from tests.integration.stopping import HangAt, SignalAt, TermLater

STEP = 2


class Line(L.LightningModule):
    """The smallest method that all ranks train."""

    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, 1)

    def training_step(self, batch, index):
        return self.net(batch).square().mean()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def train(rank, port, folder, timeout_s, stops):
    os.chdir(folder)
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "LOCAL_RANK": rank, "NODE_RANK": 0}
    os.environ.update({name: str(value) for name, value in place.items()})
    signal.signal(signal.SIGTERM, lambda *_: None)  # as a run that first saves
    torch.set_num_threads(1)
    logging.basicConfig(filename=f"{rank}.log", format="%(message)s")
    rank_watch._SOON_S, rank_watch._FOR_THE_FIRST_S = 4.0, 60.0
    options = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    watch = RankWatch(timeout_s)
    trainer = L.Trainer(accelerator="cpu", devices=2, strategy="ddp", max_steps=4, callbacks=[watch, *stops], **options)
    trainer.fit(Line(), DataLoader(torch.ones(64, 2), batch_size=8))


def other(folder, rank, *stops, timeout_s=6.0):
    """Exit code of the rank that does not stand still and what it said, and the process of the one that does."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    ranks = [warm().Process(target=train, args=(one, port, folder, timeout_s, stops)) for one in (0, 1)]
    for process in ranks:
        process.start()
    ranks[1 - rank].join(120)
    code = ranks[1 - rank].exitcode
    for process in ranks:
        process.kill()  # a launcher does so
        process.join()
    return code, (folder / f"{1 - rank}.log").read_text(), ranks[rank]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_stopped_rank_ends_the_run_and_is_named(tmp_path, rank):
    code, said, process = other(tmp_path, rank, SignalAt(STEP, "SIGSTOP", rank))
    where = f"Rank {rank} (process {process.pid} on {socket.gethostname()})"
    assert said == f"{where} did not answer for 6 s. Continue with resume=auto.\n"
    assert code == 2


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_the_others_wait_for_is_named(tmp_path, rank):
    code, said, process = other(tmp_path, rank, HangAt(STEP, rank))
    where = f"Rank {rank} (process {process.pid} on {socket.gethostname()})"
    assert said == f"{where} has been behind the other ranks for 6 s. Continue with resume=auto.\n"
    assert code == 2


def test_a_signal_ends_a_run_that_waits_for_a_stopped_rank(tmp_path):
    stops = SignalAt(STEP, "SIGSTOP", 1), TermLater(STEP, 0)
    code, said, process = other(tmp_path, 1, *stops, timeout_s=1000.0)
    assert said.startswith(f"Stopped by a signal, while rank 1 (process {process.pid} on ")
    assert code == 75


def test_ranks_that_train_to_the_end_say_nothing(tmp_path):
    code, said, _ = other(tmp_path, 1)
    assert (code, said) == (0, "")
