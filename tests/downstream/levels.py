"""Windows of two classes, and systems that tell them apart by their level."""

from __future__ import annotations

import numpy as np

from relcon_lightning.data.splits import Split
from relcon_lightning.downstream import LinearProbe
from relcon_lightning.downstream.systems import System
from relcon_lightning.downstream.windows import LabelledWindows

SPLIT = Split(("a", "b"), ("c",), ("d",))


def windows(seed: int = 0, labels: tuple[str, ...] = ("row", "walk")) -> LabelledWindows:
    """Four people, ten windows a label, told apart by the level of the first axis."""
    rng = np.random.default_rng(seed)
    people = np.repeat(list("abcd"), 10 * len(labels))
    label = np.tile(np.repeat(labels, 10), 4)
    signal = rng.standard_normal((len(label), 3, 32)).astype(np.float32)
    signal[:, 0] += np.searchsorted(labels, label)[:, None]
    return LabelledWindows(signal, label, people, np.char.add(people, label))


def level(name: str, noise: float = 0.0) -> System:
    def features(seed: int, x: np.ndarray) -> np.ndarray:
        return x.mean(-1) + noise * np.random.default_rng(seed).standard_normal((len(x), 3))

    return System(name, features, LinearProbe, 12, seeded=noise > 0)
