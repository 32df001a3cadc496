"""``relcon-embed`` as a user runs it."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pyarrow import parquet

from relcon_lightning import embed_recording
from relcon_lightning.data import CohortStore
from tests.data.readers.devices import gt3x
from tests.integration.commands import fork

SHARED = Path(os.environ.get("RELCON_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
RUN = "checkpoint=runs/watch/relcon/seed0"
FLOAT = "precision=float32"


def table(seconds=30, rate=50.0, seed=0):
    t = np.arange(round(seconds * rate)) / rate
    x = 0.1 * np.random.default_rng(seed).standard_normal((len(t), 3)) + [0, 0, 1]
    return pd.DataFrame({"time": t, "x": x[:, 0], "y": x[:, 1], "z": x[:, 2]})


def embed(folder, *arguments, code=0):
    return fork(folder, "relcon-embed", RUN, FLOAT, *arguments, code=code)


def dimensions(found):
    return found[[name for name in found if name[0] == "e"]].to_numpy()


@pytest.fixture(scope="module")
def mixed(folder):
    """A folder of two people's tables in several formats, with a broken one among them."""
    root = folder / "mixed"
    (root / "anna").mkdir(parents=True)
    table().to_csv(root / "anna" / "walk.csv", index=False)
    (root / "anna" / "run.csv.gz").write_bytes(gzip.compress(table(seed=1).to_csv(index=False).encode()))
    table(seed=2).to_parquet(root / "bo.parquet", index=False)
    return root


def test_parts_of_a_folder_make_up_the_whole(folder, mixed):
    asked = [f"input={mixed.name}", "data.source.participant='[^/.]+'"]
    embed(folder, *asked, "output=whole.parquet")
    for part in ("1/2", "2/2"):
        embed(folder, *asked, "output=some.parquet", f"part={part}")
    whole = pd.read_parquet(folder / "whole.parquet")
    parts = [pd.read_parquet(folder / f"some.part-00{number}-of-002.parquet") for number in (1, 2)]
    assert [part["recording_id"].nunique() for part in parts] == [1, 2]
    pd.testing.assert_frame_equal(pd.concat(parts, ignore_index=True), whole)
    assert "neither torchrun nor srun" in embed(folder, *asked, "part=rank", code=2)
    assert "there are only 3 files" in embed(folder, *asked, "part=1/4", code=2)


def test_a_folder_becomes_one_table_with_a_row_a_window(folder, mixed):
    embed(folder, f"input={mixed.name}", "output=e.parquet", "data.source.participant='[^/.]+'")
    found = pd.read_parquet(folder / "e.parquet")
    assert found.columns[:3].tolist() == ["participant_id", "recording_id", "start"]
    assert found.groupby("recording_id").size().to_dict() == {"anna/run": 11, "anna/walk": 11, "bo": 11}
    assert set(found["participant_id"]) == {"anna", "bo"}
    starts, z = embed_recording(folder / "runs/watch/relcon/seed0", table()[["x", "y", "z"]].to_numpy(), 50.0)
    walk = found[found["recording_id"] == "anna/walk"]
    np.testing.assert_allclose(walk["start"], starts, atol=1e-6)
    cosine = (dimensions(walk) * z).sum(1) / np.linalg.norm(z, axis=1) / np.linalg.norm(dimensions(walk), axis=1)
    assert cosine.min() > 0.999
    assert b"relcon_lightning" in parquet.read_schema(folder / "e.parquet").metadata
    assert not list(folder.glob(".e.parquet*"))


def test_what_is_there_is_not_written_over(folder, mixed):
    (folder / "there.parquet").write_text("mine")
    output = embed(folder, f"input={mixed.name}", "output=there.parquet", code=2)
    assert "overwrite=true" in output
    assert (folder / "there.parquet").read_text() == "mine"
    assert "would be read" in embed(folder, f"input={mixed.name}", f"output={mixed.name}/e.parquet", code=2)


