"""Download the archive of a public data set: with a checksum, a progress bar, and resumption."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pooch
import requests
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from relcon_lightning.data.store.manifest import checksum
from relcon_lightning.errors import DataError

log = logging.getLogger(__name__)

pooch.get_logger().setLevel(logging.WARNING)  # callers log the download themselves

_CHUNK = 2**16
_TIMEOUT_S = 60
_SUM = ".sha256"  # suffix of the file with the checksum of a first download


def download(url: str, folder: str | Path, file: str, sha256: str | None = None) -> Path:
    """Download a file unless it exists already.

    If the publisher states no checksum, that of the first download is stored next to the file, so that later changes of
    the local file are noticed.

    Args:
        url: Address of the archive.
        folder: Folder of the file; created if missing.
        file: Name of the local file.
        sha256: Expected checksum; None: not known.

    Raises:
        DataError: There is no connection, the server does not send the file, or the checksum is wrong. The message
            names address and file.
    """
    path = Path(folder) / file
    kept = path.with_name(file + _SUM)
    expected = sha256 or (kept.read_text("utf-8").strip() if path.exists() and kept.exists() else None)
    if path.exists() and expected and checksum(path) != expected:
        raise DataError(f"{path} was damaged or changed (its SHA-256 is not {expected}): delete it and try again.")
    try:
        pooch.retrieve(url, expected and f"sha256:{expected}", file, folder, downloader=_ResumableDownload(path))
    except requests.RequestException as error:
        raise DataError(
            f"{url} cannot be fetched ({error}). The downloaded part is kept: try again to continue."
        ) from error
    except ValueError as error:  # pooch raises it for a wrong checksum
        raise DataError(f"{url} is not the expected file ({error}).") from error
    if sha256 is None and not kept.exists():
        kept.write_text(checksum(path) + "\n", "utf-8")
    return path


class _ResumableDownload:
    """A downloader for pooch that keeps a partial download in ``FILE.part`` and requests the rest.

    Args:
        path: Path of the downloaded file.
    """

    def __init__(self, path: Path) -> None:
        self.part = path.with_name(path.name + ".part")

    def __call__(self, url: str, output_file: str, _: Any) -> None:
        """Fetch ``url`` to ``output_file``; called by pooch.

        Raises:
            requests.RequestException: There is no connection, or it was lost.
        """
        have = self.part.stat().st_size if self.part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_S) as answer:
            if answer.status_code == requests.codes.requested_range_not_satisfiable:  # the partial file is complete
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
