from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.readers import raw_files
from relcon_lightning.data.sources.pamap2 import ACTIVITIES, POSITIONS, Pamap2
from relcon_lightning.downstream import labelled_windows
from relcon_lightning.errors import ConfigError, DataError

NAN = float("nan")
Files = dict[str, str]


def table(activities: list[tuple[int, float]], start: float = 8.38) -> np.ndarray:
    """Rows as published: activities and their seconds, a resting sensor that counts its samples on x in m/s^2.

    Each sensor has its own gravity, 9.7 + column / 1000; all columns but those of the accelerations up to 16 g hold
    what no acceleration is. The heart rate is measured each eleventh row.
    """
    codes = np.concatenate([np.full(round(100 * seconds), code) for code, seconds in activities])
    rows = np.full((len(codes), 54), 777.0)
    rows[:, 0] = start + np.arange(len(codes)) / 100
    rows[:, 1] = codes
    rows[:, 2] = np.where(np.arange(len(codes)) % 11, NAN, 104)
    for first in (4, 21, 38):
        rows[:, first] = np.arange(len(codes)) / 1000
        rows[:, first + 1] = -0.5
        rows[:, first + 2] = 9.7 + first / 1000
    return rows


def text(rows: np.ndarray) -> str:
    lines = (" ".join("NaN" if np.isnan(v) else f"{v:.6g}" for v in row) for row in rows)
    return "\n".join(lines) + "\n"


