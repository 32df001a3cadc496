from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.opportunity import Opportunity
from relcon_lightning.downstream import labelled_windows
from relcon_lightning.errors import DataError

NAN = float("nan")
FOLDER = "OpportunityUCIDataset/dataset"


def table(modes: list[tuple[int, float]]) -> np.ndarray:
    """Rows as published: modes of locomotion and their seconds, stamps in whole ms, a resting wrist in milli-g.

    The wrist counts its samples on x; all other sensors are lost or hold what no acceleration is.
    """
    codes = np.concatenate([np.full(round(30 * seconds), code) for code, seconds in modes])
    rows = np.full((len(codes), 250), 7777.0)
    rows[:, 1:22] = NAN
    rows[:, 0] = np.round(np.arange(len(codes)) * 1000 / 30)
    rows[:, 22], rows[:, 23], rows[:, 24] = np.arange(len(codes)), -300, 954
    rows[:, 243] = codes
    rows[:, 244:] = 0
    return rows


def text(rows: np.ndarray) -> str:
    lines = (" ".join("NaN" if np.isnan(v) else str(int(v)) for v in row) for row in rows)
    return "\n".join(lines) + "\n"


def put(root: Path, name: str, content: str) -> Path:
    path = root / FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return root


MORNING = [(0, 1.0), (1, 2.0), (2, 3.0), (4, 2.0), (0, 1.0), (5, 2.0)]


def test_values_units_labels_and_participants(tmp_path: Path) -> None:
    put(tmp_path, "S2-Drill.dat", text(table([(1, 2.0)])))
    put(tmp_path, "S1-ADL2.dat", text(table(MORNING)))
    put(tmp_path, "S1-ADL1.dat", text(table([(0, 2.0)])))
    put(tmp_path, "column_names.txt", "Column: 1 MILLISEC")
    unlabelled, morning, drill = Opportunity(tmp_path).recordings()
    assert [(r.recording_id, r.participant_id) for r in (unlabelled, morning, drill)] == [
        ("opportunity-S1-ADL1", "opportunity-S1"),
        ("opportunity-S1-ADL2", "opportunity-S1"),
        ("opportunity-S2-Drill", "opportunity-S2"),
    ]
    assert unlabelled.segments == ()
    assert morning.sampling_rate == 30
    assert len(morning.signal) == 330
    # A stamp is off by half a millisecond at most, a hundredth of a step.
    np.testing.assert_allclose(morning.signal[:, 0] * 1000, np.arange(330), atol=0.02)
    np.testing.assert_allclose(morning.signal[:, 1:], np.tile([-0.3, 0.954], (330, 1)))
    spans = {s.label: (s.start_s, s.end_s) for s in morning.segments}
    expected = {"stand": (1, 3), "walk": (3, 6), "sit": (6, 8), "lie": (9, 11)}
    assert spans == {label: pytest.approx(span, abs=0.001) for label, span in expected.items()}
    assert [s.label for s in drill.segments] == ["stand"]


def test_samples_lost_on_the_radio_part_the_run(tmp_path: Path) -> None:
    rows = table([(2, 10.0)])
    rows[60:75, 22:25] = NAN  # half a second
    rows[150:240, 22:25] = NAN  # three
    put(tmp_path, "S3-ADL4.dat", text(rows))
    first, second = Opportunity(tmp_path).recordings()
    assert [r.recording_id for r in (first, second)] == ["opportunity-S3-ADL4#1", "opportunity-S3-ADL4#2"]
    assert (len(first.signal), len(second.signal)) == (150, 60)
    np.testing.assert_allclose(second.signal[:, 0] * 1000, np.arange(240, 300), atol=0.02)
    assert [(s.label, s.start_s) for r in (first, second) for s in r.segments] == [("walk", 0), ("walk", 0)]


GOOD = table([(1, 2.0)])
DEAD = GOOD.copy()
DEAD[:, 24] = NAN
SECONDS = GOOD.copy()
SECONDS[:, 0] *= 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "[Ee]mpty"),
        (text(GOOD)[:-20], "250 columns, got"),
        (text(GOOD[:, 1:]), "250 columns, got 249"),
        (text(GOOD).replace("-300", "low", 1), "'low'"),
        (text(table([(3, 2.0)])), r"right wrist: label 3.* is none of 0, 1, 2, 4, 5"),
        (text(DEAD), "right wrist has no sample with all three acceleration axes"),
        (text(SECONDS), "is their unit right"),
        (text(GOOD[:20]), "no 1 s of samples"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    put(tmp_path, "S4-Drill.dat", content)
    with pytest.raises(DataError, match=rf"S4-Drill\.dat.*{message}"):
        list(Opportunity(tmp_path).recordings())


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    for raw_dir in (None, tmp_path / "no", tmp_path):
        with pytest.raises(DataError, match=r"S1-ADL1\.dat.*archive\.ics\.uci\.edu/static/public/226/"):
            Opportunity(raw_dir)


def test_a_truncated_archive_is_named(tmp_path: Path) -> None:
    path = tmp_path / "opportunity+activity+recognition.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{FOLDER}/S1-ADL1.dat", text(GOOD))
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(DataError, match=r"recognition\.zip is damaged"):
        Opportunity(tmp_path)


def test_the_published_archive_becomes_a_store_that_its_task_can_be_run_on(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "opportunity+activity+recognition.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for person in (1, 2, 3, 4):
            archive.writestr(f"{FOLDER}/S{person}-ADL1.dat", text(table([(1, 11.0), (0, 1.0), (5, 21.0)])))
    with initialize_config_dir(config_folder(), version_base="1.3"):
        data = compose("prepare", ["data=opportunity", f"data.raw_dir={tmp_path}"]).data
        task = compose("eval", ["task=opportunity", "checkpoint=x", "run_dir=here"]).task
    store = prepare(instantiate(data.source), tmp_path / "store")
    assert store.sampling_rate == 100
    assert store.recordings["n_samples"].tolist() == pytest.approx([3300] * 4, abs=4)
    windows = labelled_windows(store, round(task.window_s * 100), round(task.stride_s * 100))
    assert windows.label.tolist() == ["stand", "lie", "lie"] * 4
    np.testing.assert_allclose(windows.signal[:, 2, 5:-5], 0.954, atol=1e-3)
    splits = list(instantiate(task.folds)(store.participants["participant_id"].tolist()))
    assert sorted(split.test for split in splits) == [(f"opportunity-S{i}",) for i in (1, 2, 3, 4)]
