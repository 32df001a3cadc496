"""The encoder that comes with the package."""

from __future__ import annotations

import socket
from pathlib import Path

import numpy as np
import pytest
import torch

from relcon_lightning import embed_recording, load_encoder
from relcon_lightning.data.pseudonyms import unseen_participants
from relcon_lightning.data.splits import Split, refuse_leakage
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY
from relcon_lightning.runs.checkpoint_paths import located, shipped
from relcon_lightning.runs.compare import find_checkpoints, group

NAME = "open-wrist-small"
SPLIT = Path(__file__).parents[2] / "experiments" / "open_wrist" / "split.json"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def walk(rate, seconds=40.0):
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([0.4 * np.sin(2 * np.pi * 1.8 * t), 0.2 * np.cos(2 * np.pi * 3.6 * t), 1 + 0 * t], axis=1)


def test_it_is_small_and_loads_by_its_name_from_anywhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    [folder] = shipped().values()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 2 * 2**20
    encoder = load_encoder(NAME)
    assert encoder(torch.zeros(2, 3, 128)).shape == (2, 640)
    assert not encoder.training
    assert Checkpoint.read(NAME).sampling_rate == 50
    (tmp_path / NAME).mkdir()  # what lies there comes first
    assert located(NAME) == Path(NAME)
    with pytest.raises(ConfigError, match="There is no checkpoint"):
        load_encoder(NAME)


def test_a_recording_at_50_or_100_hz_gets_nearly_the_same_embeddings():
    (starts, half), (same, whole) = (embed_recording(NAME, walk(rate), rate) for rate in (50, 100))
    np.testing.assert_array_equal(starts, same)
    [still] = embed_recording(NAME, np.tile([0.0, 0.0, 1.0], (200, 1)), 50)[1][:1]
    apart = np.linalg.norm(half - whole, axis=1)
    assert apart.max() < 0.1 * np.linalg.norm(half - still, axis=1).min()


def test_it_keeps_its_name_beside_own_runs(tmp_path):
    own = {"seed": 1, "model": {"name": "relcon", "method": {"encoder": {"_target_": "x"}}}}
    torch.save({KEY: {"format": FORMAT, "version": "0", "config": own}, "state_dict": {}}, tmp_path / "own.ckpt")
    assert [one.name for one in group(find_checkpoints([str(tmp_path / "own.ckpt"), NAME]))] == ["relcon", NAME]


def test_whom_it_was_trained_on_is_known():
    [people] = Checkpoint.read(NAME).participants
    split = Split.load(SPLIT)
    assert unseen_participants(split.test, **people) == sorted(split.test)
    assert unseen_participants(["dsa-p1", "watch-01"], **people) == ["dsa-p1", "watch-01"]
    for person in (split.train[0], split.validation[0]):
        with pytest.raises(DataError, match="used to pre-train"):
            refuse_leakage([person], **people)


def test_commands_take_its_name():
    [found] = find_checkpoints(NAME)
    assert Path(found.path) == shipped()[NAME]


def test_its_card_names_data_licences_and_limits():
    card = (shipped()[NAME] / "README.md").read_text("utf-8")
    for words in ("license: apache-2.0", "CC BY 4.0", "MIT", "Weiss", "Iqbal", "Matey-Sanz", "Wang", "10000", "Limits"):
        assert words in card
