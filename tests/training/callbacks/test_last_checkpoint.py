"""Signals that a scheduler asks by, where a system has them and where it has not."""

from __future__ import annotations

import signal

import pytest

from relcon_lightning.training.callbacks import LastCheckpoint, last_checkpoint


@pytest.mark.parametrize("known", [True, False])
def test_sigusr2_is_listened_to_where_there_is_one_and_given_back(tmp_path, monkeypatch, known):
    if not known:
        monkeypatch.setattr(last_checkpoint, "_BEFORE_THE_LIMIT", None)
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGUSR2)
    callback = LastCheckpoint(tmp_path)
    try:
        callback.on_train_start(None, None)
        assert signal.getsignal(signal.SIGTERM) == callback._note
        assert signal.getsignal(signal.SIGUSR2) == (callback._note if known else before[1])
        callback.on_exception()
        assert signal.getsignal(signal.SIGUSR2) == before[1]
    finally:
        signal.signal(signal.SIGTERM, before[0])
        signal.signal(signal.SIGUSR2, before[1])
