"""Hashes that a checkpoint stores instead of participants' ids. They identify a person whose id is known.

These are pseudonyms, not an anonymisation. The salt is stored with the hashes, so ids such as 01 to 99 can be tried one
after the other. Because the hash is slow, a try takes tens of milliseconds and 16 MiB. This protects ids that are hard
to guess, and delays guessing the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from relcon_lightning.errors import ConfigError

_COST = {"n": 2**14, "r": 8, "p": 1}  # parameters of scrypt, RFC 7914: 16 MiB per hash
_MEMORY = 2**25  # maximum number of bytes that a hash may use
_SCRYPT = "scrypt:"  # prefix of a hash; hashes of checkpoint format 1 are plain SHA-256
_SHA256_DIGITS = 64


def hash_participants(participants: Collection[str], salt: str) -> list[str]:
    """Salted slow hash of each id, sorted."""
    with ThreadPoolExecutor() as pool:  # scrypt releases the interpreter lock
        return sorted(pool.map(lambda name: _slow(name, salt), participants))


def unseen_participants(participants: Collection[str], hashes: Collection[str], salt: str) -> list[str]:
    """Participants, sorted, whose hashes are not among those that a model was trained on.

    Args:
        participants: Ids.
        hashes: Hashes made by :func:`hash_participants`, or those of checkpoint format 1.
        salt: Salt of the hashes.

    Raises:
        ConfigError: This version does not know the kind of the hashes.
    """
    seen = set(hashes)
    found = _of_known_kind(seen)
    names = sorted(participants)
    slow = dict(zip(names, _in_order(names, salt), strict=True)) if "slow" in found else {}
    return [name for name in names if slow.get(name) not in seen and _fast(name, salt) not in seen]


def _of_known_kind(hashes: Iterable[str]) -> set[str]:
    kinds = set()
    for text in hashes:
        if isinstance(text, str) and text.startswith(_SCRYPT):
            kinds.add("slow")
        elif isinstance(text, str) and len(text) == _SHA256_DIGITS:
            kinds.add("fast")
        else:
            raise ConfigError(
                f"This version does not know the hashes of the participants in this checkpoint ({text!r}): "
                "upgrade relcon-lightning, or get the checkpoint again."
            )
    return kinds


def _in_order(names: list[str], salt: str) -> list[str]:
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda name: _slow(name, salt), names))


@lru_cache(maxsize=2**16)  # runs of several seeds have the same salt
def _slow(name: str, salt: str) -> str:
    digest = hashlib.scrypt(name.encode(), salt=salt.encode(), maxmem=_MEMORY, dklen=32, **_COST)
    return _SCRYPT + digest.hex()


def _fast(name: str, salt: str) -> str:
    """Hash of an id in checkpoint format 1."""
    return hashlib.sha256(f"{salt}\0{name}".encode()).hexdigest()
