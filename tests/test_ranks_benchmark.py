"""``python -m benchmarks.ranks`` counts what two ranks send."""

from __future__ import annotations

from benchmarks import ranks
from benchmarks.material import TOY, toy_encoder


def test_bytes_are_those_of_the_arithmetic(capsys):
    rows = {row.name: row for row in ranks.measure(TOY, "toy", "spectral")}
    assert list(rows) == [setting.name for setting in ranks.SETTINGS]
    encoder = toy_encoder()
    float32, int64, anchors = 4, 8, TOY.batch
    weights = sum(one.numel() for one in encoder.parameters())
    windows = anchors * 3 * TOY.time * float32
    persons, places = anchors * int64, anchors * 2 * int64
    embeddings = anchors * encoder.dim * float32
    for name, row in rows.items():
        assert row.buckets == 1  # a megabyte at least fits into a message
        assert row.gradients == weights * float32
        gathers = "gather=true" in name
        assert row.gathered == gathers * (windows + persons + places + embeddings + 2 * embeddings)  # back: of both
        assert len(row.seconds) == TOY.rounds
    lines = ranks.table(list(rows.values())).splitlines()
    assert len(lines) == 2 + len(rows)
    assert lines[2].split("|")[3].strip() == "1.00"
