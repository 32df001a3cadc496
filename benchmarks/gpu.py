"""Measure a GPU with one command: correctness, speed, and the time of each part of a training step.

``python -m benchmarks.gpu`` uses the first GPU, prints each result immediately and a short table at the end, and writes
``gpu.json``. ``--device cpu --small`` checks in seconds that everything works.

Each part is measured separately. The table names parts that fail, and the other parts continue.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.bench import Bench, Values
from benchmarks.correctness import correctness
from benchmarks.machine import name as processor
from benchmarks.material import RATE, TOY, Size, cohort, windows
from benchmarks.timing import count_flops
from relcon_lightning.batch import CandidateBatch
from relcon_lightning.data import CandidateDataModule
from relcon_lightning.embed import Embedder
from relcon_lightning.losses import relative_contrastive
from relcon_lightning.methods import RelCon

PAPER = replace(Size(), batch=64, participants=32, minutes=20.0, training_steps=30, embed_minutes=24 * 60.0, rounds=20)
SMALL = replace(TOY, time=256, rounds=2)  # the patches of some methods need the window length of the paper


def ceiling(bench: Bench) -> Values:
    """TFLOP/s of products of square matrices, the ceiling for all other parts."""
    side = 8192 if bench.on_gpu else 256
    found = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(side, side, device=bench.device).to(dtype) for _ in range(2))
        found[str(dtype).removeprefix("torch.")] = 2 * side**3 / bench.ms(partial(torch.mm, a, b)) / 1e9
    return found


def step(bench: Bench) -> Values:
    """The paper's step of RelCon in bfloat16, eager and compiled, and its parts."""
    size, batch = bench.size, bench.batch()
    count = size.batch * (1 + size.candidates)
    torch.manual_seed(0)
    encoder = size.encoder()
    plain = RelCon(copy.deepcopy(encoder), bench.distance()).to(bench.device)
    flops = count_flops(lambda: _loss(bench, plain, batch).backward())
    found: Values = {"windows": count, "gflop": flops / 1e9}
    for name, compiled in bench.ways.items():
        method = RelCon(copy.deepcopy(encoder), bench.distance(fused=compiled)).to(bench.device)
        if compiled:
            method.encoder.compile(dynamic=False)
        run = _training(bench, method, batch)
        ms = bench.ms(run)
        found[name] = {
            "ms": ms,
            "windows_per_s": count / ms * 1000,
            "tflop_per_s": flops / ms / 1e9,
            "share_of_ceiling": flops / ms / 1e9 / bench.results["ceiling"]["bfloat16"],
            "peak_gb": bench.peak_gb(run),
            "parts_ms": _parts(bench, method, batch),
        }
    return found


def _loss(bench: Bench, method: RelCon, batch: CandidateBatch) -> Tensor:
    with bench.bfloat16():
        return method.loss(batch, torch.Generator(bench.device), "train")


def _training(bench: Bench, method: RelCon, batch: CandidateBatch) -> Callable[[], None]:
    method.log_values = lambda *_, **__: None  # type: ignore[method-assign] # there is no trainer
    optimizer = torch.optim.Adam((p for p in method.parameters() if p.requires_grad), fused=bench.on_gpu)

    def run() -> None:
        optimizer.zero_grad()
        _loss(bench, method, batch).backward()
        optimizer.step()

    return run


def _parts(bench: Bench, method: RelCon, batch: CandidateBatch) -> Values:
    """Duration of each part in milliseconds, measured separately."""
    anchors, candidates = batch.anchor, batch.candidates
    signal = batch.pool

    @torch.no_grad()
    def distances() -> Tensor:
        with bench.bfloat16():
            own = method.distance.pairwise(anchors, candidates)
            return torch.cat([own, method.distance.between(anchors, anchors)], 1)

    def encode() -> None:
        with bench.bfloat16():
            z = method.encoder(signal)
        z.float().sum().backward()

    ranked = distances().float()
    similarities = torch.rand_like(ranked).requires_grad_()
    optimizer = torch.optim.Adam(method.encoder.parameters(), fused=bench.on_gpu)
    return {
        "distances": bench.ms(distances),
        "encoder": bench.ms(encode),
        "loss": bench.ms(lambda: relative_contrastive(similarities, ranked).backward()),
        "optimizer": bench.ms(optimizer.step),
    }


