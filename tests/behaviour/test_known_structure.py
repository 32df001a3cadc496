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
from relcon_lightning.methods import RelCon
from relcon_lightning.nets import MotifDistance, small_resnet_1d

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


def trained(augmentation: Augmentation, steps: int = 150, seed: int = 0) -> MotifDistance:
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


def nearer(distance: MotifDistance, first: Callable[..., Tensor], second: Callable[..., Tensor]) -> float:
    """How often ``first(kind, person, g)`` is nearer than ``second`` to a motif of the same kind and person."""
    g = torch.Generator().manual_seed(7)
    wins = []
    with torch.no_grad():
        for person in UNSEEN:
            for kind in range(len(MOTIFS)):
                anchor = motif(kind, person, 8, g)
                near, far = (distance.distance(anchor, make(kind, person, g)) for make in (first, second))
                wins.append((near < far).float().mean())
    return torch.stack(wins).mean().item()


def another(kind: int, person: int, g: torch.Generator) -> Tensor:
    """Another motif of the same person."""
    return motif((kind + 1 + int(torch.randint(3, (1,), generator=g))) % len(MOTIFS), person, 8, g)


@pytest.fixture(scope="module")
def distance() -> MotifDistance:
    return trained(RandomAugmentations())


@pytest.fixture(scope="module")
def without_augmentations() -> MotifDistance:
    """Masked reconstruction, the ablation of Table 5."""
    return trained(ContiguousMask())


def test_a_motif_is_recognised_under_rotation_and_noise(distance):
    def same(kind: int, person: int, g: torch.Generator) -> Tensor:
        return turned_and_noisy(motif(kind, person, 8, g), g)

    # Seeds 0 to 4 with SSE4.1 and AVX2, seeds 0 to 3 with AVX-512: 0.32 to 0.69 before, 0.74 to 0.92 after. Seed 0,
    # which is tested, is the lowest of most: 0.60 before, 0.74 to 0.80 after.
    before = nearer(trained(RandomAugmentations(), steps=1), same, another)
    after = nearer(distance, same, another)
    assert after > before + 0.1
    assert after > 0.7


def test_without_augmentations_it_is_recognised_less(distance, without_augmentations):
    """Under time reversal, that is; a rotation that moves gravity, or noise, is no better with augmentations."""
    flip = TimeFlip()

    def same(kind: int, person: int, g: torch.Generator) -> Tensor:
        return flip(motif(kind, person, 8, g), g)

    def other(kind: int, person: int, g: torch.Generator) -> Tensor:
        return flip(another(kind, person, g), g)

    with_, without = (nearer(net, same, other) for net in (distance, without_augmentations))
    assert with_ > without + 0.02
    assert with_ > 0.95  # 0.984 and more over the same seeds and instruction sets


def test_a_participant_is_nearer_than_a_stranger(distance):
    def own(kind: int, person: int, g: torch.Generator) -> Tensor:
        return motif(kind, person, 8, g)

    def stranger(kind: int, person: int, g: torch.Generator) -> Tensor:
        return motif(kind, UNSEEN[(person - UNSEEN[0] + 1) % len(UNSEEN)], 8, g)

    assert nearer(distance, own, stranger) > 0.95


def test_the_embedding_of_relcon_keeps_the_ranking_better_than_before(distance, record_property):
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(0)
    method = RelCon(small_resnet_1d(), distance, temperature=0.1)
    # One person at a time: between people the direction of gravity decides, which a random encoder tells as well.
    people = [mixed(torch.Generator().manual_seed(9), 24, range(p, p + 1))[0] for p in UNSEEN]
    others = ~torch.eye(24, dtype=torch.bool)

    def agreement() -> float:
        """Mean over anchors of Spearman's correlation of cosine distances and motif distances of the candidates."""
        method.eval()
        with torch.no_grad():
            tables = [(method.ranking(windows), distance.in_batch(windows)) for windows in people]
        method.train()
        rows = [
            spearmanr(e[keep], m[keep]).statistic
            for by_embedding, by_motif in tables
            for e, m, keep in zip(by_embedding, by_motif, others, strict=True)
        ]
        return sum(rows) / len(rows)

    before = agreement()
    optimizer = torch.optim.Adam([p for p in method.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(200):
        anchor, person = mixed(g, 24, TRAINED_ON)
        batch = {"anchor": anchor, "candidates": torch.zeros(24, 0, 3, TIME), "participant": person}
        optimizer.zero_grad()
        method.loss(batch, g, "train").backward()
        optimizer.step()
    after = agreement()
    record_property("spearman", f"{before:.2f} before, {after:.2f} after")
    print(f"Spearman's correlation of embedding and motif distance: {before:.2f} before training, {after:.2f} after")
    # Seeds 0, 1 and 2 with AVX-512: 0.67, 0.40 and 0.60 before, 0.74, 0.69 and 0.76 after.
    assert after > before + 0.03
    assert after > 0.6
