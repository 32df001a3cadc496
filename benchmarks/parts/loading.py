"""Batches of anchors and candidates: one file per window with a folder listing per item, and this package's store."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.machine import Machine
from benchmarks.material import Size, cohort, signals
from benchmarks.parts.scheme import batches
from benchmarks.timing import Row, Variant, compare
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CohortStore


class WindowFiles(Dataset[tuple[Tensor, Tensor]]):
    """Files ``root/participant/00000.npy`` with one window ``(3, T)`` each; item i is window i with its candidates."""

    def __init__(self, root: Path, candidates: int) -> None:
        self.root, self.candidates = root, candidates
        self.files = sorted(root.glob("*/*.npy"))

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        """Anchor ``(3, T)`` and candidates ``(c, 3, T)`` from the same folder."""
        anchor = self.files[i]
        others = [file for file in sorted(anchor.parent.iterdir()) if file != anchor]
        chosen = torch.randperm(len(others))[: self.candidates].tolist()
        return _load(anchor), torch.stack([_load(others[k]) for k in chosen])


def _load(file: Path) -> Tensor:
    return torch.from_numpy(np.load(file))


def write_windows(root: Path, size: Size) -> None:
    """Write the recordings as consecutive windows."""
    for i, signal in enumerate(signals(size.participants, size.minutes)):
        folder = root / f"p{i:03d}"
        folder.mkdir(parents=True)
        for k in range(len(signal) // size.time):
            window = signal[k * size.time : (k + 1) * size.time].T
            np.save(folder / f"{k:05d}.npy", np.ascontiguousarray(window))


def endless(loader: DataLoader[tuple[Tensor, Tensor]]) -> Iterator[list[Tensor]]:
    """Iterate over the loader without end."""
    while True:
        yield from loader


def rows(size: Size, machine: Machine) -> list[Row]:
    """Rows for cached files that are read in this process; ``benchmarks/stores.py`` compares formats."""
    participants, minutes = size.worn
    size = replace(size, participants=participants, minutes=minutes)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "windows"
        write_windows(root, size)
        store = cohort(Path(folder) / "cohort", size)
        files = WindowFiles(root, size.candidates)
        _check_files(files, store, size)
        theirs = endless(DataLoader(files, batch_size=size.batch, shuffle=True, drop_last=True))
        ours = batches(Path(store.path), size, size.batch, size.candidates, None)
        _check_batch(next(ours), size)
        variants = [
            Variant("one file per window, folder listed", lambda: next(theirs), items=size.batch),
            Variant("ours", lambda: next(ours), agreement="the same samples", items=size.batch),
        ]
        group = f"batches of {size.batch} x {1 + size.candidates} windows"
        return compare(group, variants, machine, 4 * size.rounds, unit="anchors/s")


def _check_files(files: WindowFiles, store: CohortStore, size: Size) -> None:
    """Check that the anchors in the files are those in the store."""
    per_recording = len(files) // size.participants
    for i in (0, len(files) - 1):
        row, k = divmod(i, per_recording)
        window = store.gather(np.array([row]), np.array([k * size.time]), size.time)[0]
        np.testing.assert_array_equal(files[i][0].numpy(), window)


def _check_batch(batch: CandidateBatch, size: Size) -> None:
    """Check that windows are cut at the stated positions, and candidates from the anchor's recordings."""
    recordings = signals(size.participants, size.minutes)
    found = batch.windows.numpy()
    for own, rows_, starts in zip(found, batch["recording"].tolist(), batch["start"].tolist(), strict=True):
        assert len(set(rows_)) == 1, "one recording a participant, and candidates of another one"
        for window, row, start in zip(own, rows_, starts, strict=True):
            np.testing.assert_array_equal(window, recordings[row][start : start + size.time].T)
