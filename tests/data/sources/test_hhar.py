from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.cli.app import config_folder
from relcon_lightning.data.prepare import prepare
from relcon_lightning.data.sources.hhar import ACTIVITIES, RATES, Hhar, wall_times
from relcon_lightning.downstream import labelled_windows
from relcon_lightning.errors import DataError

ARRIVAL = 1424696638740  # ms, 23 February 2015
NAME = "Activity recognition exp/Watch_accelerometer.csv"


def rows_of(
    user: str, device: str, activities: list[tuple[str, float]], uptime_s: float = 27920.678, jitter_s: float = 0.0
) -> pd.DataFrame:
    """Rows of one person and watch as published: a resting watch that counts milliseconds on x, in m/s^2."""
    model = device.split("_")[0]
    rate = RATES[model]
    labels = np.repeat([name for name, _ in activities], [round(rate * seconds) for _, seconds in activities])
    times = np.arange(len(labels)) / rate
    times += np.random.default_rng(0).uniform(-jitter_s, jitter_s, len(times))
    return pd.DataFrame(
        {
            "Index": np.arange(len(labels)),
            "Arrival_Time": ARRIVAL + np.round((times - times[0]) * 1000).astype(np.int64),
            "Creation_Time": round(uptime_s * 1e9) + np.round((times - times[0]) * 1e6).astype(np.int64) * 1000,
            "x": (times - times[0]).round(6),
            "y": -0.5,
            "z": 9.80665,
            "User": user,
            "Model": model,
            "Device": device,
            "gt": labels,
        }
    )


def text(*tables: pd.DataFrame) -> str:
    """Rows in the order in which they arrived, those of all watches mixed."""
    mixed = pd.concat(tables).sort_values("Arrival_Time", kind="stable")
    return mixed.to_csv(index=False, lineterminator="\n")


def as_file(root: Path, content: str) -> Path:
    (root / NAME).parent.mkdir(parents=True, exist_ok=True)
    (root / NAME).write_text(content)
    return root