def grouped(bench: Bench) -> Values:
    """Steps in which every window is an anchor and is embedded only once."""
    found: Values = {}
    for count, people in bench.size.grouped:
        batch = CandidateBatch.of(
            windows(bench.size, count).to(bench.device),
            torch.empty(count, 0, 3, bench.size.time, device=bench.device),
            (torch.arange(count) * people // count).to(bench.device),
        )
        torch.manual_seed(0)
        method = RelCon(bench.size.encoder(), bench.distance(fused=bench.compile)).to(bench.device)
        ms = bench.ms(_training(bench, method, batch))
        found[f"{count} anchors of {people}"] = {"ms": ms, "anchors_per_s": count / ms * 1000}
    return found


def data(bench: Bench) -> Values:
    """Time to load batches from a store on disk to the device: the longest wait of a training step."""
    size = bench.size
    with tempfile.TemporaryDirectory() as folder:
        cohort(Path(folder) / "toy", size)
        module = CandidateDataModule(
            Path(folder) / "toy",
            size.time / RATE,
            RATE,
            size.candidates,
            size.batch,
            num_workers=bench.workers,
            ratios=(2, 1, 1),
        )
        module.setup()
        ms = bench.ms(partial(_one_batch, bench, iter(module.train_dataloader())), rounds=max(size.rounds, 3))
    return {"ms": ms, "windows_per_s": size.batch * (1 + size.candidates) / ms * 1000, "workers": bench.workers}


def _one_batch(bench: Bench, batches: Iterator[CandidateBatch]) -> None:
    next(batches).to(bench.device)


def embedding(bench: Bench) -> Values:
    """Embed a day at 100 Hz, in consecutive windows, with float32 and bfloat16."""
    samples = round(bench.size.embed_minutes * 60 * RATE)
    signal = np.random.default_rng(0).normal([0, 0, 1], 0.1, (samples, 3)).astype(np.float32)
    count = samples // bench.size.time
    cut = np.ascontiguousarray(signal[: count * bench.size.time].reshape(count, -1, 3).transpose(0, 2, 1))
    torch.manual_seed(0)
    found: Values = {"windows": count, "hours": bench.size.embed_minutes / 60}
    for precision in ("float32", "bfloat16"):
        embedder = Embedder(
            bench.size.encoder().eval(), RATE, bench.size.time / RATE, 2048, str(bench.device), precision
        )
        ms = bench.ms(lambda own=embedder: own._embed(cut), rounds=3)  # type: ignore[misc]
        found[precision] = {
            "s_per_day": ms / 1000 * 24 * 60 / bench.size.embed_minutes,
            "windows_per_s": 1000 * count / ms,
        }
    return found


PARTS: dict[str, Callable[[Bench], Values]] = {
    "ceiling": ceiling,
    "correctness": correctness,
    "step": step,
    "grouped": grouped,
    "data": data,
    "embedding": embedding,
}


def measure(bench: Bench) -> dict[str, Values]:
    """Measure all parts; the result of a part that fails is its error."""
    for name, part in PARTS.items():
        begin = time.perf_counter()
        try:
            bench.results[name] = part(bench)
        except Exception as error:
            cause = error.__cause__ or error  # Hydra wraps the error of a constructor
            bench.results[name] = {"failed": f"{type(cause).__name__}: {cause}".splitlines()[0]}
        print(f"{name}, {time.perf_counter() - begin:.0f} s: {json.dumps(bench.results[name])}", flush=True)
    return bench.results


def table(results: dict[str, Values]) -> list[tuple[str, str]]:
    """The short table: descriptions and values of the main results."""
    rows = [(name, values["failed"]) for name, values in results.items() if "failed" in values]
    right = results["correctness"]
    if "failed" not in right:
        worst = max(right["methods"], key=lambda name: right["methods"][name]["relative_error"])
        rows += [
            (
                "rank agreement of bfloat16 distances",
                f"{min(own['bfloat16_rank_agreement'] for own in right['distance'].values()):.4f}",
            ),
            ("error of the loss", f"{right['loss']['relative_error']:.1e}"),
            ("largest error of a method", f"{right['methods'][worst]['relative_error']:.1e} ({worst})"),
        ]
    if "failed" not in results["step"]:
        for name in ("eager", "compiled"):
            own = results["step"].get(name)
            if own is None:
                continue
            parts = ", ".join(f"{part} {ms:.3g}" for part, ms in own["parts_ms"].items())
            memory = "" if own["peak_gb"] is None else f", {own['peak_gb']:.1f} GB"
            rows.append(
                (
                    f"step, {name}",
                    f"{own['ms']:.3g} ms ({parts}), {own['windows_per_s']:.0f} windows/s, "
                    f"{own['share_of_ceiling']:.0%} of the ceiling{memory}",
                )
            )
    if "failed" not in results["grouped"]:
        rows += [(f"grouped, {name}", f"{own['ms']:.3g} ms") for name, own in results["grouped"].items()]
    if "failed" not in results["data"]:
        rows.append(("a batch from disk", f"{results['data']['ms']:.3g} ms"))
    if "failed" not in results["embedding"]:
        rows += [
            (f"a day embedded, {name}", f"{results['embedding'][name]['s_per_day']:.3g} s")
            for name in ("float32", "bfloat16")
        ]
    return rows


def device_name(device: torch.device) -> str:
    """Name of the GPU or processor, and the version of torch."""
    if device.type != "cuda":
        return processor()
    return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}, CUDA {torch.version.cuda}"


def main() -> None:
    """Measure, write the JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cuda (default), cuda:1 ... or cpu")
    parser.add_argument("--small", action="store_true", help="tiny sizes: shows that all works, not how fast")
    parser.add_argument("--json", type=Path, default=Path("gpu.json"), help="file for all results")
    parser.add_argument("--workers", type=int, default=4, help="processes that load data")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="measure torch.compile; default: unless --small"
    )
    options = parser.parse_args()
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here: --device cpu --small shows that the benchmark works")
    size, workers = (SMALL, 0) if options.small else (PAPER, options.workers)
    bench = Bench(size, device, workers, options.compile if options.compile is not None else not options.small)
    begin = time.perf_counter()
    results = measure(bench)
    facts = {"device": device_name(device), "small": options.small, "seconds": time.perf_counter() - begin}
    options.json.write_text(json.dumps({**facts, **results}, indent=1) + "\n", "utf-8")
    print(f"\n{facts['device']}, {facts['seconds']:.0f} s{', TINY SIZES' if options.small else ''}")
    rows = table(results)
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:{width}}  {value}")
    if any("failed" in values for values in results.values()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
