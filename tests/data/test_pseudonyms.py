from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relcon_lightning.data import pseudonyms
from relcon_lightning.data.pseudonyms import hash_participants, unseen_participants
from relcon_lightning.data.splits import refuse_leakage
from relcon_lightning.errors import ConfigError, DataError

IDS = st.sets(st.text("abcdef0123456789", min_size=1, max_size=6), min_size=3, max_size=40)


@pytest.fixture(scope="module", autouse=True)
def cheap():
    """Hashes that cost as little as scrypt allows, for tests of thousands of them."""
    with pytest.MonkeyPatch.context() as patch:
        real = pseudonyms._COST
        patch.setattr(pseudonyms, "_COST", {"n": 2, "r": 1, "p": 1})
        pseudonyms._slow.cache_clear()
        yield real
    pseudonyms._slow.cache_clear()


@given(IDS, st.text(max_size=5))
def test_a_test_participant_that_was_trained_on_stops_the_evaluation(ids, salt):
    ids = sorted(ids)
    hashes = hash_participants(ids[:2], salt)
    assert not any(name in "".join(hashes) for name in ids if len(name) > 4)
    refuse_leakage(ids[2:], hashes, salt)
    with pytest.raises(DataError, match=r"1 of .* were used to pre-train.*task\.participants=null"):
        refuse_leakage([ids[0], "somebody else entirely"], hashes, salt)


@given(IDS, st.text(max_size=5))
def test_unseen_participants_are_all_others(ids, salt):
    trained = sorted(ids)[::2]
    assert unseen_participants(ids, hash_participants(trained, salt), salt) == sorted(ids - set(trained))


def test_the_salt_matters():
    assert hash_participants(["a"], "x") != hash_participants(["a"], "y")


def test_the_people_of_an_old_checkpoint_are_recognised_too():
    old = [hashlib.sha256(f"toy-3\0{name}".encode()).hexdigest() for name in ("anna", "ben")]
    assert unseen_participants(["anna", "cleo"], old, "toy-3") == ["cleo"]
    mixed = [*old, *hash_participants(["dora"], "toy-3")]  # as where a run goes on from an old one
    assert unseen_participants(["anna", "cleo", "dora"], mixed, "toy-3") == ["cleo"]


@pytest.mark.parametrize("strange", ["argon2:12", "", 5, None])
def test_people_hashed_in_an_unknown_way_are_not_taken_for_unseen(strange):
    with pytest.raises(ConfigError, match="does not know"):
        unseen_participants(["anna"], [strange], "s")


def test_a_hash_takes_the_memory_that_makes_guessing_slow(cheap, monkeypatch):
    asked = {}
    scrypt = hashlib.scrypt
    monkeypatch.setattr(pseudonyms, "_COST", cheap)
    monkeypatch.setattr(hashlib, "scrypt", lambda *a, **k: asked.update(k) or scrypt(*a, **k))
    assert hash_participants(["anna"], "a salt of its own")[0].startswith("scrypt:")
    assert 128 * asked["n"] * asked["r"] == 2**24  # bytes, RFC 7914
