from __future__ import annotations

import gzip
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources import capture24
from relcon_lightning.data.sources.capture24 import Capture24
from relcon_lightning.downstream import labelled_windows
from relcon_lightning.errors import ConfigError, DataError

START = pd.Timestamp("2016-11-13 02:18:00")
SLEEP = "7030 sleeping;MET 0.95"
OFFICE = 'occupation;office;11580 "office/computer" work, general;MET 1.5'
OTHER = "5035 kitchen activity;MET 3.3"
DICTIONARY = pd.DataFrame(
    {
        "annotation": [SLEEP, OFFICE, OTHER],
        "label:WillettsSpecific2018": ["sleep", "sitting", "household-chores"],
        "label:Walmsley2020": ["sleep", "sedentary", None],
    }
)


def rows(annotations: Sequence[tuple[str | None, float]]) -> pd.DataFrame:
    """Annotations and their seconds at 100 Hz; a resting wrist with 1 g on z that counts its samples on x."""
    text = [annotation for annotation, seconds in annotations for _ in range(round(seconds * 100))]
    count = np.arange(len(text))
    time = START + pd.to_timedelta(count * 10, unit="ms")
    columns = {"time": time.strftime("%Y-%m-%d %H:%M:%S.%f"), "x": count / 2**20, "y": -0.25, "z": 1.0}
    return pd.DataFrame({**columns, "annotation": text})


def packed(table: pd.DataFrame | str) -> bytes:
    return gzip.compress((table if isinstance(table, str) else table.to_csv(index=False)).encode(), 1)


def put(root: Path, **people: pd.DataFrame | str) -> Path:
    root.mkdir(exist_ok=True)
    DICTIONARY.to_csv(root / "annotation-label-dictionary.csv", index=False)
    (root / "metadata.csv").write_text("pid,age,sex\nP001,38-52,F\n")
    for person, table in people.items():
        (root / f"{person}.csv.gz").write_bytes(packed(table))
    return root


def labels(recording: object) -> list[tuple[str, float, float]]:
    return [(s.label, round(s.start_s, 6), round(s.end_s, 6)) for s in recording.segments]  # type: ignore[attr-defined]


def test_values_labels_participants_and_start(tmp_path: Path) -> None:
    put(tmp_path, P002=rows([(None, 2)]), P001=rows([(SLEEP, 3), (None, 2), (OFFICE, 1), (OTHER, 2)]))
    first, second = Capture24(tmp_path).recordings()
    assert [(r.recording_id, r.participant_id) for r in (first, second)] == [
        ("capture24-P001-part01", "capture24-P001"),
        ("capture24-P002-part01", "capture24-P002"),
    ]
    assert (first.sampling_rate, len(first.signal)) == (100, 800)
    expected = np.stack([np.arange(800) / 2**20, np.full(800, -0.25), np.ones(800)], 1)
    np.testing.assert_allclose(first.signal, expected, atol=1e-9)
    assert labels(first) == [("sleep", 0, 3), ("sitting", 5, 6), ("household-chores", 6, 8)]
    assert second.segments == ()
    assert first.start_time == START.tz_localize("UTC").timestamp()


def test_another_column_of_the_dictionary_may_leave_annotations_without_a_class(tmp_path: Path) -> None:
    put(tmp_path, P001=rows([(SLEEP, 1), (OTHER, 1), (OFFICE, 1)]))
    [recording] = Capture24(tmp_path, labels="Walmsley2020").recordings()
    assert labels(recording) == [("sleep", 0, 1), ("sedentary", 2, 3)]
    with pytest.raises(ConfigError, match=r"labels=Walmsley: .*expected one of WillettsSpecific2018, Walmsley2020"):
        Capture24(tmp_path, labels="Walmsley")


def test_an_annotation_that_the_dictionary_lacks_is_named(tmp_path: Path) -> None:
    put(tmp_path, P001=rows([(SLEEP, 1), ("7030 sleping;MET 0.95", 1)]))
    with pytest.raises(DataError, match=r"P001\.csv\.gz, part 1: .*'7030 sleping.*did you mean '7030 sleeping"):
        list(Capture24(tmp_path).recordings())


