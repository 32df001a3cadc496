from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from relcon_lightning.augment import Augmentation, Negate, SegmentPermutation, TimeFlip
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.methods import AugPred
from relcon_lightning.methods.augpred import saeed_tasks, yuan_tasks
from relcon_lightning.nets import ResNet1d


class Add(Augmentation):
    """Adds a power of two, so that the sum tells which tasks were applied."""

    def __init__(self, value: float) -> None:
        self.value = value

    def draws(self, time: int) -> int:
        return 0

    def apply(self, x, uniform):
        return x + self.value


def method(**options) -> AugPred:
    torch.manual_seed(0)
    made = AugPred(ResNet1d((8, 16), (1, 1), (3, 3)), **options).eval()
    made.log_values = lambda stage, **values: made.__dict__.setdefault("logged", {}).update(values)
    return made


def batch(n: int = 40, c: int = 2, time: int = 64) -> CandidateBatch:
    g = torch.Generator().manual_seed(1)
    return CandidateBatch.of(torch.randn(n, 3, time, generator=g), torch.randn(n, c, 3, time, generator=g))


def generator(seed: int = 3) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shown_to_the_encoder(augpred: AugPred, content) -> tuple[torch.Tensor, torch.Tensor]:
    seen: list[torch.Tensor] = []
    hook = augpred.encoder.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    loss = augpred.loss(content, generator(), "train")
    hook.remove()
    return seen[0], loss


def test_the_labels_are_what_was_applied():
    """Windows of zeros with sums of powers of two: the labels can be read off, and the loss is their cross-entropy."""
    augpred = method(tasks={"one": Add(1), "two": Add(2), "four": Add(4)}, weighted=False, turned=False)
    content = CandidateBatch.of(torch.zeros(200, 3, 64), torch.zeros(200, 0, 3, 64))
    x, loss = shown_to_the_encoder(augpred, content)
    code = x[:, 0, 0].round().long()
    applied = torch.stack([code & 1, code & 2, code & 4], 1) > 0
    assert (x == x[:, :1, :1]).all()
    share = applied.float().mean(0)
    assert ((share > 0.35) & (share < 0.65)).all()
    assert len(set(code.tolist())) == 8  # independent of each other
    logits = augpred.heads(augpred.encoder(x)).double()
    expected = [F.binary_cross_entropy_with_logits(logits[:, k], applied[:, k].double()) for k in range(3)]
    torch.testing.assert_close(loss.double(), sum(expected) / 3, rtol=1e-5, atol=1e-6)
    for name, k in (("one", 0), ("four", 2)):
        expected_accuracy = ((logits[:, k] > 0) == applied[:, k]).float().mean()
        torch.testing.assert_close(augpred.__dict__["logged"][f"accuracy_{name}"], expected_accuracy)


def test_still_windows_are_drawn_in_proportion_to_their_movement():
    content = batch(n=400, c=2)
    content.candidates.mul_(0.001)
    augpred = method(tasks={"negate": Negate()}, turned=False)
    x, _ = shown_to_the_encoder(augpred, content)
    assert x.shape == content["anchor"].shape
    assert (x.std(-1).mean(1) > 0.5).float().mean() > 0.97
    x, _ = shown_to_the_encoder(method(tasks={"negate": Negate()}, turned=False, weighted=False), content)
    torch.testing.assert_close(x.abs(), content["anchor"].abs())


def test_windows_without_any_movement_are_drawn_too():
    content = CandidateBatch.of(torch.ones(8, 3, 64), torch.ones(8, 1, 3, 64))
    assert method().loss(content, generator(), "train").isfinite()


def test_turning_comes_before_and_is_not_predicted():
    content = batch()
    augpred = method(tasks={"none": Add(0)}, weighted=False)
    x, _ = shown_to_the_encoder(augpred, content)
    torch.testing.assert_close(x.norm(dim=1), content["anchor"].norm(dim=1), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(x, content["anchor"])
    assert augpred.heads.out_features == 1


def test_the_order_of_the_axes_can_stay_as_it_is(monkeypatch):
    monkeypatch.setattr("relcon_lightning.methods.augpred.Rotation", lambda: lambda x, generator: x)
    content = CandidateBatch.of(torch.arange(3.0)[:, None].expand(600, 3, 64), torch.zeros(600, 0, 3, 64))
    x, _ = shown_to_the_encoder(method(tasks={"none": Add(0)}, weighted=False), content)
    orders, counts = x[:, :, 0].unique(dim=0, return_counts=True)
    assert len(orders) == 6
    assert (counts - 100).abs().max() < 50  # five standard deviations are 46


def test_the_tasks_are_those_of_the_papers():
    yuan = yuan_tasks()
    assert [type(task).__name__ for task in yuan.values()] == ["TimeFlip", "SegmentPermutation", "TimeWarp"]
    permute = yuan["permute"]
    assert isinstance(permute, SegmentPermutation)
    assert (permute.cuts, permute.shortest) == (3, 10)
    assert yuan["warp"].draws(256) == 18
    assert yuan_tasks(warp_per_axis=False)["warp"].draws(256) == 6
    assert len(saeed_tasks()) == 8


@pytest.mark.parametrize("time", [40, 64, 256])
def test_every_segment_has_ten_samples_or_more(time):
    ramp = torch.arange(float(time)).expand(500, 3, time)
    moved = SegmentPermutation(cuts=3, shortest=10)(ramp, generator())[:, 0]
    for row in moved:
        breaks = torch.cat([torch.tensor([0]), (row.diff() != 1).nonzero().squeeze(1) + 1, torch.tensor([time])])
        assert breaks.diff().min() >= 10
        assert len(breaks) <= 5


def test_every_parameter_learns_and_the_generator_decides():
    augpred = method(tasks={"flip": TimeFlip(), "negate": Negate()}).train()
    augpred.loss(batch(), generator(), "train").backward()
    assert all(p.grad is not None for p in augpred.parameters())
    augpred.eval()
    assert augpred.loss(batch(), generator(), "val") == augpred.loss(batch(), generator(), "val")
    assert augpred.loss(batch(), generator(), "val") != augpred.loss(batch(), generator(9), "val")
