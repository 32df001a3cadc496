"""Who is a candidate of whom: other people alone, and nobody who overlaps the anchor in time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer

from relcon_lightning.augment import Augmentation, Negate
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.errors import ConfigError
from relcon_lightning.losses import log_ratio, nearest_positive
from relcon_lightning.methods import Rebar, RelCon
from relcon_lightning.nets import ResNet1d, SpectralDistance
from tests import oracles

T, TAU = 64, 0.3


class Louder(Augmentation):
    """Scales each axis by a fixed factor, so that a test can make the same view."""

    def draws(self, time: int) -> int:
        return 0

    def apply(self, x, uniform):
        return x * torch.tensor([1.1, 0.9, 1.2], dtype=x.dtype)[:, None]


def made(kind=RelCon, **options):
    torch.manual_seed(0)
    options = {"temperature": TAU, "augmentation": Negate(), **options}
    if options.get("views") == 2:
        options["view"] = Louder()
    return kind(ResNet1d((8, 16), (1, 1), (3, 3)), SpectralDistance(), **options).double().eval()


def batch(people, starts=None, recordings=None, drawn=2):
    """Anchors of ``people``, where ``starts`` says at those samples of ``recordings``, with ``drawn`` candidates."""
    g = torch.Generator().manual_seed(len(people))
    draw = {"generator": g, "dtype": torch.float64}
    content = CandidateBatch.of(
        torch.randn(len(people), 3, T, **draw), torch.randn(len(people), drawn, 3, T, **draw), torch.tensor(people)
    )
    if starts is None:
        return content
    return replace(content, start=torch.tensor(starts), recording=torch.tensor(recordings))


def overlap(content, i, j):
    """Whether two windows share a sample of a recording; each is an anchor and the number of one of its windows."""
    if content.start is None:
        return False
    same = content["recording"][i] == content["recording"][j]
    a, b = (set(range(int(content["start"][k]), int(content["start"][k]) + T)) for k in (i, j))
    return bool(same) and bool(a & b)


def by_loops(method, content, within_user=True):
    """Eq. 7 one anchor, view and candidate at a time, float64; candidates of the paper's section 3.2."""
    x, people, n = content["anchor"], content["participant"].tolist(), len(content["anchor"])

    def embed(window):
        with torch.no_grad():
            return method.encoder(window[None])[0].numpy()

    def apart(a, b):
        return float(method.distance.pairwise(a[None], b[None, None])[0, 0])

    views = [x] if method.views == 1 else [Louder().apply(x, None), Louder().apply(x, None)]
    shown = (lambda w: w) if method.views == 1 else (lambda w: Louder().apply(w[None], None)[0])
    total = 0.0
    for v, view in enumerate(views):
        for i in range(n):
            z, d = [], []
            for c, candidate in enumerate(content["candidates"][i] if within_user else []):
                if not overlap(content, (i, 0), (i, c + 1)):
                    z.append(embed(shown(candidate)))
                    d.append(apart(x[i], candidate))
            if not within_user and method.views == 1:
                z.append(embed(-x[i]))
                d.append(apart(x[i], -x[i]))
            for w, others in enumerate(views):
                for j in range(n):
                    mine = i == j
                    if (mine and v == w) or (not mine and overlap(content, (i, 0), (j, 0))):
                        continue
                    if not within_user and not mine and people[i] == people[j]:
                        continue
                    z.append(embed(others[j]))
                    d.append(0.0 if mine else apart(x[i], x[j]))
            if z:
                total += oracles.relative_contrastive(embed(view[i])[None], np.array(z)[None], np.array(d)[None], TAU)
    return total / (len(views) * n)


def loss(method, content, seed=0):
    return method.loss(content, torch.Generator().manual_seed(seed), "train")


GROUPED = (0, 0, 0, 1, 1, 2)
# Anchors 0 and 1 overlap, 2 begins where 0 ends, 3 has the samples of 0 in another recording; of the candidates the
# second of anchor 0 and the first of anchor 4 overlap their anchors.
STARTS = [[100, 400, 130], [163, 500, 600], [164, 700, 800], [100, 0, 900], [30, 93, 94], [0, 64, 128]]
RECORDINGS = [[0, 0, 0], [0, 0, 0], [0, 0, 0], [1, 1, 1], [1, 1, 1], [2, 2, 2]]


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("people", [GROUPED, (0, 1, 2, 3, 4, 5), (0, 0, 0, 0, 0, 1), (0, 1)])
def test_without_within_user_no_candidate_is_of_the_anchors_person(people, views):
    method, content = made(within_user=False, views=views), batch(people)
    assert loss(method, content).item() == pytest.approx(by_loops(method, content, within_user=False), rel=1e-9)


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("within_user", [True, False])
def test_a_candidate_that_overlaps_its_anchor_does_not_count(within_user, views):
    method, content = made(within_user=within_user, views=views), batch(GROUPED, STARTS, RECORDINGS)
    expected = by_loops(method, content, within_user)
    assert loss(method, content).item() == pytest.approx(expected, rel=1e-9)
    elsewhere = batch(GROUPED, STARTS, [[k, k, k] for k in range(6)])
    if within_user:
        assert loss(method, elsewhere).item() != pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("views", [1, 2])
