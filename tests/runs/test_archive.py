from __future__ import annotations

import random
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from relcon_lightning.errors import ConfigError
from relcon_lightning.runs.archive import load_archive
from relcon_lightning.runs.checkpoint_files import read_content

SAMPLE = Path(__file__).parent / "formats" / "1" / "run.ckpt"


def as_bytes(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: as_bytes(item) for key, item in value.items()}
    return value


def header_bytes(path: Path) -> list[int]:
    """Where the bytes are that no checksum covers, but for the padding."""
    with zipfile.ZipFile(path) as archive:
        starts = [one.header_offset for one in archive.infolist()]
        local = [at for start in starts for at in range(start, start + 60)]
        return [*local, *range(archive.start_dir, path.stat().st_size)]


@pytest.mark.parametrize("part", ["anywhere", "headers"])
def test_a_flipped_bit_is_refused_or_changes_nothing(tmp_path, part):
    sound, expected = SAMPLE.read_bytes(), as_bytes(read_content(SAMPLE))
    places = range(len(sound)) if part == "anywhere" else header_bytes(SAMPLE)
    rng, file, refused = random.Random(0), tmp_path / "flipped.ckpt", 0
    for _ in range(300):
        damaged = bytearray(sound)
        damaged[rng.choice(places)] ^= 1 << rng.randrange(8)
        file.write_bytes(damaged)
        try:
            assert as_bytes(read_content(file)) == expected
        except ConfigError as error:
            assert "flipped.ckpt" in str(error)  # noqa: PT017
            assert len(str(error).splitlines()) == 1  # noqa: PT017
            refused += 1
    assert refused > 100


def test_a_weight_changed_at_its_length_is_refused(tmp_path):
    file = tmp_path / "weights.ckpt"
    torch.save({"w": torch.arange(1000.0)}, file)
    content = file.read_bytes()
    file.write_bytes(content.replace(torch.tensor([500.0, 501.0]).numpy().tobytes(), bytes(8)))
    with pytest.raises(ValueError, match="damaged"):
        load_archive(file)


class _Bytes:
    def __reduce__(self) -> tuple[object, ...]:
        return bytearray, (2**36,)


def nested() -> list[Any]:
    value: list[Any] = ["lol"]
    for _ in range(60):
        value = [value, value]
    return value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.zeros(1).expand(2**33), "has only 4 bytes"),
        (_Bytes(), "bytearray"),
        (nested(), "more than 1048576 values"),
        (torch.empty(2**33, device="meta"), "but no part of the file has this size"),
    ],
)
def test_a_small_file_that_would_take_much_memory_is_refused(tmp_path, content, message):
    torch.save({"state_dict": {"w": content}}, tmp_path / "bomb.ckpt")
    assert (tmp_path / "bomb.ckpt").stat().st_size < 10_000
    with pytest.raises(ValueError, match=message):
        load_archive(tmp_path / "bomb.ckpt")


def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path):
    torch.save({"w": torch.zeros(2**20)}, tmp_path / "plain.ckpt")
    bomb = tmp_path / "bomb.ckpt"
    with zipfile.ZipFile(tmp_path / "plain.ckpt") as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert bomb.stat().st_size < 10_000
    with pytest.raises(ValueError, match="is compressed"):
        load_archive(bomb)


def test_a_storage_that_declares_more_than_it_has_is_refused(tmp_path):
    torch.save({"w": torch.zeros(5000)}, tmp_path / "plain.ckpt")
    lying = tmp_path / "lying.ckpt"
    with zipfile.ZipFile(tmp_path / "plain.ckpt") as old, zipfile.ZipFile(lying, "w") as new:
        for name in old.namelist():
            new.writestr(name, bytes(4) if name.endswith("data/0") else old.read(name))
    with pytest.raises(ValueError, match="20000 bytes"):
        load_archive(lying)


def test_the_archive_of_another_torch_version_and_shared_or_empty_tensors_are_read(tmp_path):
    base = torch.arange(10.0)
    content = {"a": base[2:], "b": base.view(2, 5), "empty": torch.zeros(0), "text": "x", "list": [1, (2.5, None)]}
    torch.save(content, tmp_path / "mixed.ckpt")
    assert as_bytes(load_archive(tmp_path / "mixed.ckpt")) == as_bytes(content)