def as_published(root: Path, content: str) -> Path:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(NAME, content)
        archive.writestr("Activity recognition exp/Phones_accelerometer.csv", "not read")
        archive.writestr("__MACOSX/Activity recognition exp/._Watch_accelerometer.csv", b"\x00\x05\x16\x07")
    still = io.BytesIO()
    with zipfile.ZipFile(still, "w") as archive:
        archive.writestr("Still exp/Phoneonback/1Renault-AI/Galaxy-S-Plus.csv", "not read")
    with zipfile.ZipFile(root / "heterogeneity+activity+recognition.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("Activity recognition exp.zip", inner.getvalue())
        archive.writestr("Still exp.zip", still.getvalue())
    return root


WALK = [("stand", 2.0), ("null", 1.0), ("walk", 3.0)]


@pytest.mark.parametrize("lay_out", [as_file, as_published])
def test_values_units_labels_and_participants(tmp_path: Path, lay_out: Callable[[Path, str], Path]) -> None:
    tables = [
        rows_of("b", "lgwatch_2", [("bike", 2.0)], uptime_s=1424696.6),
        rows_of("a", "lgwatch_2", WALK, uptime_s=1424696.6),
        rows_of("a", "gear_1", WALK),
    ]
    gear, lg, other = Hhar(lay_out(tmp_path, text(*tables))).recordings()
    assert [(r.recording_id, r.participant_id, r.sampling_rate) for r in (gear, lg, other)] == [
        ("hhar-a-gear_1", "hhar-a", 100),
        ("hhar-a-lgwatch_2", "hhar-a", 200),
        ("hhar-b-lgwatch_2", "hhar-b", 200),
    ]
    assert gear.attributes == {"model": "gear", "device": "gear_1"}
    assert gear.start_time == pytest.approx(ARRIVAL / 1000, abs=0.002)
    for recording in (gear, lg):
        n = round(6 * recording.sampling_rate)
        expected = np.stack([np.arange(n) / recording.sampling_rate, np.full(n, -0.5), np.full(n, 9.80665)], axis=1)
        np.testing.assert_allclose(recording.signal * 9.80665, expected, atol=1e-5)
        assert [(s.label, s.start_s, s.end_s) for s in recording.segments] == [
            ("stand", 0, pytest.approx(2, abs=1e-5)),
            ("walk", pytest.approx(3, abs=1e-5), pytest.approx(6, abs=1e-5)),
        ]
    assert [s.label for s in other.segments] == ["bike"]


def test_rows_in_any_order_twice_and_with_jitter_give_the_same(tmp_path: Path) -> None:
    watch = rows_of("a", "gear_1", WALK, jitter_s=0.004)
    doubled = pd.concat([watch, watch.iloc[100:200].assign(x=99.0)])  # the same stamps again, with other values
    shuffled = doubled.groupby(doubled["Arrival_Time"] // 100, group_keys=False).sample(frac=1, random_state=0)
    [recording] = Hhar(as_file(tmp_path, text(shuffled[shuffled["x"] < 99], doubled.iloc[len(watch) :]))).recordings()
    np.testing.assert_allclose(recording.signal[:, 0] * 9.80665, np.arange(len(recording.signal)) / 100, atol=1e-4)
    assert [(s.label, s.start_s) for s in recording.segments] == [("stand", 0), ("walk", pytest.approx(3, abs=0.01))]


def test_a_watch_that_slept_is_parted_though_its_clock_stood_still(tmp_path: Path) -> None:
    watch = rows_of("a", "gear_1", [("stand", 3.0), ("sit", 4.0)])
    asleep = watch.index >= 300
    watch.loc[asleep, "Arrival_Time"] += 60_000
    bundle = watch.index[asleep][:40]
    watch.loc[bundle, "Arrival_Time"] = watch.loc[bundle[-1], "Arrival_Time"]  # delivered when it woke up
    first, second = Hhar(as_file(tmp_path, text(watch))).recordings()
    assert [r.recording_id for r in (first, second)] == ["hhar-a-gear_1#1", "hhar-a-gear_1#2"]
    assert [[s.label for s in r.segments] for r in (first, second)] == [["stand"], ["sit"]]
    assert (len(first.signal), len(second.signal)) == (300, 400)
    np.testing.assert_allclose(second.signal[:, 0] * 9.80665, 3 + np.arange(400) / 100, atol=1e-4)
    assert second.start_time - first.start_time == pytest.approx(63, abs=0.01)


def test_a_watch_that_was_started_anew_goes_on(tmp_path: Path) -> None:
    before, after = rows_of("a", "gear_1", [("sit", 3.0)]), rows_of("a", "gear_1", [("walk", 2.0)], uptime_s=27919.0)
    after["Arrival_Time"] += 600_000
    first, second = Hhar(as_file(tmp_path, text(before, after))).recordings()
    assert [[s.label for s in r.segments] for r in (first, second)] == [["sit"], ["walk"]]
    assert [r.recording_id[-2:] for r in (first, second)] == ["#1", "#2"]


# Stamps of the published file, user a, gear_1, indices 5056 to 5084: asleep for 3.2 s after index 5060.
SLEEP_ARRIVAL = [
    *(156, 166, 175, 186, 218, 3746, *[3747] * 6, *[3748] * 6, *[3749] * 4),
    *(3755, 3764, 3802, 3802, 3802, 3804, 3814),
]
SLEEP_CREATION = [
    *(915779, 925810, 935682, 945838, 956233, 966020, 977152, 986760, 995396, 1005498, 1015183, 1025189),
    *(1133914, 1123882, 1114158, 1110743, 1035103, 1112060, 1143776, 1153854, 1163677, 1283223),
    *(1293319, 1302978, 1313129, 1323016, 1333045, 1342894, 1352938),
]


def test_real_stamps_around_a_sleep() -> None:
    arrival, creation = np.array(SLEEP_ARRIVAL) + 1424696931000, (np.array(SLEEP_CREATION) + 27990000000) * 1000
    times = wall_times(arrival, creation, 100.0, 1.0)
    awake = times[5:] - times[4]
    assert awake.min() == pytest.approx(3.2, abs=0.1)
    np.testing.assert_allclose(awake - awake.min(), (creation[5:] - creation[5]) / 1e9, atol=1e-6)
    np.testing.assert_allclose(times[:5] - times[0], (creation[:5] - creation[0]) / 1e9, atol=1e-6)


@given(
    st.lists(st.tuples(st.integers(200, 600), st.floats(1.5, 1e5)), min_size=1, max_size=5),
    st.integers(1, 150),
    st.integers(0, 2**32 - 1),
)
def test_wall_times_are_the_true_times_whatever_was_slept_and_bundled(bouts, bundle, seed) -> None:
    uptime = np.arange(sum(n for n, _ in bouts)) / 100
    slept = np.repeat(np.cumsum([s for _, s in bouts]) - bouts[0][1], [n for n, _ in bouts])
    truth = uptime + slept
    bout = np.repeat(np.arange(len(bouts)), [n for n, _ in bouts])
    arrival = pd.Series(truth).groupby([bout, np.arange(len(truth)) // bundle]).transform("max").to_numpy()
    order = np.random.default_rng(seed).permutation(len(truth))
    found = wall_times(
        1424696638740 + np.round(arrival * 1000).astype(np.int64)[order],
        np.round((uptime + 27920) * 1e9).astype(np.int64)[order],
        100.0,
        1.0,
    )
    error = (found - found.min())[np.argsort(order)] - truth
    np.testing.assert_allclose(error, 0, atol=0.001 * (1 + len(bouts)))  # arrivals are in whole ms
    assert max(np.ptp(error[bout == i]) for i in range(len(bouts))) < 1e-5  # no jump within a bout


def test_watches_with_next_to_no_samples_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    dead = rows_of("c", "gear_2", WALK).assign(y=np.nan)
    tables = [rows_of("a", "gear_1", WALK), rows_of("b", "lgwatch_2", [("sit", 0.4)]), dead]
    [recording] = Hhar(as_file(tmp_path, text(*tables))).recordings()
    assert recording.participant_id == "hhar-a"
    assert "Left out hhar-b-lgwatch_2" in caplog.text
    assert "user c, gear_2 has no sample with all three acceleration axes" in caplog.text


def test_lost_values_are_missing(tmp_path: Path) -> None:
    watch = rows_of("a", "gear_1", [("sit", 6.0)])
    watch.loc[100:110, "y"] = np.nan
    watch.loc[300:449, "z"] = np.nan
    first, second = Hhar(as_file(tmp_path, text(watch))).recordings()
    assert (len(first.signal), len(second.signal)) == (300, 150)
    np.testing.assert_allclose(second.signal[:, 0] * 9.80665, 4.5 + np.arange(150) / 100, atol=1e-5)


GOOD = text(rows_of("a", "gear_1", WALK))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "[Ee]mpty"),
        (GOOD.splitlines()[0] + "\n", "no rows"),
        (GOOD[:-20], "10 columns, got"),
        (GOOD.replace("Creation_Time", "Time"), "Creation_Time"),
        (GOOD.replace(",gt\n", ",activity\n"), "gt"),
        (GOOD.replace("-0.5", "low", 1), "'low'"),
        (GOOD.replace(f"{ARRIVAL},", ",", 1), "column Arrival_Time has 1 empty"),
        (GOOD.replace("stand\n", "dance\n"), "user a, gear_1: label dance is none of null, bike, sit"),
        (GOOD.replace("gear,", "s3mini,"), "unknown model s3mini; expected one of gear, lgwatch"),
    ],
)
@pytest.mark.parametrize("lay_out", [as_file, as_published])
def test_a_bad_file_is_named(tmp_path: Path, lay_out: Callable, content: str, message: str) -> None:
    source = Hhar(lay_out(tmp_path, content))
    with pytest.raises(DataError, match=rf"Watch_accelerometer\.csv.*{message}"):
        list(source.recordings())


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "damaged").mkdir()
    noise = GOOD + GOOD.split("\n", 1)[1] * 30
    [path] = as_published(tmp_path, noise).glob("*.zip")
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        inner = bytearray(archive.read("Activity recognition exp.zip"))
    inner[5000:5100] = bytes(100)
    with zipfile.ZipFile(tmp_path / "damaged" / "outer.zip", "w") as archive:
        archive.writestr("Activity recognition exp.zip", inner)
    with pytest.raises(DataError, match=r"exp\.zip, .*Watch_accelerometer\.csv is damaged"):
        list(Hhar(tmp_path / "damaged").recordings())
    path.write_bytes(content[:-30])
    with pytest.raises(DataError, match=r"recognition\.zip is damaged"):
        Hhar(path)