def test_pairs_are_drawn_among_those_that_count(views):
    method, content = made(within_user=False, pairs=2, views=views), batch(GROUPED, STARTS, RECORDINGS)
    anchors = content["anchor"]
    everyone = method.distance.between(anchors, anchors)
    other = content["participant"][:, None] != content["participant"]
    copies = everyone.new_zeros(6) if views == 2 else method.distance.pairwise(anchors, -anchors[:, None])[:, 0]
    seen = torch.zeros(6, 6, dtype=torch.bool)
    for seed in range(40):
        ranked = method.rank(content, torch.Generator().manual_seed(seed))
        for row in range(6 * views):
            found = sorted(ranked.distances[row][ranked.mask[row]].tolist())
            own = copies[row % 6].item()
            del found[int(np.abs(np.array(found) - own).argmin())]
            assert len(found) == 2 * views
            near = (torch.tensor(found, dtype=torch.float64)[:, None] - everyone[row % 6]).abs() < 1e-9
            assert near.any(1).all()
            seen[row % 6] |= near.any(0)
    assert torch.equal(seen, other)


def test_too_few_others_than_pairs_are_taken_once():
    ranked = made(within_user=False, pairs=3).rank(batch((0, 0, 0, 0, 1, 1)), torch.Generator().manual_seed(0))
    assert ranked.mask.sum(1).tolist() == [3, 3, 3, 3, 4, 4]  # and the augmented copy
    assert ranked.within.sum(1).tolist() == [1] * 6


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("people", [(3, 3, 3), (3,)])
def test_a_batch_of_one_person_is_refused(people, views):
    with pytest.raises(ConfigError, match=r"within_user=false.*data\.participants_per_batch to 2"):
        loss(made(within_user=False, views=views), batch(people))
    assert loss(made(views=views), batch(people)).isfinite()


def test_no_windows_of_others_at_all_are_refused():
    with pytest.raises(ConfigError, match=r"set model\.batch_candidates=true"):
        made(within_user=False, batch_candidates=False)


@pytest.mark.parametrize("sizes", [{"participants_per_batch": 1}, {"ratios": (6, 1, 1)}])
def test_one_person_at_a_time_is_refused_before_the_first_step(sizes, toy_store, tmp_path):
    data = CandidateDataModule(toy_store.path, window_s=0.64, batch_size=8, n_candidates=0, **sizes)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    trainer = Trainer(accelerator="cpu", max_steps=1, default_root_dir=tmp_path, enable_checkpointing=False, **quiet)
    method = made(within_user=False).float()
    method.loss = lambda *_: pytest.fail("a step was made")
    with pytest.raises(ConfigError, match="only one participant"):
        trainer.fit(method, data)


@pytest.mark.parametrize("kind", [nearest_positive, log_ratio])
def test_an_anchor_that_overlaps_all_others_has_no_loss(kind):
    """Two windows of one place and none other: nothing to compare, and no NaN."""
    method = made(loss=kind)
    content = batch((0, 0), [[0], [10]], [[0], [0]], drawn=0)
    value = loss(method, content)
    assert value == 0
    value.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())
    three = batch((0, 0, 1, 1), [[0], [10], [0], [64]], [[0], [0], [1], [2]], drawn=0)
    assert loss(method, three).isfinite()


def test_rebar_takes_no_positive_that_overlaps_its_anchor():
    """The windows of anchors 0 and 1 are nearly the same, as overlapping ones are."""
    method = made(Rebar)
    content = batch((0, 0, 0, 1, 1), [[0], [1], [500], [0], [500]], [[0]] * 3 + [[1]] * 2, drawn=0)
    content["anchor"][1] = content["anchor"][0] + 1e-6
    ranked = method.rank(content, torch.Generator())
    assert ranked.within.nonzero().tolist() == [[0, 2], [1, 2], [2, 0], [2, 1], [3, 4], [4, 3]]
    assert loss(method, content).item() > 0.1


def test_a_tiny_cohort_has_overlapping_anchors_and_they_are_masked(make_store):
    store = make_store({f"p{i}": [200] for i in range(4)})
    data = CandidateDataModule(store.path, window_s=0.64, batch_size=12, n_candidates=0, participants_per_batch=None)
    data.setup()
    content = next(iter(data.train_dataloader()))
    content = replace(content, pool=content.pool.double())
    found = sum(overlap(content, (i, 0), (j, 0)) for i in range(12) for j in range(12) if i != j)
    assert found > 0
    method = made()
    assert loss(method, content).item() == pytest.approx(by_loops(method, content), rel=1e-6)