def test_a_long_file_is_read_in_parts_that_make_up_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, P001=rows([(None, 3), (SLEEP, 9), (OFFICE, 8.9)]))
    [whole] = Capture24(tmp_path).recordings()
    monkeypatch.setattr(capture24, "PART_ROWS", 500)
    monkeypatch.setattr(capture24, "_LEAST_ROWS", 100)
    parts = list(Capture24(tmp_path).recordings())
    assert [len(part.signal) for part in parts] == [500, 500, 500, 590]  # a last part would have had 90
    assert [part.recording_id[-6:] for part in parts] == ["part01", "part02", "part03", "part04"]
    np.testing.assert_allclose(np.concatenate([part.signal for part in parts]), whole.signal, atol=1e-9)
    assert whole.start_time is not None
    starts = [part.start_time - whole.start_time for part in parts if part.start_time is not None]
    assert starts == pytest.approx([0, 5, 10, 15])
    cut = [[("sleep", 3, 5)], [("sleep", 0, 5)], [("sleep", 0, 2), ("sitting", 2, 5)], [("sitting", 0, 5.9)]]
    assert [labels(part) for part in parts] == cut


def test_one_part_at_a_time_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, P001=rows([(SLEEP, 3600)]))
    monkeypatch.setattr(capture24, "PART_ROWS", 30_000)  # a twelfth
    usual = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(usual)  # counts nothing of readers that other tests have left
    pa.set_memory_pool(pool)
    try:
        held = [pool.bytes_allocated() for _ in Capture24(tmp_path).recordings()]
    finally:
        pa.set_memory_pool(usual)
    assert len(held) == 12
    assert min(held) > 0
    assert max(held) < 360_000 * 24 / 3  # a time and a code of 8 and 4 bytes, and three numbers of 4


def test_gaps_and_missing_samples(tmp_path: Path) -> None:
    table = rows([(SLEEP, 10)])
    table.loc[100:110, "y"] = None
    table.loc[400:699, ["x", "y", "z"]] = None  # three seconds
    put(tmp_path, P001=table, P002=table.drop(range(400, 700)))
    first, second, third, fourth = Capture24(tmp_path).recordings()
    ids = [r.recording_id for r in (first, second, third, fourth)]
    assert ids == [f"capture24-P00{person}-part01#{part}" for person in (1, 2) for part in (1, 2)]
    for before, after in ((first, second), (third, fourth)):
        np.testing.assert_allclose(before.signal[:, 0] * 2**20, np.arange(400), atol=1e-3)
        np.testing.assert_allclose(before.signal[:, 1], -0.25)
        np.testing.assert_allclose(after.signal[:, 0] * 2**20, np.arange(700, 1000), atol=1e-3)
        assert (labels(before), labels(after)) == ([("sleep", 0, 4)], [("sleep", 0, 3)])
        assert after.start_time == pytest.approx(START.tz_localize("UTC").timestamp() + 7)


def test_a_part_without_samples_is_left_out_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(capture24, "PART_ROWS", 500)
    monkeypatch.setattr(capture24, "_LEAST_ROWS", 100)
    table = rows([(SLEEP, 15)])
    table.loc[450:999, "x"] = None
    put(tmp_path, P001=table)
    first, third = Capture24(tmp_path).recordings()
    assert (first.recording_id[-2:], third.recording_id[-2:]) == ("01", "03")
    assert (len(first.signal), len(third.signal)) == (450, 500)
    assert "P001.csv.gz, part 2: it has less than a second of samples" in caplog.text


