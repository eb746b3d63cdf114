"""The example settings in config/ are accepted by the programs that read them, and complete."""

import tomllib
from pathlib import Path

import pytest

from cloud.settings import Settings, described
from cloud.settings import load as load_cloud
from edge.config import load as load_edge

CONFIG = Path(__file__).parents[2] / "config"


def test_the_example_of_a_gateway_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "mqtt-password").write_text("not a real one\n")
    environ = {"STATE_DIRECTORY": str(tmp_path), "CREDENTIALS_DIRECTORY": str(tmp_path)}
    config = load_edge(CONFIG / "edge.toml", environ=environ)
    assert config.uplink.password == "not a real one"
    assert len(config.devices) == 1 + 1 + 40 + 3


def test_the_example_of_the_cloud_shows_the_defaults() -> None:
    assert load_cloud(CONFIG / "cloud.toml", environment={}) == Settings()


@pytest.mark.parametrize("section", sorted(described()))
def test_the_example_of_the_cloud_names_every_key_but_the_secrets(section: str) -> None:
    shown = tomllib.loads((CONFIG / "cloud.toml").read_text())[section]
    assert set(shown) == set(described()[section]) - {"url"}