def as_folder(root: Path, files: Files) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def as_zip(root: Path, files: Files) -> Path:
    with zipfile.ZipFile(root / "PAMAP2_Dataset.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return root


def as_published(root: Path, files: Files, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    with zipfile.ZipFile(root / "pamap2+physical+activity+monitoring.zip", "w", compression) as archive:
        archive.writestr("readme.pdf", b"%PDF-1.4")
        archive.writestr("PAMAP2_Dataset.zip", inner.getvalue())
        archive.writestr("__MACOSX/._PAMAP2_Dataset.zip", b"\x00\x05\x16\x07")
    return root


def as_published_stored(root: Path, files: Files) -> Path:
    return as_published(root, files, zipfile.ZIP_STORED)


FOLDER = "PAMAP2_Dataset/Protocol"
LAYOUTS = pytest.mark.parametrize("lay_out", [as_folder, as_zip, as_published, as_published_stored])
DAY = [(0, 1.0), (1, 3.0), (0, 0.5), (17, 2.5), (4, 2.0)]


@LAYOUTS
def test_values_units_labels_and_participants(tmp_path: Path, lay_out: Callable[[Path, Files], Path]) -> None:
    files = {
        f"{FOLDER}/subject102.dat": text(table([(24, 2.0)], start=0.01)),
        f"{FOLDER}/subject101.dat": text(table(DAY)),
        "PAMAP2_Dataset/Optional/subject101.dat": text(table([(9, 2.0)])),
        "PAMAP2_Dataset/subjectInformation.pdf": "%PDF",
    }
    source = Pamap2(lay_out(tmp_path, files))
    day, jumping = source.recordings()
    assert [r.recording_id for r in (day, jumping)] == ["pamap2-101", "pamap2-102"]
    assert [r.participant_id for r in (day, jumping)] == ["pamap2-101", "pamap2-102"]
    assert (day.sampling_rate, source.info.sampling_rate, source.info.position) == (100, 100, "wrist")
    expected = np.stack([np.arange(900) / 1000, np.full(900, -0.5), np.full(900, 9.704)], axis=1) / 9.80665
    np.testing.assert_allclose(day.signal, expected, atol=1e-6)
    assert [(s.label, s.start_s, s.end_s) for s in day.segments] == [
        ("lying", pytest.approx(1), pytest.approx(4)),
        ("ironing", pytest.approx(4.5), pytest.approx(7)),
        ("walking", pytest.approx(7), pytest.approx(9)),
    ]
    assert [(s.label, s.start_s, s.end_s) for s in jumping.segments] == [("rope_jumping", 0, pytest.approx(2))]


@pytest.mark.parametrize(("position", "first"), POSITIONS.items())
def test_each_position_has_its_columns(tmp_path: Path, position: str, first: int) -> None:
    as_folder(tmp_path, {f"{FOLDER}/subject101.dat": text(table([(2, 2.0)]))})
    [recording] = Pamap2(tmp_path, position).recordings()
    np.testing.assert_allclose(recording.signal[:, 2] * 9.80665, 9.7 + first / 1000, atol=1e-6)
    with pytest.raises(ConfigError, match=r"position=hand: expected one of wrist, chest, ankle"):
        Pamap2(tmp_path, "hand")


def test_lost_rows_are_missing_and_a_long_loss_parts_recording_and_activity(tmp_path: Path) -> None:
    rows = table([(4, 10.0), (0, 2.0)])
    rows[150:155, 4] = NAN  # one axis is enough
    rows[400:600, 3:20] = NAN  # the whole sensor
    rows[700:900, 20:37] = NAN  # another sensor
    as_folder(tmp_path, {f"{FOLDER}/subject101.dat": text(rows)})
    first, second = Pamap2(tmp_path).recordings()
    assert [r.recording_id for r in (first, second)] == ["pamap2-101#1", "pamap2-101#2"]
    assert (len(first.signal), len(second.signal)) == (400, 600)
    np.testing.assert_allclose(first.signal[:, 0] * 9.80665, np.arange(400) / 1000, atol=1e-6)
    np.testing.assert_allclose(second.signal[:, 0] * 9.80665, np.arange(600, 1200) / 1000, atol=1e-6)
    assert [(s.label, s.start_s, s.end_s) for s in first.segments] == [("walking", 0, pytest.approx(4))]
    assert [(s.label, s.start_s, s.end_s) for s in second.segments] == [("walking", 0, pytest.approx(4))]
    [bridged] = Pamap2(tmp_path, max_gap_s=3.0).recordings()
    assert [(s.start_s, s.end_s) for s in bridged.segments] == [(0, pytest.approx(10))]


def test_an_activity_whose_samples_are_all_lost_is_no_segment(tmp_path: Path) -> None:
    rows = table([(4, 2.0), (5, 3.0), (6, 2.0)])
    rows[200:500, 4:7] = NAN
    as_folder(tmp_path, {f"{FOLDER}/subject101.dat": text(rows)})
    labels = [[s.label for s in r.segments] for r in Pamap2(tmp_path).recordings()]
    assert labels == [["walking"], ["cycling"]]


def test_line_ends_of_other_systems_and_trailing_blanks(tmp_path: Path) -> None:
    content = text(table([(4, 2.0)])).replace("\n", " \r\n")
    as_folder(tmp_path, {f"{FOLDER}/subject101.dat": content})
    [recording] = Pamap2(tmp_path).recordings()
    assert len(recording.signal) == 200


GOOD = table([(4, 2.0)])
DEAD = GOOD.copy()
DEAD[:, 5] = NAN
SLOW = GOOD.copy()
SLOW[:, 0] *= 1000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "[Ee]mpty"),
        (text(GOOD)[:-20], "54 columns, got"),
        (text(GOOD[:, :-1]), "54 columns, got 53"),
        (text(GOOD).replace("-0.5", "half", 1), "'half'"),
        (text(table([(9, 2.0)])), r"wrist: label 9.* is none of 0, 1, 2, 3, 4, 5, 6, 7, 12, 13, 16, 17, 24"),
        (text(DEAD), "wrist has no sample with all three acceleration axes"),
        (text(SLOW), "is their unit right"),
        (text(GOOD[::2]), "imply 50 Hz, not the 100 Hz"),
        (text(GOOD[:50]), "no 1 s of samples"),
    ],
)
@LAYOUTS
def test_a_bad_file_is_named(tmp_path: Path, lay_out: Callable, content: str, message: str) -> None:
    source = Pamap2(lay_out(tmp_path, {f"{FOLDER}/subject103.dat": content}))
    with pytest.raises(DataError, match=rf"Protocol/subject103\.dat.*{message}"):
        list(source.recordings())


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "Optional").mkdir()
    (tmp_path / "Optional" / "subject101.dat").write_text(text(GOOD))
    for raw_dir in (None, tmp_path / "no", tmp_path):
        with pytest.raises(DataError, match=r"Protocol/subject101\.dat.*archive\.ics\.uci\.edu/static/public/231/"):
            Pamap2(raw_dir)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.98])