GOOD = rows([(SLEEP, 3)])
LINES = GOOD.to_csv(index=False).splitlines(keepends=True)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "Empty CSV"),
        (LINES[0], "contains no rows"),
        (GOOD.drop(columns="annotation").to_csv(index=False), "'annotation'.* does not exist"),
        (GOOD.drop(columns="y").to_csv(index=False), "'y'.* does not exist"),
        ("".join(LINES)[:-40], "Expected 5 columns, got"),
        ("".join(LINES).replace("-0.25", "low", 1), "'low'"),
        ("".join(LINES).replace("2016-11-13 02:18:00.5", "13/11/2016 02:18:00.5", 1), "13/11/2016"),
        (GOOD.assign(time=GOOD["time"].iloc[0]).to_csv(index=False), "two different time stamps"),
        (GOOD.assign(time=None).to_csv(index=False), "has no time stamps"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"P017\.csv\.gz.*{message}"):
        list(Capture24(put(tmp_path, P017=content)).recordings())


@pytest.mark.parametrize(("keep", "message"), [(200, "is cut short"), (-4, "is cut short"), (0, "Empty CSV")])
@pytest.mark.parametrize("zipped", [False, True])
def test_a_truncated_file_is_named(tmp_path: Path, zipped: bool, keep: int, message: str) -> None:
    path = put(tmp_path, P017=rows([(SLEEP, 60)])) / "P017.csv.gz"
    path.write_bytes(path.read_bytes()[:keep])
    if zipped:
        with zipfile.ZipFile(tmp_path / "capture24.zip", "w") as archive:
            for file in tmp_path.glob("*.csv*"):
                archive.write(file, f"capture24/{file.name}")
                file.unlink()
    with pytest.raises(DataError, match=rf"P017\.csv\.gz.*{message}"):
        list(Capture24(tmp_path).recordings())


@pytest.mark.parametrize(
    "content", [b"time,x,y,z,annotation\n", packed(GOOD)[:50] + b"x" * 50], ids=["text", "damaged"]
)
def test_a_file_that_is_no_gzip_is_named(tmp_path: Path, content: bytes) -> None:
    (put(tmp_path, P017="") / "P017.csv.gz").write_bytes(content)
    with pytest.raises(DataError, match=r"P017\.csv\.gz.*(gzip|damaged)"):
        list(Capture24(tmp_path).recordings())


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    lone = put(tmp_path / "lone", P001=GOOD)
    (lone / "annotation-label-dictionary.csv").unlink()
    empty = put(tmp_path / "empty")
    for raw_dir in (None, tmp_path / "no", lone, empty):
        with pytest.raises(DataError, match=r"P001\.csv\.gz.*annotation-label-dictionary\.csv.*ora\.ox\.ac\.uk"):
            Capture24(raw_dir)


def test_the_published_archive_becomes_a_store_that_its_task_can_be_run_on(tmp_path: Path) -> None:
    raw = put(tmp_path / "raw", **{f"P{i:03d}": rows([(SLEEP, 21), (None, 30), (OFFICE, 11)]) for i in range(1, 6)})
    with zipfile.ZipFile(tmp_path / "capture24.zip", "w") as archive:
        for file in raw.iterdir():
            archive.write(file, f"capture24/{file.name}")
    with initialize_config_dir(config_folder(), version_base="1.3"):
        data = compose("prepare", ["data=capture24", f"data.raw_dir={tmp_path / 'capture24.zip'}"]).data
        task = compose("eval", ["task=capture24", "checkpoint=x", "run_dir=here"]).task
    store = prepare(instantiate(data.source), tmp_path / "store")
    assert store.recordings["n_samples"].tolist() == [6200] * 5
    windows = labelled_windows(store, round(task.window_s * 100), round(task.stride_s * 100))
    assert windows.label.tolist() == ["sleep", "sleep", "sitting"] * 5
    np.testing.assert_allclose(windows.signal[2, 0] * 2**20, np.arange(5100, 6100), atol=0.01)
    splits = list(instantiate(task.folds)(store.participants["participant_id"].tolist()))
    assert sorted(split.test for split in splits) == [(f"capture24-P00{i}",) for i in range(1, 6)]
