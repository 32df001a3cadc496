"""Fetching the archive of a public set: checked, with a progress bar, and gone on with where it was interrupted."""

from __future__ import annotations

import hashlib
import logging
import sys
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

pooch.get_logger().setLevel(logging.WARNING)  # what it says is in the log line of whoever calls

_CHUNK = 2**16
_TIMEOUT_S = 60
_SUM = ".sha256"  # beside a download whose publisher names no checksum: what it had when it was fetched


def download(url: str, folder: str | Path, file: str, sha256: str | None = None) -> Path:
    """The file behind an address, fetched unless it is there already.

    Where the publisher names no checksum, the one of the first download is kept beside the file, so that a change on
    this side is noticed.

    Args:
        url: Address of the archive.
        folder: To keep it in; created if missing.
        file: Name to keep it under.
        sha256: Expected checksum, if known.

    Raises:
        DataError: No connection, another answer than the file, or a wrong checksum; names address and file.
    """
    path = Path(folder) / file
    kept = path.with_name(file + _SUM)
    expected = sha256 or (kept.read_text("utf-8").strip() if path.exists() and kept.exists() else None)
    if path.exists() and expected and _checksum(path) != expected:
        raise DataError(f"{path} was damaged or changed (its SHA-256 is not {expected}): delete it and try again.")
    try:
        pooch.retrieve(url, expected and f"sha256:{expected}", file, folder, downloader=_ResumableDownload(path))
    except requests.RequestException as error:
        raise DataError(
            f"{url} cannot be fetched ({error}). The downloaded part is kept: try again to continue."
        ) from error
    except ValueError as error:  # pooch, of a wrong checksum
        raise DataError(f"{url} is not the expected file ({error}).") from error
    if sha256 is None and not kept.exists():
        kept.write_text(_checksum(path) + "\n", "utf-8")
    return path


class _ResumableDownload:
    """A downloader for pooch that keeps what has come in ``FILE.part`` and asks for the rest.

    Args:
        path: Path of the downloaded file.
    """

    def __init__(self, path: Path) -> None:
        self.part = path.with_name(path.name + ".part")

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Fetch ``url`` to ``output_file``; called by pooch.

        Raises:
            requests.RequestException: No connection, or it broke.
        """
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:  # all of it is here
                answer.close()
            else:
                answer.raise_for_status()
                resumed = answer.status_code == requests.codes.partial_content
                self._save(answer, have if resumed else 0)
        self.part.replace(output_file)

    def _save(self, answer: requests.Response, have: int) -> None:
        left = answer.headers.get("Content-Length")
        total = have + int(left) if left else None
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
        with Progress(*columns, disable=not sys.stdout.isatty()) as bar, self.part.open("ab" if have else "wb") as out:
            task = bar.add_task("", total=total, completed=have)
            for chunk in answer.iter_content(_CHUNK):
                out.write(chunk)
                bar.advance(task, len(chunk))
        if total is not None and self.part.stat().st_size != total:
            raise requests.ConnectionError(f"the connection broke after {self.part.stat().st_size} of {total} bytes")


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
