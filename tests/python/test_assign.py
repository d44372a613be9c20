"""The published vectors of docs/experiments.md beside the xxhash of PyPI."""

import re

import xxhash
from conftest import ROOT


def test_published_vectors():
    text = (ROOT / "docs" / "experiments.md").read_text()
    rows = re.findall(r"^\| `([^`]*)` \| `([^`]*)` \| `([0-9a-f]{16})` \| (\d+) \|$", text, re.M)
    assert len(rows) >= 6
    for salt, unit, expected, bucket in rows:
        found = xxhash.xxh3_64_intdigest(salt.encode() + b"\0" + unit.encode())
        assert f"{found:016x}" == expected
        assert found % 10000 == int(bucket)
