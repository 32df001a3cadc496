"""Checkpoints of every format there has been are read, and give the embeddings they gave then."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from relcon_lightning import Embedder, load_encoder
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.checkpoint_format import FORMAT, KEY, upgraded

FORMATS = Path(__file__).parent / "formats"  # a run's checkpoint and an exported folder of each, never written anew


def test_there_is_a_sample_of_each_format():
    assert {int(path.name) for path in FORMATS.iterdir()} == set(range(1, FORMAT + 1))


@pytest.mark.parametrize("name", ["run.ckpt", "exported"])
@pytest.mark.parametrize("made", range(1, FORMAT + 1))
def test_an_old_checkpoint_is_what_it_was(made, name):
    path = FORMATS / str(made) / name
    t = torch.arange(128) / 50
    window = torch.stack([torch.sin(9 * t), 0.3 * torch.cos(4 * t), 1 + 0 * t])[None]
    expected = np.loadtxt(FORMATS / str(made) / "embedding.txt", ndmin=2)
    np.testing.assert_allclose(load_encoder(path)(window).detach().numpy(), expected, atol=1e-5)
    checkpoint = Checkpoint.read(path)
    assert checkpoint.format == FORMAT
    assert [len(people["hashes"]) for people in checkpoint.participants] == [2]
    assert checkpoint.cohort["license"] == "CC0"  # these files say licence
    embedder = Embedder.load(path, device="cpu", precision="float32")
    assert (embedder.sampling_rate, embedder.window_s) == (50, 2.56)


def test_the_license_is_renamed_wherever_it_is_described():
    config = {"model": {"name": "simclr", "method": {}}, "data": {"archive": {"licence": "MIT", "size": "1 GB"}}}
    part = {"role": "distance", "config": config, "weights": "", "participants": []}
    entry = {"format": FORMAT, "config": config, "data": {"licence": "MIT"}, "built_from": [part]}
    read = upgraded({KEY: entry}, "run.ckpt")[KEY]
    for found in (read["config"]["data"]["archive"], read["data"], read["built_from"][0]["config"]["data"]["archive"]):
        assert found["license"] == "MIT"
        assert "licence" not in found
    assert "licence" in entry["data"]  # what was read is not changed
