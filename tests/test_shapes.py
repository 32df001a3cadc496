"""Shapes in signatures hold, and the examples in docstrings are true."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest
import torch
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from relcon_lightning import losses
from relcon_lightning.nets import MotifDistance, SpectralDistance, sparsemax

checked = jaxtyped(typechecker=beartype)


@pytest.mark.parametrize(
    "module", ["relcon_lightning.losses", "relcon_lightning.augment", "relcon_lightning.downstream.metrics"]
)
def test_examples_in_docstrings_are_true(module):
    found = doctest.testmod(import_module(module))
    assert found.attempted > 1
    assert found.failed == 0


@pytest.mark.parametrize("distance", [MotifDistance(channels=8, kernel_size=7).eval(), SpectralDistance()], ids=type)
def test_distances_have_the_shapes_of_their_signatures(distance):
    anchors, others, own = torch.randn(4, 3, 32), torch.randn(5, 3, 32), torch.randn(4, 2, 3, 32)
    columns = torch.tensor([[0, 4], [1, 1], [2, 3], [4, 0]])
    for call, arguments in (
        (type(distance).pairwise, (anchors, own)),
        (type(distance).in_batch, (anchors,)),
        (type(distance).between, (anchors, others)),
        (type(distance).to_some, (anchors, others, columns)),
    ):
        checked(call)(distance, *arguments)
        with pytest.raises(TypeCheckError):
            checked(call)(distance, arguments[0][:, 0], *arguments[1:])


def test_the_net_and_its_attention_have_the_shapes_of_their_signatures():
    net, anchor, candidate = (
        MotifDistance(channels=8, kernel_size=7).eval(),
        torch.randn(4, 3, 32),
        torch.randn(4, 3, 32),
    )
    for call in (MotifDistance.forward, MotifDistance.distance, MotifDistance.attention):
        checked(call)(net, anchor, candidate)
        with pytest.raises(TypeCheckError):
            checked(call)(net, anchor, candidate[:2])
    assert checked(sparsemax)(torch.randn(2, 5)).shape == (2, 5)


@pytest.mark.parametrize("loss", [losses.relative_contrastive, losses.nearest_positive, losses.log_ratio])
def test_distances_of_other_candidates_are_noticed_in_the_tests(loss):
    with pytest.raises(TypeCheckError):
        loss(torch.rand(4, 3), torch.rand(4, 2))