def test_missing_data_says_what_is_expected_and_where_to_get_it(tmp_path: Path) -> None:
    for raw_dir in (None, tmp_path / "no", tmp_path):
        with pytest.raises(DataError, match=r"Watch_accelerometer\.csv.*archive\.ics\.uci\.edu/static/public/344/"):
            Hhar(raw_dir)


def test_the_published_archive_becomes_a_store_that_its_task_can_be_run_on(tmp_path: Path) -> None:
    activities = [(label or "null", 4.5) for label in ACTIVITIES.values()]
    tables = [
        rows_of(user, device, activities, jitter_s=0.001) for user in "abcde" for device in ("gear_1", "lgwatch_1")
    ]
    as_published(tmp_path, text(*tables))
    with initialize_config_dir(config_folder(), version_base="1.3"):
        data = compose("prepare", ["data=hhar", f"data.raw_dir={tmp_path}"]).data
        task = compose("eval", ["task=hhar", "checkpoint=x", "run_dir=here"]).task
    store = prepare(instantiate(data.source), tmp_path / "store")
    assert store.participants["participant_id"].tolist() == [f"hhar-{user}" for user in "abcde"]
    assert store.recordings["n_samples"].tolist() == pytest.approx([3150] * 10, abs=2)  # both at 100 Hz
    windows = labelled_windows(store, round(task.window_s * 100), round(task.stride_s * 100))
    labels = ["bike", "sit", "stairsdown", "stairsup", "stand", "walk"]
    assert windows.label.tolist() == [label for label in labels for _ in range(2)] * 10
    np.testing.assert_allclose(windows.signal[:, 2, 5:-5], 1.0, atol=1e-3)
    assert len(list(instantiate(task.folds)(store.participants["participant_id"].tolist()))) == 5
