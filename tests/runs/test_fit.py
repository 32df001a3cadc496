from __future__ import annotations

import time
from functools import partial

import pytest
import torch

from relcon_lightning import nets
from relcon_lightning.runs.fit import check_fit

SMALL = {"widths": [4, 8], "depths": [1, 1], "kernel_sizes": [3, 3]}


@pytest.mark.parametrize("name", [name for name in nets.__all__ if name not in ("ResNet1d", "sparsemax")])
def test_every_net_fits_its_own_weights(name):
    needed = {
        "EmbeddingDistance": lambda net: net(nets.small_resnet_1d()),
        "JointEncoder": lambda net: net([nets.small_resnet_1d(), nets.SpectralNet(128)]),
        "SpectralNet": lambda net: net(128),
    }
    make = partial(needed.get(name, lambda net: net()), getattr(nets, name))
    check_fit(make, make().state_dict())


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"widths": [10**5, 10**5]}, "much larger net"),
        ({"widths": [10**18, 8]}, "larger net|cannot be built"),
        ({"depths": [1, 10**9]}, "much larger net"),
        ({"widths": [0, 0], "depths": [10**9, 1]}, "much larger net"),
        ({"kernel_sizes": [3, 10**9]}, "much larger net"),
        ({"widths": [4, 9]}, "size mismatch"),
        ({"depths": [1, 2]}, "is missing"),
        ({"widths": "wide"}, "cannot be built"),
        ({"pools": [1.5, "x"]}, "cannot be built"),
    ],
)
def test_a_net_of_another_size_is_refused_at_once(change, message):
    weights = nets.ResNet1d(**SMALL).state_dict()
    begin = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        check_fit(partial(nets.ResNet1d, **(SMALL | change)), weights)
    assert time.perf_counter() - begin < 5


def test_weights_that_the_net_has_not_are_named():
    weights = {**nets.ResNet1d(**SMALL).state_dict(), "more": torch.zeros(1)}
    with pytest.raises(ValueError, match="more is not in the net"):
        check_fit(partial(nets.ResNet1d, **SMALL), weights)
