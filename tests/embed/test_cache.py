"""Embeddings are computed once for an encoder and windows."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import relcon_lightning.embed.cache as cache_module
from relcon_lightning.embed.cache import embed_cached
from relcon_lightning.embed.windows import embed_windows, estimate_normalisation
from relcon_lightning.nets import small_resnet_1d

WINDOWS = np.random.default_rng(0).standard_normal((6, 3, 64)).astype(np.float32)


@pytest.fixture
def computed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows were embedded, call by call."""
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "cache"))
    calls: list[int] = []

    def counted(encoder: nn.Module, signal: np.ndarray, **options: object) -> np.ndarray:
        calls.append(len(signal))
        return embed_windows(encoder, signal, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(cache_module, "embed_windows", counted)
    return calls


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return small_resnet_1d().eval()


def test_what_was_computed_once_is_read(computed):
    expected = embed_windows(net(), WINDOWS)
    for _ in range(3):
        np.testing.assert_array_equal(embed_cached(net(), WINDOWS), expected)
    assert computed == [6]


def test_all_that_the_embeddings_depend_on_is_compared(computed):
    changed = net()
    with torch.no_grad():
        next(changed.parameters()).view(-1)[0] += 1e-3
    other = WINDOWS.copy()
    other[0, 0, 0] += 1e-3
    adapted = net()
    estimate_normalisation(adapted, WINDOWS)
    for _ in range(2):
        np.testing.assert_array_equal(embed_cached(net(), WINDOWS), embed_windows(net(), WINDOWS))
        np.testing.assert_array_equal(embed_cached(changed, WINDOWS), embed_windows(changed, WINDOWS))
        np.testing.assert_array_equal(embed_cached(net(), other), embed_windows(net(), other))
        np.testing.assert_array_equal(
            embed_cached(net(), WINDOWS, adapt=estimate_normalisation), embed_windows(adapted, WINDOWS)
        )
        np.testing.assert_array_equal(embed_cached(net(), WINDOWS[:4]), embed_windows(net(), WINDOWS[:4]))
    assert len(computed) == 5


class Strange(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.factor * x.mean(-1)


def test_of_a_net_of_somebody_else_nothing_is_kept(computed):
    for encoder in (Strange(1.0), Strange(2.0), nn.Sequential(net(), nn.Identity())):
        np.testing.assert_array_equal(embed_cached(encoder, WINDOWS), embed_windows(encoder, WINDOWS))
        embed_cached(encoder, WINDOWS)
    assert len(computed) == 6


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY", None])
def test_a_damaged_file_is_computed_anew(computed, tmp_path, damage):
    expected = embed_cached(net(), WINDOWS)
    [file] = (tmp_path / "cache" / "embeddings").iterdir()
    if damage is None:
        np.save(file, expected[:3])
    else:
        file.write_bytes(damage)
    np.testing.assert_array_equal(embed_cached(net(), WINDOWS), expected)
    assert computed == [6, 6]


def test_the_oldest_go_when_there_is_no_room(computed, tmp_path, monkeypatch):
    size = embed_windows(net(), WINDOWS).nbytes + 128
    monkeypatch.setattr(cache_module, "ROOM_BYTES", 2 * size)
    for seed in (0, 1, 0, 2, 0, 1):
        embed_cached(net(seed), WINDOWS)
        time.sleep(0.02)  # the clock of files is coarse
    assert len(computed) == 4  # seed 1 was used the longest ago when seed 2 came
    assert len(list((tmp_path / "cache" / "embeddings").iterdir())) == 2


def test_without_a_folder_to_write_to_all_is_computed(computed, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("RELCON_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        np.testing.assert_array_equal(embed_cached(net(), WINDOWS), embed_windows(net(), WINDOWS))
    assert computed == [6, 6]
