from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from lightning import Trainer

from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule, CohortStore
from relcon_lightning.data.splits import Split
from relcon_lightning.errors import ConfigError, DataError
from relcon_lightning.methods import AugPred, DistanceLearning, RelCon, SimCLR
from relcon_lightning.nets import MotifDistance, small_resnet_1d


def module(store, **options):
    defaults = {"batch_size": 6, "n_candidates": 2, "window_s": 0.5, "ratios": (4, 2, 2)}
    made = CandidateDataModule(store.path, **{**defaults, **options})
    made.setup()
    return made


def take(loader, n):
    batches = iter(loader)
    return [next(batches) for _ in range(n)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 2, "participants_per_batch": 4}, "batch_size=2 is smaller than data.participants_per_batch=4"),
        ({"batch_size": 0}, "data.batch_size=0: expected a whole number, 1 or more"),
        ({"batch_size": 2.5}, "data.batch_size=2.5: expected a whole number"),
        ({"batch_size": True}, "data.batch_size=True: expected a whole number"),
        ({"participants_per_batch": 0}, "data.participants_per_batch=0"),
        ({"n_candidates": -1}, "data.n_candidates=-1: expected a whole number, 0 or more"),
        ({"num_workers": -1}, "data.num_workers=-1"),
        ({"val_batches": 0}, "data.val_batches=0"),
        ({"split_seed": None}, "data.split_seed=None"),
        ({"window_s": float("nan")}, "data.window_s=nan: expected a finite number above 0"),
        ({"sampling_rate": 0}, "data.sampling_rate=0"),
        ({"window_s": 0.014}, "data.window_s=0.014 makes 1 sample at 100 Hz; expected two or more"),
        ({"window_s": 0.001}, "data.window_s=0.001 makes 0 samples at 100 Hz; expected two or more"),
    ],
)
def test_a_number_that_cannot_be_is_refused_at_once(options, message):
    with pytest.raises(ConfigError, match=message):
        CandidateDataModule("no/store", **options)


def test_batch_has_the_promised_shapes_and_values(toy_store):
    batch = take(module(toy_store).train_dataloader(), 1)[0]
    assert batch["anchor"].shape == (6, 3, 50)
    assert batch["candidates"].shape == (6, 2, 3, 50)
    assert batch["anchor"].dtype == torch.float32
    recording, start = int(batch["recording"][4, 2]), int(batch["start"][4, 2])
    name = toy_store.recordings["recording_id"][recording]
    np.testing.assert_array_equal(batch["candidates"][4, 1].T, toy_store.read(name, start, start + 50))


def test_training_and_validation_draw_from_their_own_participants(toy_store):
    data = module(toy_store)
    owner = toy_store.recordings["participant_id"].to_numpy()
    for loader, part in ((data.train_dataloader(), data.split.train), (data.val_dataloader(), data.split.validation)):
        drawn = {p for batch in take(loader, 3) for p in owner[batch["recording"].numpy()].ravel()}
        assert drawn <= set(part)
        assert len(drawn) > 1


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_do_not_depend_on_the_number_of_workers(toy_store, workers):
    alone = take(module(toy_store, seed=5).train_dataloader(), 7)
    helped = take(module(toy_store, seed=5, num_workers=workers).train_dataloader(), 7)
    for a, b in zip(alone, helped, strict=True):
        assert a.tensors().keys() == b.tensors().keys()
        assert all(torch.equal(value, b[key]) for key, value in a.tensors().items())


def test_validation_batches_are_the_same_each_time(toy_store):
    data = module(toy_store, val_batches=2)
    first, second = list(data.val_dataloader()), list(data.val_dataloader())
    assert len(first) == 2
    assert all(torch.equal(a["anchor"], b["anchor"]) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0]["anchor"], first[1]["anchor"])


@pytest.mark.parametrize(
    ("method", "train", "val"),
    [
        (lambda net, distance: SimCLR(net), 0, 0),
        (lambda net, distance: AugPred(net, weighted=False), 0, 0),
        (lambda net, distance: AugPred(net), 2, 2),
        (lambda net, distance: RelCon(net, distance), 2, 2),
        (lambda net, distance: RelCon(net, distance, within_user=False), 0, 2),
        (lambda net, distance: DistanceLearning(distance), 0, 2),
    ],
)
def test_candidates_are_read_for_methods_that_use_them_and_anchors_stay(method, train, val, toy_store, monkeypatch):
    def batches(lightning_module) -> list[CandidateBatch]:
        trainer = {"global_rank": 0, "world_size": 1, "global_step": 0, "max_steps": 9, "accumulate_grad_batches": 1}
        data.trainer = SimpleNamespace(lightning_module=lightning_module, **trainer)
        return [take(loader, 1)[0] for loader in (data.train_dataloader(), data.val_dataloader())]

    data = module(toy_store)
    whole = batches(None)
    read = []
    gather = CohortStore.gather
    monkeypatch.setattr(CohortStore, "gather", lambda *of: read.append(len(of[1])) or gather(*of))
    some = batches(method(small_resnet_1d(), MotifDistance(channels=4)))
    assert [batch.candidates.shape[1] for batch in some] == [train, val]
    assert read == [6 * (1 + train), 6 * (1 + val)]
    for a, b in zip(whole, some, strict=True):
        assert torch.equal(a.anchor, b.anchor)
        assert torch.equal(a.start[:, : b.start.shape[1]], b.start)


