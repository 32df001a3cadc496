"""The compiled distances are the distances, and nothing is lost where they cannot be had."""

from __future__ import annotations

import copy
import sys

import pytest
import torch

from relcon_lightning.nets import MotifDistance, motif_distance
from relcon_lightning.nets.sparsemax import newton_sparsemax, sparsemax


def build(**options) -> MotifDistance:
    torch.manual_seed(0)
    return MotifDistance(channels=8, kernel_size=5, chunk=8, **options).eval()


def windows(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).cumsum(-1) / 4


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("options", [{}, {"attention": "softmax"}, {"statistics": "own"}], ids=str)
def test_fused_equals_plain_for_full_and_short_chunks(options):
    """Seven windows give 49 pairs: six chunks of eight and one pair that is left over."""
    net, x, candidates = build(**options), windows(7, 3, 32), windows(3, 5, 3, 32, seed=1)
    fused = copy.deepcopy(net)
    fused.fused = True
    with torch.no_grad():
        torch.testing.assert_close(fused.in_batch(x), net.in_batch(x), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            fused.pairwise(x[:3], candidates), net.pairwise(x[:3], candidates), rtol=1e-4, atol=1e-4
        )
        with torch.no_grad():
            fused.output.weight.mul_(2)  # the code is shared by all nets, the weights are not
            net.output.weight.mul_(2)
        torch.testing.assert_close(fused.in_batch(x), net.in_batch(x), rtol=1e-4, atol=1e-4)
    assert fused.fused, "torch.compile did not work here"


def test_training_and_gradients_do_not_go_through_compiled_code(monkeypatch):
    def forbidden():
        raise AssertionError("compiled code was asked for")

    monkeypatch.setattr(motif_distance, "_compiled", forbidden)
    net, x = build(fused=True), windows(3, 3, 32)
    net.in_batch(x).sum().backward()
    assert net.output.weight.grad is not None
    with torch.no_grad():
        net.train().in_batch(x)
        with pytest.raises(AssertionError):
            net.eval().in_batch(x)


def test_without_a_compiler_a_warning_and_the_same_numbers(monkeypatch, caplog):
    def no_compiler():
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand a long story")

    monkeypatch.setattr(motif_distance, "_compiled", no_compiler)
    net, x = build(fused=True), windows(5, 3, 32)
    with torch.no_grad():
        found = net.in_batch(x)
        net.in_batch(x)
    assert [m for m in caplog.messages if "does not work here (InvalidCxxCompiler: No working" in m] == caplog.messages
    assert len(caplog.messages) == 1
    with torch.no_grad():
        torch.testing.assert_close(found, build().in_batch(x), rtol=0, atol=0)


def test_attention_that_newton_did_not_settle_is_computed_again_exactly(monkeypatch):
    calls = []

    def unsettled(net, *pairs):
        calls.append(len(pairs[0]))
        return torch.full((len(pairs[0]),), torch.nan), torch.tensor(False)

    monkeypatch.setattr(motif_distance, "_compiled", lambda: unsettled)
    net, x = build(fused=True), windows(3, 3, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.in_batch(x), build().in_batch(x), rtol=0, atol=0)
    assert calls == [8, 8]  # nine pairs: every chunk has one shape


@pytest.mark.parametrize("scale", [0.01, 0.1, 0.2, 0.3, 1.0, 50.0])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_newton_alone_is_sparsemax_where_it_says_so(scale, dtype):
    z = (scale * torch.randn(200, 256, generator=torch.Generator().manual_seed(1))).to(dtype)
    p, settled = newton_sparsemax(z)
    assert settled
    assert p.dtype == dtype
    torch.testing.assert_close(p, sparsemax(z))


def test_newton_says_where_it_has_not_arrived(monkeypatch):
    z = torch.randn(20, 64, generator=torch.Generator().manual_seed(1))
    exact = sparsemax(z)
    for name in ("_COMPILED_STEPS", "_NEWTON_STEPS"):
        monkeypatch.setattr(sys.modules[newton_sparsemax.__module__], name, 2)
    p, settled = newton_sparsemax(z)
    assert not settled
    assert not torch.allclose(p, exact)
    torch.testing.assert_close(sparsemax(z), exact)  # which sorts what has not settled
