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


EVERYTHING = """
[buses.line1]
[buses.line2]
type = "rtu"
[buses.line3]
type = "rtu-over-tcp"
[buses.sensors]
type = "mqtt"
[buses.record]
type = "replay"
[[devices]]
indexes = "0"
deadband = { power = { absolute = 1 } }
profile = "eclor-luminaire"
[[devices]]
[[devices]]
id = "sensor"
bus = "sensors"
kind = "ambient"
[devices.points.door]
topic = "door"
column = "status"
flag = 1
words = { open = 1 }
[devices.points.energy]
counter_bits = 16
"""
MADE_BY_USER = {"devices.power", "devices.open"}  # names of points and words


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
    path.write_text(EVERYTHING, encoding="utf-8")
    with pytest.raises(ConfigFaults):
        load(path)
    assert asked - MADE_BY_USER - {"uplink.password", "buses.password"} == documented()
