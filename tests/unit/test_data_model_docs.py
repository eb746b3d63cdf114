"""docs/data-model.md names every reason of quarantine that the code can give."""

import re
from pathlib import Path

import cloud.ingest
import protocols.wire

ROOT = Path(__file__).parents[2]
SOURCES = [*Path(cloud.ingest.__file__).parent.glob("*.py"), Path(protocols.wire.__file__)]


def test_every_reason_of_quarantine_is_explained() -> None:
    page = (ROOT / "docs" / "data-model.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([a-z_]+)`", page.partition("## Quarantine")[2]))
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    given = set(re.findall(r'(?:Fault|WireError)\(\s*"([a-z_]+)"', code))
    given |= set(re.findall(r'reason="([a-z_]+)"', code))
    assert len(given) > 12
    assert given <= explained