def test_one_bad_recording_does_not_stop_the_others_and_what_is_done_stays_done(folder, mixed):
    root = folder / "partly"
    shutil.copytree(mixed, root)
    (root / "broken.csv").write_text("time,x,y,z\n0,a,b,c\n")
    output = embed(folder, "input=partly", "output=p.parquet", code=2)
    assert "broken" in output
    assert "1 of 4 recordings could not be embedded" in output
    assert pd.read_parquet(folder / "p.parquet")["recording_id"].nunique() == 3
    (root / "broken.csv").write_text(table(seed=3).to_csv(index=False))
    output = embed(folder, "input=partly", "output=p.parquet")
    assert "3 of 4 recordings are already embedded" in output
    assert pd.read_parquet(folder / "p.parquet")["recording_id"].nunique() == 4


def test_a_cohort_store_is_embedded_with_its_own_ids(folder):
    embed(folder, "input=data/watch", "output=store.parquet", "stride_s=1")
    found = pd.read_parquet(folder / "store.parquet")
    store = CohortStore.open(folder / "data" / "watch")
    assert set(found["recording_id"]) == set(store.recordings["recording_id"])
    assert found.groupby("recording_id").size().unique().tolist() == [(2000 - 256) // 100 + 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["input=nowhere"], "There is no file, folder or cohort store at nowhere"),
        (["input=mixed", "data.source.columns=[a,b,c]"], "a"),
        (["input=mixed", "data.source.unit=stone"], "data.source.unit=stone"),
        (["input=mixed", "stride_s=0"], "stride_s"),
        (["input=mixed", "precision=int8"], "precision=int8"),
        ([], "input must be given"),
    ],
)
def test_mistakes_are_named(folder, mixed, arguments, message):
    output = fork(folder, "relcon-embed", RUN, "output=m.parquet", *arguments, code=2)
    assert message in output
    assert "Traceback" not in output


@pytest.mark.skipif(not (SHARED / "device_samples").is_dir(), reason="needs the sample files of real devices")
@pytest.mark.parametrize("name", ["ax3_sample.cwa", "gnactv_sample.bin"])
def test_a_file_of_a_device_gets_its_times(folder, name):
    output = f"{name}.parquet"
    embed(folder, f"input={SHARED / 'device_samples' / name}", f"output={output}", "stride_s=0.5")
    found = pd.read_parquet(folder / output)
    assert len(found) > 1
    assert str(found["start"].dtype.tz) == "UTC"
    assert found["start"].is_monotonic_increasing
    assert np.isfinite(dimensions(found)).all()


def test_an_exported_encoder_stands_for_its_run(folder, mixed):
    fork(folder, "relcon-export", RUN, "to=published", "onnx=true")
    assert (folder / "published" / "encoder.onnx").exists()
    embed(folder, "input=data/watch", "output=from_run.parquet")
    fork(folder, "relcon-embed", "checkpoint=published", FLOAT, "input=data/watch", "output=from_export.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(folder / "from_run.parquet"), pd.read_parquet(folder / "from_export.parquet")
    )
    output = fork(folder, "relcon-export", RUN, "to=published", code=2)
    assert "overwrite=true" in output


def test_an_actigraph_file_and_packed_tables_are_embedded_together(folder):
    root = folder / "packed"
    root.mkdir()
    (root / "hip.gt3x").write_bytes(gt3x(30))
    (root / "walk.csv.xz").write_bytes(lzma.compress(table().to_csv(index=False).encode()))
    embed(folder, "input=packed", "output=packed.parquet")
    found = pd.read_parquet(folder / "packed.parquet")
    assert found.groupby("recording_id").size().to_dict() == {"hip.gt3x": 11, "walk": 11}
    assert found["start"].dtype == float  # in seconds, since nothing tells the time of day of the table
    embed(folder, "input=packed/hip.gt3x", "output=hip.parquet")
    alone = pd.read_parquet(folder / "hip.parquet")
    assert alone["start"][0] == pd.Timestamp(1581498217, unit="s", tz="UTC")
    np.testing.assert_array_equal(dimensions(alone), dimensions(found[found["recording_id"] == "hip.gt3x"]))


def test_names_that_a_terminal_could_take_for_markup_are_names(folder):
    root = folder / "markup"
    (root / "a[").mkdir(parents=True)
    for name in ("a[/x].csv", "[bold].csv", "[nothing.csv"):
        path = root / name
        path.parent.mkdir(exist_ok=True)
        table(10).to_csv(path, index=False)
    embed(folder, "input=markup", "output=markup.parquet")
    found = pd.read_parquet(folder / "markup.parquet")["recording_id"]
    assert set(found) == {"a[/x]", "[bold]", "[nothing"}