def test_a_fit_tells_the_datamodule_that_no_candidates_are_used(toy_store, tmp_path):
    class Looking(SimCLR):
        def loss(self, batch, generator, stage):
            assert batch.candidates.shape == (6, 0, 3, 50)
            return super().loss(batch, generator, stage)

    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", max_steps=1, default_root_dir=tmp_path, enable_checkpointing=False, **quiet)
    trainer.fit(Looking(small_resnet_1d()), module(toy_store))
    assert trainer.global_step == 1


def test_no_candidates_gives_an_empty_axis(toy_store):
    batch = take(module(toy_store, n_candidates=0, participants_per_batch=2).train_dataloader(), 1)[0]
    assert batch["candidates"].shape == (6, 0, 3, 50)


def test_a_given_split_is_used(toy_store):
    split = Split(("p0", "p1"), ("p2",), ("p3",))
    assert module(toy_store, split=split).split is split


def test_a_store_of_another_rate_is_refused_with_the_mend(toy_store):
    with pytest.raises(DataError, match=r"holds signals at 100 Hz but 50 Hz are expected.*data\.sampling_rate=100"):
        module(toy_store, sampling_rate=50)


def test_a_missing_store_names_the_command(tmp_path):
    with pytest.raises(DataError, match="relcon-prepare"):
        CandidateDataModule(tmp_path / "nowhere").setup()


@pytest.mark.parametrize(("samples", "per_person"), [(2000, 8), (240, 6), (190, 4)])
def test_validation_batches_are_as_large_as_those_of_training_if_recordings_allow(make_store, samples, per_person):
    """Two people are held out where a training batch mixes four with four windows each."""
    store = make_store({f"p{i}": [samples, samples] for i in range(10)})
    data = module(store, batch_size=16, n_candidates=0, participants_per_batch=4, ratios=(4, 2, 4))
    assert len(take(data.train_dataloader(), 1)[0]["anchor"]) == 16
    batch = take(data.val_dataloader(), 1)[0]
    assert np.bincount(np.unique(batch["participant"], return_inverse=True)[1]).tolist() == [per_person] * 2
    places = set(zip(batch["recording"][:, 0].tolist(), batch["start"][:, 0].tolist(), strict=True))
    assert len(places) == 2 * per_person  # no window twice


def test_a_person_with_few_windows_is_not_left_out_for_larger_validation_batches(make_store):
    store = make_store({f"p{i}": [1000] * (1 + 9 * (i % 2)) for i in range(6)})  # 10 or 200 windows of 100 samples
    split = Split(("p1", "p3", "p5"), ("p0", "p2"), ("p4",))
    data = module(store, window_s=1, batch_size=18, n_candidates=0, participants_per_batch=3, split=split)
    assert data.val_sampler.participants == ["p0", "p2"]
    assert len(take(data.val_dataloader(), 1)[0]["anchor"]) == 18


def test_more_participants_a_batch_than_validation_has_still_validates(toy_store):
    data = module(toy_store, participants_per_batch=3, n_candidates=0, ratios=(5, 1, 2))
    batch = take(data.val_dataloader(), 1)[0]
    assert batch["participant"].unique().numel() == 1


def test_a_split_is_taken_from_a_file(toy_store, tmp_path):
    given = Split(("p0", "p1", "p2", "p3"), ("p4", "p5"), ("p6", "p7"))
    given.save(tmp_path / "split.json")
    assert module(toy_store, split=str(tmp_path / "split.json")).split == given
    Split(("p0", "stranger"), ("p4",), ("p6",)).save(tmp_path / "split.json")
    with pytest.raises(DataError, match=r"names participants who are not in .*: stranger"):
        module(toy_store, split=tmp_path / "split.json")
    (tmp_path / "split.json").write_text("[1]")
    with pytest.raises(ConfigError, match="is not a split of participants"):
        module(toy_store, split=tmp_path / "split.json")


def test_weights_must_be_a_column_of_numbers(toy_store):
    with pytest.raises(DataError, match="has no column 'participant_id' of numbers; it has n_recordings, n_samples"):
        module(toy_store, weights="participant_id")


@pytest.mark.parametrize(("people", "mixed"), [(3, 1), (4, 2), (6, 4), (9, 4)])
def test_a_batch_mixes_as_many_people_as_there_are(people, mixed, make_store, caplog):
    store = make_store({f"p{i}": [2000] * 2 for i in range(people)})
    data = module(store, batch_size=32, n_candidates=0, participants_per_batch=4, ratios=(10, 3, 3))
    for loader in (data.train_dataloader(), data.val_dataloader()):
        batch = take(loader, 1)[0]
        assert len(batch["anchor"]) == 8 * mixed
    assert len(take(data.train_dataloader(), 1)[0]["participant"].unique()) == mixed
    assert any("is lowered to" in line for line in caplog.messages) is (mixed < 4)


def test_people_without_enough_windows_do_not_count(make_store, caplog):
    store = make_store({"a": [2000], "b": [2000], "c": [60], "v": [2000], "t": [2000]})
    split = Split(("a", "b", "c"), ("v",), ("t",))
    data = module(store, batch_size=12, n_candidates=0, participants_per_batch=3, split=split)
    assert data.train_sampler.participants == ["a", "b"]
    assert len(take(data.train_dataloader(), 1)[0]["anchor"]) == 8
    assert "participants_per_batch=3 is lowered to 2" in caplog.text


def test_a_second_setup_neither_opens_the_store_again_nor_repeats_warnings(toy_store, caplog):
    data = module(toy_store, n_candidates=1, window_s=12.8, within_s=12.8)
    store, sampler = data.store, data.train_sampler
    assert "shorter than two windows" in caplog.text
    caplog.clear()
    data.setup("fit")
    assert data.store is store
    assert data.train_sampler is sampler
    assert not caplog.text
