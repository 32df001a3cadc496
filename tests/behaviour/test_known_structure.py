"""What the methods learn where the truth is known: motifs of people who differ in tempo, vigour and how they wear the
device. Everything is judged on people who were not trained on.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from relcon_lightning.augment import Augmentation, ContiguousMask, RandomAugmentations, TimeFlip
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import MotifDistance, SpectralDistance, small_resnet_1d
from tests.margins import assert_above

TIME, RATE, MOTIFS = 64, 50, (1.2, 2.0, 3.1, 4.5)  # samples, Hz, base frequencies
TRAINED_ON, UNSEEN = range(6), range(6, 12)


def motif(kind: int, person: int, n: int, g: torch.Generator) -> Tensor:
    """``(n, 3, TIME)`` in g: three harmonics at any phase on top of the gravity of the person's wrist."""
    own, of_kind = torch.Generator().manual_seed(100 + person), torch.Generator().manual_seed(kind)
    tempo, vigour = 0.85 + 0.3 * torch.rand(1, generator=own), 0.35 + 0.3 * torch.rand(1, generator=own)
    gravity = torch.nn.functional.normalize(torch.randn(3, generator=own), dim=0)
    size = torch.randn(3, 3, generator=of_kind) * torch.tensor([1.0, 0.6, 0.4])  # axis, harmonic
    shift = 2 * pi * torch.rand(3, 3, generator=of_kind)
    t = torch.arange(TIME) / RATE + 5 * torch.rand(n, 1, generator=g)
    angle = 2 * pi * MOTIFS[kind] * tempo * t[:, None, :, None] * torch.arange(1, 4) + shift[:, None]
    wave = (size[:, None] * torch.sin(angle)).sum(-1)
    return vigour * wave + gravity[:, None] + 0.03 * torch.randn(n, 3, TIME, generator=g)


def mixed(g: torch.Generator, n: int, people: range) -> tuple[Tensor, Tensor]:
    """Windows of any motif and person, and whose they are."""
    kind, person = torch.randint(len(MOTIFS), (n,), generator=g), torch.randint(len(people), (n,), generator=g)
    rows = [motif(k, people[p], 1, g) for k, p in zip(kind.tolist(), person.tolist(), strict=True)]
    return torch.cat(rows), person


def turned_and_noisy(x: Tensor, g: torch.Generator) -> Tensor:
    """The device turned on the wrist by any angle about the direction of gravity, and 0.1 g of noise."""
    a = torch.nn.functional.normalize(x.mean(-1), dim=1)
    angle = pi * (2 * torch.rand(len(x), 1, 1, generator=g) - 1)
    zero = torch.zeros(len(x))
    cross = torch.stack([zero, -a[:, 2], a[:, 1], a[:, 2], zero, -a[:, 0], -a[:, 1], a[:, 0], zero], 1).view(-1, 3, 3)
    rotation = torch.eye(3) + angle.sin() * cross + (1 - angle.cos()) * cross @ cross
    return rotation @ x + 0.1 * torch.randn(x.shape, generator=g)


def trained(augmentation: Augmentation, seed: int, steps: int = 100) -> MotifDistance:
    torch.manual_seed(seed)
    g = torch.Generator().manual_seed(seed)
    net = MotifDistance(channels=16, kernel_size=9)
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(steps):
        x, _ = mixed(g, 24, TRAINED_ON)
        optimizer.zero_grad()
        net.distance(x, augmentation(x, g)).mean().backward()
        optimizer.step()
    return net.eval()


def separation(distance: MotifDistance, near: Callable[..., Tensor], far: Callable[..., Tensor]) -> float:
    """Mean logarithm of how many times farther ``far(kind, person, g)`` is from a motif of that kind and person than
    ``near``: 0 where nothing is told apart. It has no ceiling, which a share of correct answers has.
    """
    g = torch.Generator().manual_seed(7)
    ratios = []
    with torch.no_grad():
        for person in UNSEEN:
            for kind in range(len(MOTIFS)):
                anchor = motif(kind, person, 8, g)
                to_near, to_far = (distance.distance(anchor, make(kind, person, g)) for make in (near, far))
                ratios.append((to_far / to_near).log().mean())
    return torch.stack(ratios).mean().item()


