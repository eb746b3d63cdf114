"""docs/reference/edge-settings.md lists every key that the agent reads, and no other."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import edge.config
from edge.config import load
from edge.config_check import Table
from edge.errors import ConfigFaults

DOCUMENT = Path(edge.config.__file__).parents[1] / "docs" / "reference" / "edge-settings.md"


def documented() -> set[str]:
    keys, section = set(), ""
    for line in DOCUMENT.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"## \[+(\w+)(?:\.NAME)?\]+", line):
            section = match[1]
        elif line.startswith("## "):
            section = ""
        elif section and (match := re.match(r"\| `(\w+)` \|", line)):
            keys.add(f"{section}.{match[1]}")
    return keys


@pytest.mark.skipif(not DOCUMENT.exists(), reason="the installed package has no docs")
def test_every_key_is_documented(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: set[str] = set()
    original: Callable[[Table, str], bool] = Table.has

    def has(self: Table, key: str) -> bool:
        section = re.split(r"[.\[]", self.path)[0]
        asked.add(f"{section}.{key}")
        return original(self, key)

    monkeypatch.setattr(Table, "has", has)
    path = tmp_path / "edge.toml"
    lines = "[buses.a]\n[buses.b]\ntype = 'rtu'\n[buses.c]\ntype = 'rtu-over-tcp'\n"
    path.write_text(f"{lines}[[devices]]\nindexes = '0'\n[[devices]]\n", encoding="utf-8")
    with pytest.raises(ConfigFaults):
        load(path)
    assert asked - {"uplink.password"} == documented()
