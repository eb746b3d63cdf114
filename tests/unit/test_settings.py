"""Settings of the cloud roles: every fault at once, secrets never from the file."""

from pathlib import Path

import pytest

from cloud.errors import SettingsError
from cloud.settings import SUMMED_DAYS, Settings, broker_address, described, load
from cloud.storage.tables import ROLLED

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "cloud-settings.md"


def faults(path: Path, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environment=environment or {})
    return [str(fault) for fault in caught.value.faults]


def test_without_a_file_the_defaults_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloud.settings.DEFAULT_PATH", Path("/nonexistent"))
    assert load(None, environment={}) == Settings()


def test_every_fault_is_told_at_once_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(
        'other = 1\napi = 3\n[broker]\nurl = "http://x"\n[databse]\n[ingest]\nmerge_row = 5\n'
        "worker = 100\noldest_days = true\n",
        encoding="utf-8",
    )
    told = faults(path)
    assert len(told) == 7
    assert all(fault.startswith(f"{path}: ") for fault in told)
    text = "\n".join(told)
    for part in (
        "databse = {}: unknown; did you mean database?",
        "ingest.merge_row = 5: unknown; did you mean merge_rows?",
        "ingest.worker = 100: Expected `int` <= 99",
        "ingest.oldest_days = True: Expected `int`, got `bool`",
        "api = 3: write it as a table: [api]",
        "broker.url = 'http://x': write it as mqtt://host:port",
        "other = 1: unknown; known here: database, broker, ingest, api, jobs, retention",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("content", "least", "why"),
    [
        ("hour_days = 801", 802, "light_days"),
        ("hour_days = 30\nlight_days = 30\nfeeder_days = 30\nambient_days = 30\n"
         "sample_days = 30", 402, "passage_days = 0 and ingest.oldest_days"),
        ("sample_days = 4000", 4_002, "sample_days"),
    ],
)  # fmt: skip
def test_hours_that_go_before_their_readings_are_refused(
    tmp_path: Path, content: str, least: int, why: str
) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(f"[retention]\n{content}\n", encoding="utf-8")
    [fault] = faults(path)
    assert fault.startswith(f"{path}: retention.hour_days = ")
    assert f"write {least} or more ({why}), or 0" in fault
    for enough in (least, 0):
        kept = "".join(f"{line}\n" for line in content.splitlines() if "hour" not in line)
        path.write_text(f"[retention]\n{kept}hour_days = {enough}\n", encoding="utf-8")
        assert load(path, environment={}).retention.hour_days == enough


def test_the_kinds_whose_hours_are_checked_are_those_that_have_them() -> None:
    assert tuple(f"{kind.label}_days" for kind in ROLLED) == SUMMED_DAYS


@pytest.mark.parametrize(
    ("content", "remedy"),
    [("[api\nport = 1", "is not valid TOML"), (None, "No such file or directory")],
)
def test_an_unreadable_file_is_one_fault(tmp_path: Path, content: str | None, remedy: str) -> None:
    path = tmp_path / "cloud.toml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    [fault] = faults(path)
    assert remedy in fault


@pytest.mark.parametrize("environment", [{}, {"ECLOR_DATABASE_URL": "postgresql://h/d"}])
def test_a_password_in_the_file_is_refused_and_not_repeated(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text(
        '[database]\nurl = "postgresql://eclor:geheim@db/eclor"\n'
        '[broker]\nurl = "mqtt://eclor:geheim@mq"\n',
        encoding="utf-8",
    )
    told = faults(path, environment)
    assert len(told) == 2
    assert "ECLOR_DATABASE_URL instead" in told[0]
    assert not any("geheim" in fault for fault in told)


def test_environment_comes_before_credential_before_file(tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.write_text('[database]\nurl = "postgresql:///from-file"\n', encoding="utf-8")
    environment: dict[str, str] = {}
    assert load(path, environment=environment).database.url == "postgresql:///from-file"
    (tmp_path / "database-url").write_text("postgresql:///from-credential\n", encoding="utf-8")
    environment["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    assert load(path, environment=environment).database.url == "postgresql:///from-credential"
    environment["ECLOR_DATABASE_URL"] = "postgresql:///from-environment"
    assert load(path, environment=environment).database.url == "postgresql:///from-environment"


def test_a_bad_url_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    path = tmp_path / "cloud.toml"
    path.touch()
    [fault] = faults(path, {"ECLOR_DATABASE_URL": "postgresql://h?nonsense=1"})
    assert fault.startswith("environment: ECLOR_DATABASE_URL = ")


def test_a_named_file_is_read_from_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text("[api]\nport = 9000\n", encoding="utf-8")
    assert load(None, environment={"ECLOR_CONFIG": str(path)}).api.port == 9000


def test_a_broker_url_is_taken_apart() -> None:
    address = broker_address("mqtt://us%40er:p%3Aw@[::1]:1884?protocol=3.1.1")
    assert (address.host, address.port, address.protocol) == ("::1", 1884, "3.1.1")
    assert (address.username, address.password) == ("us@er", "p:w")
    assert broker_address("mqtt://broker").port == 1883


@pytest.mark.parametrize(
    "url",
    [
        "mqtts://h",
        "mqtt://",
        "mqtt://h/path",
        "mqtt://h?protocol=4",
        "mqtt://h?x=1",
        "mqtt://h:99999",
    ],
)
def test_a_wrong_broker_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        broker_address(url)


def test_every_setting_is_in_the_reference_with_its_default() -> None:
    page = DOCS.read_text(encoding="utf-8")
    for section, keys in described().items():
        assert f"## [{section}]" in page
        for key, (kind, default) in keys.items():
            shown = f'"{default}"' if isinstance(default, str) else default
            assert f"| `{key}` | {kind} | `{shown}` |" in page, f"{section}.{key}"
