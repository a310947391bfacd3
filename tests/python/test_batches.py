"""The example of docs/BATCHES.md does what the page says."""

import io
import pathlib
import re

import fastavro
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def example(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "BATCHES.md").read_text(encoding="utf-8")
    [code] = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names = {}
    exec(code, names)
    return names


def receipt_of(example, **fields):
    receipt = {
        "source": "registry", "batch_id": "b-1", "status": "COMPLETE", "revision": 1, "total_count": 2,
        "applied_count": 1, "unchanged_count": 0, "partial_count": 0, "rejected_count": 1, "held_count": 0,
        "first_at": 0, "completed_at": None, "digest": b"", "positions": [], **fields,
    }
    body = io.BytesIO()
    fastavro.schemaless_writer(body, example["SCHEMA"], receipt)
    return example["read_receipt"](b"\xc3\x01" + bytes(8) + body.getvalue())


def test_the_digest_is_the_one_that_the_worker_computes(example):
    # The same as in the tests of the domain.
    known = "3c42f92a746a655ab31a38df8bcafb61633652222277af48cc10071a8cd0c2a8"
    assert example["digest"]({"m1": "applied"}).hex() == known
    outcomes = {"m1": "applied", "m2": "rejected"}
    receipt = receipt_of(example, digest=example["digest"](outcomes))
    assert example["is_as_we_know_it"](receipt, dict(reversed(outcomes.items())))
    assert not example["is_as_we_know_it"](receipt, {"m1": "applied", "m2": "applied"})
    assert example["digest"]({}) == bytes(32)


def test_positions_say_when_all_has_been_seen(example):
    receipt = receipt_of(example, positions=[{"partition": 2, "sequence": 7}, {"partition": 5, "sequence": 1}])
    assert example["has_seen_all"](receipt, {2: 7, 5: 3, 0: 99})
    assert not example["has_seen_all"](receipt, {2: 6, 5: 3})
    assert not example["has_seen_all"](receipt, {2: 7})
