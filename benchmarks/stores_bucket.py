"""Read random windows from a bucket: byte ranges of ``.npy`` files, compared with chunks of Zarr v3 and Lance.

The bucket is a folder behind a small local server. It implements the part of S3 that is needed here, and delays each
answer as long as a real bucket. Requests and bytes per window also hold for real buckets; times do not.
"""

from __future__ import annotations

import argparse
import http.server
import multiprocessing
import os
import re
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.stores import RATE, WINDOW, WINDOWS, Batches, Size, machine, markdown, signals
from benchmarks.stores_formats import Format, Lance, Mapped, Read, Zarr, sliced
from relcon_lightning.data import CohortInfo, CohortStore, Recording
from relcon_lightning.data.store.bucket import RangedSignals

WAIT = 0.03  # seconds to the first byte from S3 in the same region, roughly
THREADS = 64  # without threads, Zarr reads one array after the other


class Handler(http.server.BaseHTTPRequestHandler):
    """GET of objects, whole and in ranges, HEAD, and the listing of a prefix; no signatures are checked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    root: Path
    counts: Any

    def do_GET(self) -> None:
        time.sleep(WAIT)
        url = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(url.query)
        if "list-type" in query:
            self._answer(200, self._listing(url.path.strip("/"), query.get("prefix", [""])[0]))
            return
        file = self.root / urllib.parse.unquote(url.path).strip("/")
        if not file.is_file():
            self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, file.read_bytes())
            return
        start = int(asked[1]) if asked[1] else size - int(asked[2])
        end = min(int(asked[2]) + 1, size) if asked[1] and asked[2] else size
        with file.open("rb") as opened:
            opened.seek(start)
            self._answer(206, opened.read(end - start), {"Content-Range": f"bytes {start}-{end - 1}/{size}"})

    do_HEAD = do_GET

    def _listing(self, bucket: str, prefix: str) -> bytes:
        files = (file for file in sorted((self.root / bucket).rglob("*")) if file.is_file())
        entries = [
            f"<Contents><Key>{key}</Key><Size>{file.stat().st_size}</Size><ETag>0</ETag>"
            "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
            for file in files
            if (key := file.relative_to(self.root / bucket).as_posix()).startswith(prefix)
        ]
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(entries)}</ListBucketResult>".encode()

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        with self.counts.get_lock():
            self.counts[0] += 1
            self.counts[1] += len(body)
        self.send_response(status)
        more = {"Content-Length": str(len(body)), "ETag": "0", "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        for name, value in {**more, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


def _serve(root: Path, counts: Any, port: Any) -> None:
    Handler.root, Handler.counts = root, counts
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.request_queue_size = 256
    port.send(server.server_address[1])
    server.serve_forever()


@contextmanager
def bucket(root: Path) -> Iterator[Any]:
    """Serve ``root/NAME`` as the bucket NAME to this process; yields the counts of requests and bytes so far."""
    context = multiprocessing.get_context("spawn")  # a separate process, which does not share this process's lock
    counts = context.Array("q", 2)
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(root, counts, theirs), daemon=True)
    process.start()
    os.environ.update(
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{ours.recv()}",
        AWS_ALLOW_HTTP="true",
        AWS_SKIP_SIGNATURE="true",
        AWS_REGION="us-east-1",
    )
    try:
        yield counts
    finally:
        process.terminate()


class Ranges(Mapped):
    """The cohort store in a bucket, with small files and no cache, like a cohort that is larger than the cache."""

    name = "byte ranges of .npy (ours)"

    def write(self, folder: Path, signals: Iterable[np.ndarray]) -> None:
        recordings = (Recording(f"{i:05d}", f"{i:05d}", signal, 100.0) for i, signal in enumerate(signals))
        CohortStore.write(folder, recordings, CohortInfo("benchmark", 100.0, "wrist", "made up", "none", "none"), 2**21)

    def open(self, folder: Path) -> Read:
        store = CohortStore.open(f"s3://cohorts/{folder.name}")
        assert isinstance(store._signals, RangedSignals)
        store._signals._room = 0
        return store.gather


class ZarrInBucket(Zarr):
    """Zarr, also through obstore, with one thread per window."""

    name = "Zarr v3 chunks"

    def open(self, folder: Path) -> Read:
        import obstore
        import zarr

        place = zarr.storage.ObjectStore(obstore.store.from_url(f"s3://cohorts/{folder.name}"), read_only=True)
        arrays = [zarr.open_array(place, path=path, mode="r") for path in sorted(p.name for p in folder.glob("[0-9]*"))]
        pool = ThreadPoolExecutor(THREADS)

        def read(participants: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
            parts = pool.map(partial(sliced, arrays), participants[:, None], starts[:, None], [length] * len(starts))
            return np.concatenate(list(parts))

        return read


class LanceInBucket(Lance):
    """Lance, with its own client."""

    name = "Lance rows"

    def open(self, folder: Path) -> Read:
        return super().open(f"s3://cohorts/{folder.name}")  # type: ignore[arg-type]


FORMATS: tuple[type[Format], ...] = (Ranges, ZarrInBucket, LanceInBucket)


@dataclass(frozen=True)
class Result:
    """Anchors per second, and requests and bytes per window."""

    form: Format
    speed: float
    requests: float
    window_bytes: float


def measure(root: Path, size: Size) -> list[Result]:
    """Measure the formats alternately; median speed of the rounds."""
    forms = [form("float32") for form in FORMATS if form.installed()]
    folders = [root / "cohorts" / type(form).__name__ for form in forms]
    (root / "cohorts").mkdir()
    for form, folder in zip(forms, folders, strict=True):
        form.write(folder, signals(size))
    with bucket(root) as counts:
        readers = [Batches(form, folder, size, seed=0) for form, folder in zip(forms, folders, strict=True)]
        taken: list[list[tuple[float, int, int]]] = [[] for _ in forms]
        for reader in readers:
            reader[-1]
        for k in range(size.rounds):
            for reader, own in zip(readers, taken, strict=True):
                before, begin = list(counts), time.perf_counter()
                reader[k]
                own.append((time.perf_counter() - begin, *(b - a for a, b in zip(before, counts, strict=True))))
    windows = size.anchors * WINDOWS
    return [
        Result(
            form,
            size.anchors / statistics.median(seconds for seconds, _, _ in own),
            statistics.mean(requests for _, requests, _ in own) / windows,
            statistics.mean(read for _, _, read in own) / windows,
        )
        for form, own in zip(forms, taken, strict=True)
    ]


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small run that shows that all works")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_suffix(".md"))
    options = parser.parse_args()
    size = Size(4, 6000, 1, 2, 1) if options.quick else Size(anchors=16, rounds=9)
    with tempfile.TemporaryDirectory() as root:
        results = measure(Path(root), size)
    head = ["from a bucket", "anchors per second", "requests per window", "kB per window"]
    body = [
        [
            result.form.name,
            f"{result.speed:.1f} ({result.speed / results[0].speed:.2f})",
            f"{result.requests:.2f}",
            f"{result.window_bytes / 1000:.1f}",
        ]
        for result in results
    ]
    title = (
        f"Windows of {WINDOW} samples (3.1 kB), float32, {WINDOWS} windows per anchor, batches of "
        f"{size.anchors} anchors from {size.participants} participants of {size.samples // RATE} s, "
        f"median of {size.rounds}, nothing cached. "
        f"The server runs on the same machine and waits {1000 * WAIT:.0f} ms before each answer. {machine()}."
    )
    lines = [title, "", *markdown(head, body)]
    print(*lines, sep="\n")
    options.output.write_text("\n".join(["# Formats, read from a bucket", "", *lines]) + "\n")


if __name__ == "__main__":
    main()