def same(kind: int, person: int, g: torch.Generator) -> Tensor:
    """The same motif of the same person."""
    return motif(kind, person, 8, g)


def another(kind: int, person: int, g: torch.Generator) -> Tensor:
    """Another motif of the same person."""
    return motif((kind + 1 + int(torch.randint(3, (1,), generator=g))) % len(MOTIFS), person, 8, g)


def reversed_in_time(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda kind, person, g: TimeFlip()(make(kind, person, g), g)


@pytest.fixture(scope="module")
def distance(training_seed) -> MotifDistance:
    return trained(RandomAugmentations(), training_seed)


@pytest.fixture(scope="module")
def without_augmentations(training_seed) -> MotifDistance:
    """Masked reconstruction, the ablation of Table 5."""
    return trained(ContiguousMask(), training_seed)


def test_a_motif_is_recognised(distance, training_seed):
    assert_above(separation(distance, same, another), 0.5, "separation")


def test_a_motif_is_recognised_under_rotation_and_noise(distance, training_seed):
    def worn_otherwise(kind: int, person: int, g: torch.Generator) -> Tensor:
        return turned_and_noisy(same(kind, person, g), g)

    assert_above(separation(distance, worn_otherwise, another), 0.3, "separation")


def test_augmentations_keep_the_separation_under_time_reversal(distance, without_augmentations, training_seed):
    """A rotation that moves gravity, or noise, is no better with augmentations."""
    nets = (distance, without_augmentations)
    plain = [separation(net, same, another) for net in nets]
    assert_above(min(plain), 0.3, "separation without time reversal")  # a share of less says nothing
    flipped = [separation(net, reversed_in_time(same), reversed_in_time(another)) for net in nets]
    kept = [after / before for after, before in zip(flipped, plain, strict=True)]
    assert_above(kept[0] - kept[1], 0.25, "difference of the shares that are kept")


def test_a_participant_is_nearer_than_a_stranger_who_wears_the_device_alike(distance, training_seed):
    """By tempo and vigour: gravity, which an untrained distance compares as well, is that of the participant."""

    def stranger(kind: int, person: int, g: torch.Generator) -> Tensor:
        x = motif(kind, UNSEEN[(person - UNSEEN[0] + 1) % len(UNSEEN)], 8, g)
        return x - x.mean(-1, keepdim=True) + same(kind, person, g).mean(-1, keepdim=True)

    assert_above(separation(distance, same, stranger), 0.08, "separation")


def test_the_embedding_of_relcon_ranks_windows_of_unseen_people_as_the_distance_does(training_seed):
    torch.manual_seed(training_seed)
    g = torch.Generator().manual_seed(training_seed)
    distance = SpectralDistance()  # which costs less than the motif distance, and ranks as well
    method = RelCon(small_resnet_1d(), distance, temperature=0.1)
    # One person at a time: between people the direction of gravity decides, which a random encoder tells as well.
    people = [mixed(torch.Generator().manual_seed(9), 24, range(p, p + 1))[0] for p in UNSEEN]
    others = ~torch.eye(24, dtype=torch.bool)

    def agreement() -> float:
        """Mean over anchors of Spearman's correlation of cosine distances and distances of the candidates."""
        method.eval()
        with torch.no_grad():
            tables = [(method.ranking(windows), distance.in_batch(windows)) for windows in people]
        method.train()
        rows = [
            spearmanr(e[keep], d[keep]).statistic
            for by_embedding, by_distance in tables
            for e, d, keep in zip(by_embedding, by_distance, others, strict=True)
        ]
        return sum(rows) / len(rows)

    before = agreement()
    optimizer = torch.optim.Adam(method.parameters(), lr=1e-3)
    for _ in range(100):
        anchor, person = mixed(g, 24, TRAINED_ON)
        batch = CandidateBatch.of(anchor, torch.zeros(24, 0, 3, TIME), person)
        optimizer.zero_grad()
        method.loss(batch, g, "train").backward()
        optimizer.step()
    after = agreement()
    assert_above(after - before, 0.05, "gain")
    assert_above(after, 0.75, "Spearman's correlation")