def test_a_truncated_outer_archive_is_named(tmp_path: Path, keep: float) -> None:
    [path] = as_published(tmp_path, {f"{FOLDER}/subject101.dat": text(GOOD)}).iterdir()
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(DataError, match=r"monitoring\.zip is (damaged|cut short)"):
        Pamap2(tmp_path)


def wrapped(root: Path, damage: Callable[[bytearray], object], compression: int) -> Path:
    """An intact archive that holds an archive that is not."""
    [inner] = as_zip(root, {f"{FOLDER}/subject101.dat": text(GOOD)}).iterdir()
    content = bytearray(inner.read_bytes())
    damage(content)
    inner.unlink()
    with zipfile.ZipFile(root / "outer.zip", "w", compression) as archive:
        archive.writestr("PAMAP2_Dataset.zip", content)
    return root


def cut(content: bytearray) -> None:
    del content[len(content) // 2 :]


def overwrite(content: bytearray) -> None:
    content[400:420] = bytes(20)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_inner_archive_is_named(tmp_path: Path, compression: int) -> None:
    (tmp_path / "cut").mkdir()
    with pytest.raises(DataError, match=r"outer\.zip, PAMAP2_Dataset\.zip is damaged"):
        Pamap2(wrapped(tmp_path / "cut", cut, compression))
    (tmp_path / "overwritten").mkdir()
    source = Pamap2(wrapped(tmp_path / "overwritten", overwrite, compression))
    with pytest.raises(DataError, match=r"PAMAP2_Dataset\.zip, PAMAP2_Dataset/Protocol/subject101\.dat is damaged"):
        list(source.recordings())


def test_inner_archives_are_not_trusted_more_than_outer_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"PAMAP2_Dataset\.zip holds .*do not trust this archive"):
        Pamap2(as_published(tmp_path, {f"../{FOLDER}/subject101.dat": text(GOOD)}))
    as_published(tmp_path, {f"{FOLDER}/subject101.dat": text(GOOD)})
    monkeypatch.setattr(raw_files, "MAX_BYTES", 10_000)
    with pytest.raises(DataError, match=r"subject101\.dat unpacks to more than"):
        list(Pamap2(tmp_path).recordings())


def test_an_archive_and_what_was_taken_out_of_it_are_not_both_read(tmp_path: Path) -> None:
    files = {f"{FOLDER}/subject101.dat": text(GOOD)}
    with pytest.raises(DataError, match="are the same file"):
        Pamap2(as_published(as_folder(tmp_path, files), files))


def test_the_published_archive_becomes_a_store(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    lost = table(DAY)
    lost[500:510, 38:41] = NAN
    files = {f"{FOLDER}/subject{101 + i}.dat": text(table(DAY) if i else lost) for i in range(3)}
    as_published(tmp_path / "raw", files)
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose(
            "prepare", ["data=pamap2", "data.source.position=ankle", f"data.raw_dir={tmp_path / 'raw'}", "data.root=x"]
        )
    assert config.data.datamodule.store == "x/pamap2_ankle"
    store = prepare(instantiate(config.data.source), tmp_path / "store")
    assert store.info.position == "ankle"
    assert store.participants["participant_id"].tolist() == ["pamap2-101", "pamap2-102", "pamap2-103"]
    assert store.recordings["n_samples"].tolist() == [900, 900, 900]
    windows = labelled_windows(store, 200, 200)
    assert windows.label.tolist() == ["lying", "ironing", "walking"] * 3
    np.testing.assert_allclose(windows.signal[0, :, 0] * 9.80665, [0.1, -0.5, 9.738], atol=1e-5)


@pytest.mark.parametrize(("task", "classes", "folds"), [("pamap2_wrist", 8, 8), ("pamap2_ankle", 12, 5)])
def test_the_tasks_are_those_of_the_paper(task: str, classes: int, folds: int) -> None:
    with initialize_config_dir(config_folder(), version_base="1.3"):
        config = compose("eval", [f"task={task}", "checkpoint=x", "run_dir=here"]).task
    everybody = [f"pamap2-{i}" for i in range(101, 110)]
    names = {name for name in ACTIVITIES.values() if name}
    kept = set(config.get("classes", names))
    assert kept <= names
    assert len(kept) == classes
    assert len(list(instantiate(config.folds)(config.participants or everybody))) == folds
    assert config.window_s == config.stride_s == {"pamap2_wrist": 10, "pamap2_ankle": 2}[task]
