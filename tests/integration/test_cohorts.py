"""Making cohort stores and looking at them."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from relcon_lightning.data import CohortStore, Recording
from tests.conftest import INFO
from tests.data.sources.test_motionsense import motion
from tests.integration.commands import SIMULATED, fork


def test_a_cohort_can_be_looked_at_before_training(folder):
    output = fork(folder, "relcon-inspect")
    page = folder / "reports" / "watch" / "cohort" / "cohort.html"
    assert "reports/watch/cohort/cohort.html" in output.splitlines()[-1]
    for text in (output, page.read_text()):
        assert "Participants" in text
        assert "10" in text
        assert "Norm at rest" in text
    assert "data:image/png;base64," in page.read_text()
    assert "no cohort store at data/wisdm" in fork(folder, "relcon-inspect", "data=wisdm", code=2).replace("\n", " ")


def test_a_cohort_without_labels_or_rest_can_be_looked_at_too(tmp_path):
    moving = np.random.default_rng(0).normal([0, 0, 1], 0.5, (1000, 3))
    parts = [Recording(f"a{i}", "a", moving, 100.0, start_time=1e9 + start) for i, start in enumerate((0, 25))]
    CohortStore.write(tmp_path / "data" / "watch", parts, INFO)
    output = " ".join(fork(tmp_path, "relcon-inspect").split())
    assert "no still windows" in output
    assert "1 between recordings, median 15.0 s" in output


def test_a_prepare_that_was_killed_leaves_nothing_that_is_read_and_can_be_run_again(tmp_path):
    program = Path(sys.executable).parent / "relcon-prepare"
    command = [program, "data=simulated", "data.source.participants=400", "data.source.minutes=1"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if any(file.stat().st_size for file in (tmp_path / "data").glob(".simulated.*.partial/signals/*")):
            break
        time.sleep(0.1)
    process.kill()
    process.wait()
    assert not (tmp_path / "data" / "simulated").exists()
    assert list((tmp_path / "data").iterdir())
    assert "no cohort store" in fork(tmp_path, "relcon-inspect", "data=simulated", code=2)
    fork(tmp_path, "relcon-prepare", *SIMULATED)
    assert [p.name for p in (tmp_path / "data").iterdir()] == ["simulated"]
    assert len(CohortStore.open(tmp_path / "data" / "simulated").participants) == 6


@pytest.fixture
def published(tmp_path) -> Iterator[str]:
    """The address of MotionSense's archive on a server of the test's own: one person who goes down a staircase."""
    (tmp_path / "server").mkdir()
    with zipfile.ZipFile(tmp_path / "server" / "set.zip", "w") as archive:
        archive.writestr("A_DeviceMotion_data/dws_1/sub_1.csv", motion(500))
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path / "server")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/set.zip"
        server.shutdown()


def test_a_published_set_is_fetched_when_that_is_asked_for(tmp_path, published):
    asked = ["data=motionsense", f"data.archive.url={published}"]
    output = " ".join(fork(tmp_path, "relcon-prepare", *asked, code=2).split())
    assert "Set data.raw_dir to the original files of motionsense, or fetch them with download=true" in output
    assert f"70 MB from {published} (MIT)" in output
    assert not (tmp_path / "data").exists()
    output = fork(tmp_path, "relcon-prepare", *asked, "download=true")
    assert "Store data/motionsense: 1 participant, 1 recording" in output
    assert (tmp_path / "data" / "raw" / "motionsense" / "A_DeviceMotion_data.zip").exists()
    [row] = CohortStore.open(tmp_path / "data" / "motionsense").segments.to_dict("records")
    assert row["label"] == "dws"


def test_what_was_fetched_is_not_fetched_again(tmp_path, published):
    asked = ["data=motionsense", f"data.archive.url={published}", "download=true"]
    fork(tmp_path, "relcon-prepare", *asked)
    (tmp_path / "server" / "set.zip").unlink()
    assert "already exists" in fork(tmp_path, "relcon-prepare", *asked)
    fork(tmp_path, "relcon-prepare", *asked, "overwrite=true")
