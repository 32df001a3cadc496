"""Capture-24: a day of daily life of 151 people with a wrist accelerometer (Chan et al. 2024)."""

from __future__ import annotations

import gzip
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv

from relcon_lightning.data.readers.labels import LabelledSamples, recordings_of
from relcon_lightning.data.readers.raw_files import RawFile, find_files
from relcon_lightning.data.readers.tables import columns_of, read_columns
from relcon_lightning.data.recording import CohortInfo, Recording
from relcon_lightning.data.units import InFiles, Unit
from relcon_lightning.errors import ConfigError, DataError, nearest

log = logging.getLogger(__name__)

_LAYOUT = (
    "Expected P001.csv.gz and so on and annotation-label-dictionary.csv, in a folder or in capture24.zip. Get it at "
    "https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001; it need not be unpacked."
)
PART_ROWS = 6 * 3600 * 100  # six hours: processing needs several times the memory of the samples
_LEAST_ROWS = 60 * 100  # minimum of the last part; fewer are added to the part before
_TYPES = {
    "time": pa.timestamp("ns"),
    **dict.fromkeys("xyz", pa.float32()),
    "annotation": pa.dictionary(pa.int32(), pa.string()),  # the same text for hours of samples
}


class Capture24(InFiles):
    """151 people, one day each, 100 Hz, annotated with images of a body camera and a diary.

    A file is read in parts of six hours, each of which is a recording, so that memory does not depend on the length of
    the file. Stamps have no time zone and are interpreted as UTC. Samples without annotation have no label.

    Args:
        raw_dir: Folder with ``P001.csv.gz`` and so on and ``annotation-label-dictionary.csv``, or with
            ``capture24.zip``; or the archive.
        labels: Column of the dictionary, without ``label:``, that names the classes: WillettsSpecific2018 (10),
            WillettsMET2018 (11), DohertySpecific2018 (10), Willetts2018 (6), Doherty2018 (5) or Walmsley2020 (4).
        max_gap_s: Longest time between two samples of one recording, in seconds.

    Raises:
        ConfigError: The dictionary has no such column.
        DataError: The files are missing.
    """

    info = CohortInfo(
        name="capture24",
        sampling_rate=100.0,
        position="wrist",
        source="https://ora.ox.ac.uk/objects/uuid:99d7c092-d865-4a19-b096-cc16440cd001",
        license="CC BY 4.0",
        citation=(
            "Chan, Hang, Tong et al. (2024). CAPTURE-24: a large dataset of wrist-worn activity tracker data collected "
            "in the wild for human activity recognition. Scientific Data 11."
        ),
    )

    def __init__(
        self, raw_dir: str | Path | None, labels: str = "WillettsSpecific2018", max_gap_s: float = 1.0
    ) -> None:
        self.files = find_files(raw_dir, r"(P\d+)\.csv\.gz", _LAYOUT)
        dictionary = find_files(raw_dir, r"annotation-label-dictionary\.csv", _LAYOUT)[()]
        self.labels, self.max_gap_s = _read_dictionary(dictionary, labels), max_gap_s

    def read_unit(self, unit: Unit) -> Iterator[Recording]:
        """Read the parts of a person, split at gaps, with one segment for each stretch of an activity."""
        (person,), file = unit.key, self.files[unit.key]
        yield from self._of_person(f"capture24-{person}", file)

    def _of_person(self, participant: str, file: RawFile) -> Iterator[Recording]:
        first_ns, rate = None, self.info.sampling_rate
        for number, part in enumerate(_parts(file), start=1):
            where = f"{file.where}, part {number}"
            stamps = part["time"].cast(pa.int64())
            first_ns = first_ns or compute.min(stamps).as_py()
            if first_ns is None:
                raise DataError(f"{where} has no time stamps.")
            times = compute.subtract(stamps, first_ns).to_numpy() / 1e9
            signal = np.stack([part[axis].to_numpy() for axis in "xyz"], axis=1)
            present = np.isfinite(times) & np.isfinite(signal).all(axis=1)
            if present.sum() < rate:
                log.warning("Left out %s: it has less than a second of samples.", where)
                continue
            samples = LabelledSamples(times, signal, _labels(part["annotation"], self.labels, where), where)
            name = f"{participant}-part{number:02d}"
            yield from recordings_of(samples, name, participant, rate, self.max_gap_s, first_ns / 1e9)


def _parts(file: RawFile) -> Iterator[pa.Table]:
    """Read the rows in tables of :data:`PART_ROWS`, one at a time.

    Raises:
        DataError: The file is damaged or truncated, a column is missing, a cell has a wrong type, or there are no rows.
    """
    options = csv.ConvertOptions(column_types=_TYPES, include_columns=list(_TYPES))
    part = pa.schema(_TYPES).empty_table()
    try:
        with (
            file.open() as packed,
            gzip.open(packed) as text,
            csv.open_csv(text, csv.ReadOptions(use_threads=False), convert_options=options) as batches,
        ):
            for batch in batches:
                part = pa.concat_tables([part, pa.Table.from_batches([batch])])
                while len(part) >= PART_ROWS + _LEAST_ROWS:
                    yield part[:PART_ROWS]
                    part = part[PART_ROWS:]
    except (pa.ArrowException, gzip.BadGzipFile, KeyError) as error:
        raise DataError(f"{file.where}: {error}") from error
    if not len(part):
        raise DataError(f"{file.where} contains no rows.")
    yield part


def _labels(annotations: pa.ChunkedArray, names: Mapping[str, str], where: str) -> np.ndarray:
    """Class names ``(n,)``; None without an annotation, or if the dictionary has no class for it."""
    coded = annotations.unify_dictionaries().combine_chunks()
    known: list[str] = coded.dictionary.to_pylist()
    for annotation in known:
        if annotation and annotation not in names:
            raise DataError(
                f"{where}: annotation {annotation!r} is not in annotation-label-dictionary.csv"
                f"{nearest(annotation, names)}."
            )
    classes = np.array([names.get(annotation) or None for annotation in known], dtype=object)
    labels: np.ndarray = classes[coded.indices.to_numpy()]
    return labels


def _read_dictionary(file: RawFile, labels: str) -> dict[str, str]:
    """Mapping from annotation to class."""
    content, column = file.read(), f"label:{labels}"
    columns = columns_of(content, file.where)
    if column not in columns:
        choices = [name.removeprefix("label:") for name in columns if name.startswith("label:")]
        raise ConfigError(
            f"data.source.labels={labels}: {file.where} has no column {column}; expected one of {', '.join(choices)}."
        )
    table = read_columns(content, file.where, {"annotation": str, column: str})
    return dict(zip(table["annotation"].tolist(), table[column].tolist(), strict=True))
