"""Names that people write in several ways are named when a store is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data.lookalikes import name_lookalikes
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.folder import RecordingFolder


def recordings(root: Path, rows: list[tuple[str, str]]) -> RecordingFolder:
    """Recordings of 5 s with these participants and labels."""
    signal = "".join(f"{i / 50},{0.1 * np.sin(i)},0,1\n" for i in range(250))
    for i in range(len(rows)):
        (root / f"{i}.csv").write_text(f"time,x,y,z\n{signal}")
    table = "".join(f"{i}.csv,{person},{label}\n" for i, (person, label) in enumerate(rows))
    (root / "recordings.csv").write_text(f"file,participant,label\n{table}")
    return RecordingFolder(root, time_column="time")


def test_people_and_classes_that_look_alike_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "raw").mkdir()
    rows = [("01", "Walk"), ("1", "walk"), ("2", "sit"), ("3", "sit ")]
    store = prepare(recordings(tmp_path / "raw", rows), tmp_path / "store")
    assert sorted(store.participants["participant_id"]) == ["01", "1", "2", "3"]
    assert "folder: '01' and '1' count as different participants. If they are the same" in caplog.text
    assert "folder: 'Walk' and 'walk' count as different classes" in caplog.text
    assert "'sit '" not in caplog.text  # blanks around a label do not count


@pytest.mark.parametrize(
    ("names", "alike"),
    [
        (["P1", "p1", "P2"], "'P1' and 'p1'"),
        (["S1", "S01", "S001"], "'S001' and 'S01' and 'S1'"),
        (["stairs  up", "stairs up"], "'stairs  up' and 'stairs up'"),
        (["10", "1", "100", "P10", "P1", "0", "1.0"], ""),
    ],
)
def test_case_blanks_and_leading_zeros_look_alike(
    caplog: pytest.LogCaptureFixture, names: list[str], alike: str
) -> None:
    name_lookalikes(names, "participants", "mine")
    assert (f"mine: {alike} count as different" in caplog.text) if alike else not caplog.text


def test_cells_for_missing_values_are_no_classes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [("a", "walk"), ("a", "NaN"), ("b", "nan"), ("b", "N/A"), ("b", "null"), ("c", "")]
    found = {one.recording_id: [s.label for s in one.segments] for one in recordings(tmp_path, rows).recordings()}
    assert found == {"0": ["walk"], "1": [], "2": [], "3": [], "4": ["null"], "5": []}
    assert "recordings.csv: 3 cells such as 'NaN' are treated as unlabelled" in caplog.text


def test_segments_treat_missing_values_alike(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    recordings(tmp_path, [("a", "")])
    (tmp_path / "segments.csv").write_text("file,start_s,end_s,label\n0.csv,0,1, walk \n0.csv,1,2,NaN\n0.csv,2,3,\n")
    [one] = RecordingFolder(tmp_path, time_column="time").recordings()
    assert [segment.label for segment in one.segments] == ["walk", None, None]
    assert "segments.csv: 1 cells such as 'NaN'" in caplog.text
