"""RelCon and REBAR with a neighbour in time as the nearest candidate."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning.pytorch import Trainer

from relcon_lightning.augment import RandomAugmentations
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import nearest_and_relative, nearest_positive, nt_xent_loss, relative_contrastive
from relcon_lightning.methods import Rebar, RelCon
from relcon_lightning.nets import MotifDistance, ResNet1d, SpectralDistance
from tests import oracles
from tests.methods.neighbours import TAU, T, batch, loss, made

LOSSES = {
    relative_contrastive: oracles.relative_contrastive,
    nearest_positive: oracles.nearest_positive,
    nearest_and_relative: oracles.nearest_and_relative,
}


PEOPLE = (0, 0, 0, 1, 2)
# Anchors 0 and 1 overlap, and candidate 2 overlaps both. Candidate 0 begins where anchor 0 ends; it overlaps anchor 1
# and candidate 2. Candidate 1 has the samples of anchor 0 in another recording. Candidate 3 overlaps its own anchor.
STARTS = [[100, 164], [110, 100], [300, 120], [30, 60], [0, 500]]
RECORDINGS = [[0, 0], [0, 5], [0, 0], [1, 1], [2, 2]]
PLACED = (PEOPLE, STARTS, RECORDINGS)


def everyone(content):
    """All windows as (window, person, recording, start): the anchors, then the candidate of each."""
    found = []
    for column in range(2):
        for i in range(len(content)):
            window = content["anchor"][i] if column == 0 else content["candidates"][i, 0]
            known = content.start is not None
            place = (int(content["recording"][i, column]), int(content["start"][i, column])) if known else None
            found.append((window, int(content["participant"][i]), place))
    return found


def overlap(a, b):
    if a is None or b is None or a[0] != b[0]:
        return False
    return bool(set(range(a[1], a[1] + T)) & set(range(b[1], b[1] + T)))


def embedded(method, content, seed=0):
    """Embeddings of all windows, as the augmentation of this seed shows them."""
    shown = torch.stack([window for window, _, _ in everyone(content)])
    if method.view is not None:
        shown = method.view(shown, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return torch.cat([method.head(method.encoder(shown)[[i]]) for i in range(len(shown))]).numpy()


def by_loops(method, content):
    """Distances, mask and mask of the same person ``(2B, 2B)``, one pair at a time."""
    windows = everyone(content)
    n = len(windows)
    distances, mask, own = np.zeros((n, n)), np.zeros((n, n), dtype=bool), np.zeros((n, n), dtype=bool)
    for i, (a, person, place) in enumerate(windows):
        partner = i + n // 2 if i < n // 2 else i - n // 2
        for j, (b, other, elsewhere) in enumerate(windows):
            distances[i, j] = 0 if j == partner else float(method.distance.pairwise(a[None], b[None, None])[0, 0])
            mask[i, j] = j == partner or (j != i and not overlap(place, elsewhere))
            own[i, j] = mask[i, j] and person == other
    return distances, mask, own


def expected(method, content, oracle, seed=0):
    z, (distances, mask, _) = embedded(method, content, seed), by_loops(method, content)
    return oracle(z, np.broadcast_to(z, (len(z), *z.shape)), distances, TAU, mask)


@pytest.mark.parametrize("content", [PLACED, (PEOPLE,), ((3,),), ((0, 1),)], ids=["placed", "anywhere", "one", "two"])
@pytest.mark.parametrize("options", [{}, {"view": RandomAugmentations(), "projection": (12, 5)}], ids=["", "view"])
@pytest.mark.parametrize("kind", LOSSES)
def test_the_loss_is_that_of_a_loop_over_windows(kind, options, content):
    method, content = made(loss=kind, **options), batch(*content)
    for seed in (0, 1):
        found = loss(method, content, seed).item()
        assert found == pytest.approx(expected(method, content, LOSSES[kind], seed), rel=1e-9, abs=1e-12)


@settings(max_examples=25)
@given(
    places=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300), st.integers(0, 200)), min_size=1, max_size=5),
    kind=st.sampled_from(list(LOSSES)),
)
def test_wherever_the_windows_lie(places, kind):
    """Each anchor (recording, start) has its neighbour at most 100 samples before or after."""
    starts = [[start + 100, start + gap] for _, start, gap in places]
    recordings = [[recording, recording] for recording, _, _ in places]
    method, content = made(loss=kind), batch([recording // 2 for recording, _, _ in places], starts, recordings)
    found = expected(method, content, LOSSES[kind])
    assert loss(method, content).item() == pytest.approx(found, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("distance", [SpectralDistance, MotifDistance])
def test_each_of_two_neighbours_is_nearest_to_the_other_and_the_rest_as_far_as_they_are(distance):
    method, content = made(distance=distance), batch(*PLACED)
    ranked = method.rank(content, torch.Generator())
    distances, mask, own = by_loops(method, content)
    np.testing.assert_array_equal(ranked.mask, mask)
    np.testing.assert_array_equal(ranked.within, own)
    np.testing.assert_allclose(np.where(mask, ranked.distances, 0), np.where(mask, distances, 0), rtol=1e-5)
    assert ranked.mask.sum(1).tolist() == [7, 6, 9, 9, 9, 7, 9, 6, 9, 9]


def test_with_the_nearest_positive_alone_it_is_simclr_of_neighbours():
    content = batch((0, 0, 1, 2, 2, 2))
    for kind in (partial(nearest_and_relative, nearest=1.0), nearest_positive):
        method = made(loss=kind)
        z = method.encoder(content.pool)
        torch.testing.assert_close(loss(method, content), nt_xent_loss(z[:6], z[6:], TAU))
    torch.testing.assert_close(loss(made(Rebar), content), nt_xent_loss(z[:6], z[6:], TAU))


@pytest.mark.parametrize("alpha", [None, 0.0, 0.3, 1.0])
@pytest.mark.parametrize("options", [{}, {"view": RandomAugmentations(), "projection": (12, 5)}], ids=["", "view"])
def test_the_neighbour_is_the_positive_of_rebar(options, alpha):
    method, content = made(Rebar, temporal_weight=alpha, **options), batch(*PLACED)
    z, (_, mask, own) = embedded(method, content), by_loops(method, content)
    n, total = len(z), 0.0
    for i in range(n):
        positive = (i + n // 2) % n
        s = {j: oracles.cosine(z[i], z[j]) / TAU for j in range(n) if mask[i, j]}

        def term(negatives, s=s, positive=positive):
            return float(np.log(sum(np.exp(s[j]) for j in {positive, *negatives}))) - s[positive]

        near, far = ([j for j in s if own[i, j] == same] for same in (True, False))
        total += term(s) if alpha is None else alpha * term(near) + (1 - alpha) * term(far)
    assert loss(method, content).item() == pytest.approx(total / n, rel=1e-9)


def columns(method, content, ranked):
    """Which of all windows the candidates of each anchor are, found by their similarities."""
    z = embedded(method, content)
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    apart = np.abs(ranked.similarities.detach().numpy()[:, :, None] - (z @ z.T)[:, None])
    assert apart.min(2).max() < 1e-9
    return apart.argmin(2)


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("content", [PLACED, (PEOPLE,)], ids=["placed", "anywhere"])
@pytest.mark.parametrize("pairs", [1, 3, 7])
def test_among_some_pairs_the_neighbour_is_always_and_once(pairs, content, kind):
    method, content = made(pairs=pairs, loss=kind), batch(*content)
    distances, mask, own = by_loops(method, content)
    row = np.arange(10)[:, None]
    for seed in range(5):
        ranked = method.rank(content, torch.Generator().manual_seed(seed))
        chosen = columns(method, content, ranked)
        assert chosen.shape == (10, 1 + pairs)
        assert all(len(set(one)) == 1 + pairs for one in chosen.tolist())
        assert ((chosen == (row + 5) % 10).sum(1) == 1).all()
        assert (chosen != row).all()
        np.testing.assert_array_equal(ranked.mask, mask[row, chosen])
        np.testing.assert_array_equal(ranked.within, own[row, chosen])
        np.testing.assert_allclose(ranked.distances, distances[row, chosen], rtol=1e-5)
        # Those that overlap the anchor are drawn only if others are too few.
        np.testing.assert_array_equal(ranked.mask.sum(1), np.minimum(1 + pairs, mask.sum(1)))
        z = embedded(method, content)
        found = LOSSES[kind](z, z[chosen], distances[row, chosen], TAU, mask[row, chosen])
        assert loss(method, content, seed).item() == pytest.approx(found, rel=1e-9)


def test_every_other_window_is_drawn_as_often():
    method, content = made(pairs=2), batch((0, 1, 1, 2))
    counts = np.zeros((8, 8))
    for seed in range(150):
        for row, chosen in enumerate(
            columns(method, content, method.rank(content, torch.Generator().manual_seed(seed)))
        ):
            counts[row, chosen] += 1
    row = np.arange(8)
    assert (counts[row, row] == 0).all()
    assert (counts[row, (row + 4) % 8] == 150).all()
    others = counts[(row != row[:, None]) & (row != (row[:, None] + 4) % 8)]
    assert np.abs(others - 50).max() < 30  # 2 of 6 in 150 draws; five standard deviations are 29


@pytest.mark.parametrize("pairs", [8, 9, 100])
@pytest.mark.parametrize("kind", LOSSES)
def test_as_many_pairs_as_there_are_is_all_of_them(pairs, kind):
    content = batch(*PLACED)
    torch.testing.assert_close(loss(made(pairs=pairs, loss=kind), content), loss(made(loss=kind), content))


def test_windows_that_are_alike_are_as_far_from_an_anchor():
    method, content = made(), batch((0, 1, 2))
    content["candidates"][2] = content["anchor"][1]
    distances, _, _ = by_loops(method, content)
    assert distances[0, 1] == pytest.approx(distances[0, 5])
    assert loss(method, content).item() == pytest.approx(expected(method, content, LOSSES[relative_contrastive]))


def test_encoder_and_head_learn_from_anchors_and_candidates_and_the_distance_does_not():
    method, content = made(distance=MotifDistance, projection=(12, 5)).train(), batch((0, 0, 1))
    content.pool.requires_grad_()
    loss(method, content).backward()
    assert all(p.grad is not None for p in [*method.encoder.parameters(), *method.head.parameters()])
    assert all(p.grad is None for p in method.distance.parameters())
    assert not method.distance.training
    assert (content.pool.grad.abs().sum((1, 2)) > 0).all()


def test_the_loss_per_candidate_is_logged():
    method, content = made(), batch(*PLACED)
    logged = {}
    method.log_values = lambda stage, **values: logged.update(values)
    value = loss(method, content)
    _, mask, _ = by_loops(method, content)
    assert logged["loss_per_candidate"].item() == pytest.approx(value.item() / mask.sum(1).mean(), rel=1e-6)


@pytest.mark.parametrize("kind", [RelCon, Rebar])
@pytest.mark.parametrize(
    "options",
    [
        {"views": 2, "view": RandomAugmentations()},
        {"within_user": False},
        {"batch_candidates": False},
        {"within_user": False, "views": 2, "view": RandomAugmentations()},
    ],
)
def test_what_makes_no_sense_is_refused(options, kind):
    with pytest.raises(ConfigError, match=r"model\.neighbours=true pairs each anchor .*: set model\.views=1"):
        made(kind, **options)
    made(kind, neighbours=False, **options)


@pytest.mark.parametrize("kind", [RelCon, Rebar])
@pytest.mark.parametrize("drawn", [0, 2, 5])
def test_no_candidate_or_several_are_refused(drawn, kind):
    with pytest.raises(ConfigError, match=rf"needs one candidate per anchor, not {drawn}: set data\.n_candidates=1"):
        loss(made(kind), batch((0, 0, 1), drawn=drawn))


@pytest.mark.parametrize("kind", [RelCon, Rebar])
def test_candidates_of_all_recordings_are_refused_before_the_first_step(kind, toy_store, tmp_path):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    steps = {"max_steps": 1, "limit_val_batches": 0, "enable_checkpointing": False}

    def fit(within_s):
        data = CandidateDataModule(toy_store.path, window_s=0.64, batch_size=4, n_candidates=1, within_s=within_s)
        trainer = Trainer(accelerator="cpu", default_root_dir=tmp_path, **steps, **quiet)
        trainer.fit(made(kind).float(), data)
        return trainer.global_step

    with pytest.raises(ConfigError, match=r"model\.neighbours=true needs data\.within_s"):
        fit(None)
    assert fit(0.64) == 1


def test_neighbours_are_off_unless_asked_for():
    torch.manual_seed(0)
    plain = RelCon(ResNet1d((8, 16), (1, 1), (3, 3)), SpectralDistance(), temperature=TAU).double().eval()
    assert not plain.neighbours
    for drawn in (0, 1, 3):
        content = batch((0, 0, 1), drawn=drawn)
        assert plain.rank(content, torch.Generator()).similarities.shape == (3, drawn + 3)


@pytest.mark.parametrize("lengths", [[2000] * 4, [200]], ids=["room", "hardly room"])
@pytest.mark.parametrize("kind", LOSSES)
def test_batches_of_the_datamodule(kind, lengths, make_store):
    store = make_store({f"p{i}": lengths for i in range(4)})
    data = CandidateDataModule(store.path, window_s=0.64, batch_size=8, n_candidates=1, within_s=1.0)
    data.setup()
    content = next(iter(data.train_dataloader()))
    content = replace(content, pool=content.pool.double())
    method = made(loss=kind)
    overlaps = (~by_loops(method, content)[1]).sum() - 16
    assert overlaps > 0 or len(lengths) > 1
    assert loss(method, content).item() == pytest.approx(expected(method, content, LOSSES[kind]), rel=1e-6)
