"""Fixtures and small cohorts that tests share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from jaxtyping import install_import_hook

with install_import_hook(
    ["relcon_lightning.losses", "relcon_lightning.methods.sphere", "relcon_lightning.downstream.metrics"],
    "beartype.beartype",
):  # check the shapes of each call
    import relcon_lightning.downstream.metrics
    import relcon_lightning.losses
    import relcon_lightning.methods.sphere  # noqa: F401

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from tests import margins

# A slow machine must not fail a test. In CI, examples are deterministic, so that failures can be reproduced.
settings.register_profile("relcon", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("relcon")

INFO = CohortInfo("toy", 100.0, "wrist", "made by the tests", "none", "none")
MakeStore = Callable[..., CohortStore]


@pytest.hookimpl(tryfirst=True)  # before -m selects tests
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests of whole commands and run them first, because other processes wait for slow tests at the end."""
    for item in items:
        if "integration" in item.path.parts:
            item.add_marker("integration")
        if "training_seed" in getattr(item, "fixturenames", ()):
            item.add_marker("margins")
    items.sort(key=lambda item: item.get_closest_marker("integration") is None)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Use a temporary cache folder instead of the user's, also in commands that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RELCON_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_threads_for_shared_fixtures() -> None:
    """Use one thread in module fixtures too, which are created before the fixtures of each test."""
    torch.set_num_threads(int(os.environ.get(margins.THREADS, "1")))


@pytest.fixture(autouse=True)
def _few_threads() -> Iterator[None]:
    """Small tensors are faster, and results the same everywhere, on one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(int(os.environ.get(margins.THREADS, "1")))
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def training_seed() -> int:
    """Seed of tests that train and then compare a number; see tests/margins.py."""
    return margins.seed()


def recordings(
    samples: dict[str, list[int]], rate: float = 100.0, seed: int = 0, labels: tuple[str, ...] = ("walk", "row")
) -> list[Recording]:
    """One recording per length for each participant; labels alternate and differ in frequency."""
    rng = np.random.default_rng(seed)
    made = []
    for participant, lengths in samples.items():
        for i, n in enumerate(lengths):
            label = labels[i % len(labels)]
            t = np.arange(n) / rate
            wave = np.sin(2 * np.pi * (1 + labels.index(label)) * t + rng.uniform(0, 6))
            signal = np.stack([wave, 0.3 * wave**2, np.ones(n)], 1) + 0.05 * rng.standard_normal((n, 3))
            segment = Segment(0.0, n / rate, label)
            made.append(Recording(f"{participant}-{i}", participant, signal.astype(np.float32), rate, (segment,)))
    return made


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Write a store from ``{participant: [samples of each recording]}``."""

    def make(samples: dict[str, list[int]], name: str = "toy", **options: object) -> CohortStore:
        return CohortStore.write(tmp_path / name, recordings(samples, **options), INFO)  # type: ignore[arg-type]

    return make


@pytest.fixture
def toy_store(make_store: MakeStore) -> CohortStore:
    """Eight participants with four recordings of 20 s each."""
    return make_store({f"p{i}": [2000] * 4 for i in range(8)})
