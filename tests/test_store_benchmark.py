"""A comparison of formats means something only if all give the same windows."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from benchmarks import stores
from benchmarks.stores import COHORT_DAYS, Batches, Size, signals, speeds
from benchmarks.stores_formats import FORMATS, Format, Mapped

SIZE = Size(participants=4, samples=3000, batches=2, anchors=2, rounds=1, workers=(0,))


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.__name__)
@pytest.mark.parametrize(("dtype", "error"), [("float32", 0.0), ("int16", 0.5 / 4096)])
def test_every_format_gives_the_same_windows(tmp_path, form, dtype, error):
    if not form.installed():
        pytest.skip(f"{form.module} is not installed; it is in the extra bench")
    written = list(signals(SIZE))
    made: Format = form(dtype)
    made.write(tmp_path / "cohort", iter(written))
    read = made.open(tmp_path / "cohort")
    rng = np.random.default_rng(0)
    participants, starts = rng.integers(0, 4, 40), rng.integers(0, 3000 - 256 + 1, 40)
    participants[:2], starts[:2] = (0, 3), (0, 3000 - 256)
    windows = made.gather(read, participants, starts, 256)
    assert windows.dtype == np.float32
    expected = np.stack([written[p][s : s + 256].T for p, s in zip(participants, starts, strict=True)])
    np.testing.assert_allclose(windows, expected, rtol=0, atol=error * (1 + 1e-5))


def test_a_batch_is_windows_of_one_participant_an_anchor_and_the_same_for_all(tmp_path):
    made = Mapped("float32")
    made.write(tmp_path / "cohort", (np.full((3000, 3), i, dtype=np.float32) for i in range(4)))
    batches = Batches(made, tmp_path / "cohort", Size(4, 3000, anchors=8), seed=0)
    of = batches[0].reshape(8, 21 * 3 * 256)
    assert (of == of[:, :1]).all()
    assert len(of[:, 0].unique()) > 1
    assert (batches[0] == batches[0]).all()
    assert (batches[0] != batches[1]).any()


def test_a_loader_with_workers_is_timed_too(tmp_path):
    made = Mapped("float32")
    made.write(tmp_path / "cohort", signals(SIZE))
    assert min(speeds(made, tmp_path / "cohort", SIZE, workers=1, seed=0)) > 0


def test_the_quick_run_writes_the_table_of_what_is_installed(tmp_path, monkeypatch):
    output = tmp_path / "table.md"
    monkeypatch.setattr(sys, "argv", ["stores", "--quick", "--folder", str(tmp_path), "--output", str(output)])
    stores.main()
    _, _, title, _, head, _, *body = output.read_text().splitlines()
    installed = [form.name for form in FORMATS if form.installed()]
    assert [line.split(" | ")[0].strip("| ") for line in body] == [name for name in installed for _ in range(2)]
    for form in FORMATS:
        assert form.installed() == (form.name not in title.partition("Not installed")[2])
    columns = [column.strip() for column in head.split("|")]
    for line in body:
        row = dict(zip(columns, (cell.strip() for cell in line.split("|")), strict=True))
        terabytes = float(row["bytes per sample"]) * COHORT_DAYS * 86_400 * 100 / 1e12
        assert float(row["TB for 87 376 days"]) == pytest.approx(terabytes, abs=0.01)
    assert body[0].count("(1.00)") == 2  # cold and warm, beside itself
    assert list(tmp_path.iterdir()) == [output]


def test_byte_ranges_of_the_store_ask_a_bucket_least(tmp_path):
    for module in ("obstore", "zarr", "lance"):
        pytest.importorskip(module, reason=f"{module} is not installed; it is in the extra bench")
    from benchmarks.stores_bucket import measure

    ours, chunks, _ = measure(tmp_path, Size(2, 6000, anchors=1, rounds=1))
    assert ours.requests < chunks.requests
    assert ours.window_bytes > 0
