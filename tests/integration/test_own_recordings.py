"""From a folder of somebody's files to embeddings and scores, with the commands of the README."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.integration.commands import TINY, fork

PEOPLE = [f"own{i}" for i in range(6)]


@pytest.fixture(scope="module")
def own(folder):
    """Recordings of six people at 50 Hz, half slow and half fast, with a table of labels and one of speeds."""
    root, rows = folder / "own", []
    root.mkdir()
    rng = np.random.default_rng(0)
    for person in PEOPLE:
        for label, pace in (("slow", 0.8), ("fast", 2.5)):
            t = np.arange(2000) / 50
            wave = pace * np.stack([np.sin(2 * np.pi * pace * t), np.cos(4 * np.pi * pace * t), 0 * t], axis=1) / 4
            signal = wave + [0, 0, 1] + 0.02 * rng.standard_normal((len(t), 3))
            name = f"{person}_{label}.csv"
            table = pd.DataFrame({"time": t, "x": signal[:, 0], "y": signal[:, 1], "z": signal[:, 2]})
            table.to_csv(root / name, index=False)
            pace += 0.02 * rng.standard_normal()
            rows.append({"file": name, "participant": person, "label": label, "pace": pace})
    table = pd.DataFrame(rows)
    table[["file", "participant"]].to_csv(root / "recordings.csv", index=False)
    table.assign(start_s=0.0, end_s=40.0)[["file", "start_s", "end_s", "label", "pace"]].to_csv(
        root / "segments.csv", index=False
    )
    fork(folder, "relcon-prepare", "data=folder", "data.raw_dir=own", "data.name=mine", "data.sampling_rate=100")
    return ["data=folder", "data.name=mine", "checkpoint=runs/watch/relcon/seed0", "task=folder"]


def test_labels_are_classified(folder, own):
    output = fork(folder, "relcon-eval", *own, "seeds=[0]", "folder=reports/labels")
    assert "Classification of your labels" in output
    assert (folder / "reports" / "labels" / "report.html").exists()
    scores = pd.read_parquet(folder / "reports" / "labels" / "scores.parquet")
    assert len(scores)
    report = folder / "reports" / "labels" / "report.md"
    assert PEOPLE[0] in report.read_text()
    fork(folder, "relcon-export", "checkpoint=runs/watch/relcon/seed0", "to=own_card", f"results={report}")
    card = (folder / "own_card" / "README.md").read_text()
    assert "### Classification of your labels" in card
    assert not any(person in card for person in PEOPLE)


def test_one_command_judges_a_folder_as_the_store_that_is_made_of_it(folder, own):
    before = set((folder / "data").iterdir())
    words = ["checkpoint=runs/watch/relcon/seed0", "task=folder", "seeds=[0]"]
    fork(folder, "relcon-eval", *words, "task.root=own", "folder=reports/at_once")
    fork(folder, "relcon-eval", *own, "seeds=[0]", "folder=reports/prepared")
    found, expected = (
        pd.read_parquet(folder / "reports" / name / "scores.parquet") for name in ("at_once", "prepared")
    )
    pd.testing.assert_frame_equal(found, expected)
    assert set((folder / "data").iterdir()) == before
    for more, message in (
        (["task.root=ow"], "did you mean 'own'?"),
        (["task.root=own", "data=simulated"], "data=simulated does not read a folder of recordings"),
        (
            ["task.root=own", "task.targets={pase: m/s}"],
            "has no target 'pase' in segments.parquet (did you mean 'pace'?)",
        ),
    ):
        assert message in fork(folder, "relcon-eval", *words, *more, "folder=reports/none", code=2)
    assert set((folder / "data").iterdir()) == before


def test_numbers_are_predicted(folder, own):
    output = fork(folder, "relcon-eval", *own, "task.targets={pace: m/s}", "seeds=[0]", "folder=reports/pace")
    assert "pace, m/s" in output.lower()
    assert (folder / "reports" / "pace" / "report.md").exists()


def test_a_method_trains_on_them(folder, own):
    fork(folder, "relcon-pretrain", "model=simclr", "data=folder", "data.name=mine", *TINY)
    assert (folder / "runs" / "mine" / "simclr" / "seed0" / "checkpoints" / "last.ckpt").exists()
