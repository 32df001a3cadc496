"""What is said about a cohort is what is in it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from relcon_lightning.data import CohortInfo, CohortStore, Recording, Segment
from relcon_lightning.data.inspect import inspect
from relcon_lightning.reporting import cohort as inspect_plot
from relcon_lightning.reporting.cohort import overview

INFO = CohortInfo("toy", 50.0, "wrist", "here", "CC0", "none")


def recording(name: str, person: str, signal: np.ndarray, start: float | None = None, label: str | None = None):
    segments = () if label is None else (Segment(0, len(signal) / 50, label),)
    return Recording(name, person, signal.astype(np.float32), 50.0, segments, start)


def still(seconds: float, norm: float = 1.0) -> np.ndarray:
    return np.tile([0.0, 0.6 * norm, 0.8 * norm], (round(seconds * 50), 1))


def moving(seconds: float) -> np.ndarray:
    t = np.arange(round(seconds * 50)) / 50
    return still(seconds) * (1 + 0.5 * np.sin(6 * t))[:, None]


@pytest.fixture
def store(tmp_path):
    recordings = [
        recording("a1", "a", still(36), start=1000.0, label="rest"),
        recording("a2", "a", moving(36), start=1000.0 + 36 + 90, label="walk"),
        recording("b1", "b", moving(72), label="walk"),
        recording("c1", "c", moving(0.5)),
    ]
    return CohortStore.write(tmp_path / "toy", recordings, INFO)


def test_hours_labels_and_gaps_are_those_of_the_tables(store):
    found = inspect(store)
    assert found.hours.to_dict() == pytest.approx({"a": 0.02, "b": 0.02, "c": 0.5 / 3600})
    assert found.labels.loc["walk"].to_dict() == pytest.approx({"hours": 0.03, "participants": 2})
    assert list(found.labels.index) == ["walk", "rest"]
    np.testing.assert_allclose(found.gaps_s, [90.0])


def test_the_norm_at_rest_is_that_of_still_windows_alone(store):
    found = inspect(store, windows=4000)
    np.testing.assert_allclose(found.still_norm, 1.0, atol=1e-6)
    assert found.still_share == pytest.approx(0.25, abs=0.04)  # a quarter of the time; windows never span recordings
    assert found.clipped_share == 0


def test_a_sensor_at_its_limit_is_seen(tmp_path):
    signal = np.clip(still(60) * 1.0 + 3 * np.sin(np.arange(3000) / 9)[:, None], -2, 2)
    found = inspect(CohortStore.write(tmp_path / "toy", [recording("a", "a", signal)], INFO))
    assert found.clipped_share == 1
    assert len(found.still_norm) == 0


def test_examples_are_pieces_of_recordings(store):
    found = inspect(store, examples=9)
    assert set(found.examples) == {"a1", "a2", "b1", "c1"}
    assert found.examples["b1"].shape == (3, 500)
    assert found.examples["c1"].shape == (3, 25)


def test_a_picture_is_drawn_also_of_a_cohort_without_labels_or_long_recordings(tmp_path, store):
    assert overview(inspect(store), 50.0).startswith(b"\x89PNG")
    short = CohortStore.write(tmp_path / "short", [recording("a", "a", moving(1))], INFO)
    found = inspect(short)
    assert np.isnan(found.still_share)
    assert overview(found, 50.0).startswith(b"\x89PNG")


def test_hours_begin_at_0_and_a_cohort_that_never_rests_says_so(store, monkeypatch):
    monkeypatch.setattr(inspect_plot, "png", lambda figure, dpi: figure)
    found = replace(inspect(store), hours=pd.Series([2.0, 2.0]))
    figure, still = cast(Any, overview(found, 50.0)), cast(Any, overview(replace(found, still_norm=np.empty(0)), 50.0))
    assert figure.subfigs[0].axes[0].get_xlim()[0] == 0
    assert all(bar.get_x() > -1e-9 for bar in figure.subfigs[0].axes[0].patches)
    rest = still.subfigs[0].axes[2]
    assert [text.get_text() for text in rest.texts] == ["no still windows:\nthe unit cannot be checked at rest"]
    assert not rest.patches
