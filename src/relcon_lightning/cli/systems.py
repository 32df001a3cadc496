"""The systems that ``relcon-eval`` compares: trained encoders, baselines and supervised networks."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from relcon_lightning.downstream.end_to_end import Nets
from relcon_lightning.downstream.systems import (
    NORMALISED,
    RANDOM,
    SCRATCH,
    P,
    Probe,
    RegressionProbe,
    Resampler,
    System,
    end_to_end,
    frozen,
    handcrafted,
    handcrafted_regression,
    handcrafted_under,
    normalised,
    training_mean,
)
from relcon_lightning.embed.embedder import find_device
from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.checkpoint import Checkpoint
from relcon_lightning.runs.compare import MethodRuns
from relcon_lightning.runs.networks import seeded

log = logging.getLogger(__name__)


def check_rates(config: DictConfig, trained: Sequence[MethodRuns]) -> None:
    """Log which encoders get resampled windows, and refuse to fine-tune an encoder on windows of another rate.

    Raises:
        ConfigError: Fine-tuning windows have another rate than the checkpoint.
    """
    rate = config.data.sampling_rate
    for one in trained:
        own = one.checkpoints[0].sampling_rate
        if own == rate:
            continue
        if not config.probe.frozen:
            raise ConfigError(
                f"{one.name} was trained at {own:g} Hz, but the windows have {rate:g} Hz. Fine-tune it on a cohort "
                f"that was prepared with data.sampling_rate={own:g}, or use a probe of the frozen encoder, such as "
                "probe=linear."
            )
        log.info("%s was trained at %g Hz: windows are resampled from %g Hz for it.", one.name, own, rate)


def regressors(config: DictConfig, trained: Sequence[MethodRuns]) -> list[System[RegressionProbe]]:
    """The trained encoders and the baselines, each with a regression probe."""
    if "regression" not in config.probe:
        raise ConfigError(f"The {config.probe.title} does not predict numbers: evaluate this task with probe=linear.")
    probe: Callable[[], RegressionProbe] = partial(instantiate, config.probe.regression)
    probe()
    rate = config.data.sampling_rate
    return [
        *_frozen(config, trained, probe),
        handcrafted_under(probe, rate),
        handcrafted_regression(rate),
        training_mean(),
    ]


def classifiers(config: DictConfig, trained: Sequence[MethodRuns]) -> list[System[Probe]]:
    """The trained encoders, the baselines with the architecture of the first encoder, and the supervised networks."""
    training = instantiate(config.training)
    baseline = OmegaConf.to_container(config.get("baseline") or OmegaConf.create())
    assert isinstance(baseline, dict)
    if config.probe.frozen and "head" not in config.probe:
        raise ConfigError(f"The {config.probe.title} predicts only numbers: evaluate this task with probe=linear.")
    if config.probe.frozen:
        probe: Callable[[], Probe] = partial(instantiate, config.probe.head)
        probe()  # refuses wrong settings before windows are embedded
        own = _frozen(config, trained, probe)
    else:
        with_head = partial(training, hidden=config.probe.hidden)
        own = [end_to_end(f"{one.name}, fine-tuned", _loader(one.checkpoints), with_head) for one in trained]
        own.append(end_to_end(SCRATCH, _fresh(trained), with_head))
    baselines = [end_to_end(str(name), seeded(net), training) for name, net in baseline.items()]
    return [*own, *baselines, handcrafted(config.data.sampling_rate)]


def _frozen(config: DictConfig, trained: Sequence[MethodRuns], probe: Callable[[], P]) -> list[System[P]]:
    """The trained encoders, and the first architecture with random weights, all with the same kind of probe."""
    device, resampler = find_device(config.device), Resampler(config.data.sampling_rate)
    own = [
        frozen(
            one.name,
            _loader(one.checkpoints),
            probe,
            len(one.checkpoints) > 1,
            device,
            partial(resampler.to, one.checkpoints[0].sampling_rate),
        )
        for one in trained
    ]
    fresh = _fresh(trained)
    return [*own, frozen(RANDOM, fresh, probe, device=device), normalised(NORMALISED, fresh, probe, device)]


def _fresh(trained: Sequence[MethodRuns]) -> Nets:
    return trained[0].checkpoints[0].fresh_encoder


def _loader(checkpoints: Sequence[Checkpoint]) -> Nets:
    """Function from seed k to the encoder of the k-th checkpoint, modulo the number of checkpoints."""
    return lambda seed: checkpoints[seed % len(checkpoints)].encoder()
