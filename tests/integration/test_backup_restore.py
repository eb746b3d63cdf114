"""Backup and restore, rehearsed on the real database, up to the gateways that send again."""

import json
import os
import shlex
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner, Result
from psycopg import sql
from psycopg.sql import SQL, Identifier

from cli.cloud import cloud
from cloud.backup import archive
from cloud.backup.programs import find, run
from cloud.backup.service import Restored, back_up
from cloud.backup.service import restore as bring_back
from cloud.errors import BackupError
from cloud.ingest.accept import accept
from cloud.ingest.delivery import Delivery
from cloud.rollups import retention
from cloud.rollups import service as rollups
from cloud.settings import Database, Retention
from cloud.storage.doctor import diagnose
from cloud.storage.migrate import migrate
from edge.outbox import Outbox
from edge.outbox_file import MIN_BYTES
from edge.outbox_ring import RingRule
from protocols import topics
from protocols.ack import StreamAck, decode_ack, encode_ack
from protocols.ids import Lane
from tests.integration.deliveries import GATEWAY, NOW_US, add_gateways, lamp_delivery, lamp_rows
from tests.services import postgres
from tests.services.postgres import Cluster


@pytest.fixture
def programs(cluster: Cluster, tmp_path: Path) -> Path:
    """A folder with the server's own pg_dump and pg_restore."""
    if cluster.edition == "existing":
        pytest.skip("the programs of the named server are not known")
    found = postgres.programs_for(cluster.edition)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        words = shlex.join(found.command([name], tmp_path))
        _script(folder / name, f'exec {words} "$@"')
    return folder


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def filled(migrated_database_url: str) -> str:
    """A database with a gateway, its readings, compressed where that can be, ledger, rollups and a
    key."""
    add_gateways(migrated_database_url, GATEWAY)
    with psycopg.connect(migrated_database_url, autocommit=True) as conn:
        accept(conn, [lamp_delivery(seq) for seq in range(1, 4)])
        rollups.catch_up(conn)
        retention.compress(conn, Retention())
        retention.compress_overdue(conn)
        conn.execute(
            "insert into api_key (key_id, secret_sha256, name, scopes)"
            " values ('a', '\\x00', 'k', '{read}')"
        )
    return migrated_database_url


Restore = Callable[..., Restored]


@pytest.fixture
def restore(cluster: Cluster) -> Restore:
    """Restore as who can: the owner of the database, with TimescaleDB a superuser."""

    def run_as_who_can(url: str, file: Path, **how: Any) -> Restored:
        timescale = cluster.edition == "timescale"
        return bring_back(
            Database(url=cluster.as_superuser(url) if timescale else url), file, **how
        )

    return run_as_who_can


def contents(url: str) -> dict[str, str]:
    """A hash of the rows of every table that this project has made."""
    with psycopg.connect(url) as conn:
        tables = conn.execute(
            "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition"
        ).fetchall()
        found = {}
        for (name,) in tables:
            row = conn.execute(
                sql.SQL(
                    "select count(*) || ' ' || md5(string_agg(t::text, '|' order by t::text))"
                    " from {} t"
                ).format(sql.Identifier(name))
            ).fetchone()
            found[name] = row[0] if row else ""
    return found


@pytest.mark.database
def test_a_restored_database_holds_every_row_and_takes_new_ones(
    filled: str, database_url: str, programs: Path, tmp_path: Path, restore: Restore
) -> None:
    before = contents(filled)
    assert before["light_reading"].startswith("15 ")
    assert before["light_hour"]
    file = tmp_path / "eclor.dump"
    made = back_up(Database(url=filled), file, directory=programs)
    assert made.size_bytes == file.stat().st_size > 1_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(p.name for p in tmp_path.glob("eclor*")) == ["eclor.dump", "eclor.dump.json"]
    done = restore(database_url, file, directory=programs)
    assert done.migrations == ()
    after = contents(database_url)
    asked = {"stream", "audit_event"}  # a rewind is noted there
    assert {n: h for n, h in after.items() if n not in asked} == {
        n: h for n, h in before.items() if n not in asked
    }
    with psycopg.connect(database_url, autocommit=True) as conn:
        [outcome] = accept(conn, [lamp_delivery(4)])
        assert outcome.stored_rows == 5
        progress = rollups.catch_up(conn)
        assert progress.marks > 0
        [repeat] = accept(conn, [lamp_delivery(2)])
        assert repeat.status == "duplicate"


class Gateway:
    """A gateway as far as delivery goes: the real outbox, and a broker that may lose acks."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox

    def measure(self, seq: int) -> None:
        self.outbox.append(Lane.LIVE, lamp_rows(seq=seq), created_us=NOW_US)

    def deliver(self, url: str, *, from_seq: int = 1, ack_arrives: bool = True) -> StreamAck:
        """Send what is held from `from_seq` on; the last acknowledgement, which may be lost."""
        numbers = [
            n for lo, hi in self.outbox.held(Lane.LIVE) for n in range(lo, hi + 1) if n >= from_seq
        ]
        deliveries = []
        for seq in numbers:
            payload = self.outbox.read(Lane.LIVE, seq)
            assert payload is not None
            deliveries.append(Delivery(payload, NOW_US, topics.up(GATEWAY, Lane.LIVE)))
        with psycopg.connect(url, autocommit=True) as conn:
            outcomes = accept(conn, deliveries)
        ack = outcomes[-1].ack
        assert ack is not None
        [stream] = decode_ack(encode_ack(ack)).streams
        if ack_arrives:
            self.outbox.acknowledge(stream, now_us=NOW_US)
        return stream


@contextmanager
def gateway_with(ring: RingRule, tmp_path: Path) -> Iterator[Gateway]:
    folder = tmp_path / "state"
    folder.mkdir()
    outbox = Outbox.open(folder, gateway=GATEWAY, max_bytes=MIN_BYTES, now_us=NOW_US, ring=ring)
    try:
        yield Gateway(outbox)
    finally:
        outbox.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    with gateway_with(RingRule(), tmp_path) as found:
        yield found


def _rows(url: str) -> int:
    with psycopg.connect(url) as conn:
        row = conn.execute("select count(*) from light_reading").fetchone()
    return int(row[0]) if row else 0


@pytest.mark.database
def test_after_a_restore_gateways_rewind_and_refill_what_the_backup_lacked(
    migrated_database_url: str,
    database_url: str,
    programs: Path,
    tmp_path: Path,
    gateway: Gateway,
    restore: Restore,
) -> None:
    url = migrated_database_url
    add_gateways(url, GATEWAY)
    for seq in (1, 2):
        gateway.measure(seq)
    gateway.deliver(url)
    file = tmp_path / "eclor.dump"
    back_up(Database(url=url), file, directory=programs)
    gateway.measure(3)  # stored and acknowledged after the backup: it is in the grace ring
    gateway.deliver(url)
    gateway.measure(4)  # stored, but the acknowledgement is lost
    lost = gateway.deliver(url, ack_arrives=False)
    assert lost.watermark == 4
    # The server's disk is gone. The backup is two batches old.
    done = restore(database_url, file, directory=programs)
    assert [(s.gateway, s.rewind_to) for s in done.asked] == [(GATEWAY, 3)]
    assert _rows(database_url) == 10
    gateway.measure(5)
    told = gateway.deliver(database_url, from_seq=5)  # goes on where it was, and is told
    assert (told.watermark, told.ranges, told.rewind_to) == (2, ((5, 5),), 3)
    assert gateway.outbox.rewind(told, now_us=NOW_US) == ((3, 3),)
    settled = gateway.deliver(database_url)
    assert (settled.watermark, settled.rewind_to) == (5, None)
    assert _rows(database_url) == 25
    assert gateway.outbox.held(Lane.LIVE) == ()


@pytest.mark.database
def test_what_no_gateway_holds_any_more_is_named_as_missing(
    migrated_database_url: str, database_url: str, programs: Path, tmp_path: Path, restore: Restore
) -> None:
    url = migrated_database_url
    add_gateways(url, GATEWAY)
    with gateway_with(RingRule(max_age_s=0), tmp_path) as gateway:
        gateway.measure(1)
        gateway.deliver(url)
        file = tmp_path / "eclor.dump"
        back_up(Database(url=url), file, directory=programs)
        gateway.measure(2)
        gateway.deliver(url)  # acknowledged: without a ring it is gone
        restore(database_url, file, directory=programs)
        gateway.measure(3)
        told = gateway.deliver(database_url)
        assert (told.watermark, told.ranges, told.rewind_to) == (1, ((3, 3),), 2)
        assert gateway.outbox.rewind(told, now_us=NOW_US) == ()
    with psycopg.connect(database_url) as conn:
        row = conn.execute(
            "select max(rows_before + rows) - sum(rows) from batch_ledger"
        ).fetchone()
    assert row == (5,)


@pytest.mark.database
def test_a_database_in_use_or_with_contents_is_not_written_over_unless_told(
    filled: str, programs: Path, tmp_path: Path, restore: Restore
) -> None:
    file = tmp_path / "eclor.dump"
    database = Database(url=filled)
    before = contents(filled)
    back_up(database, file, directory=programs)
    with pytest.raises(BackupError, match="not empty; restore into a new one"):
        restore(database.url, file, directory=programs)
    with (
        psycopg.connect(filled, application_name="eclor ingest"),
        pytest.raises(BackupError, match="eclor ingest still uses the database"),
    ):
        restore(database.url, file, directory=programs, replace=True)
    with psycopg.connect(filled, autocommit=True) as conn:
        conn.execute("delete from light_reading")
    restore(database.url, file, directory=programs, replace=True, ask_again=False)
    assert contents(filled) == before
    with pytest.raises(BackupError, match="backups are not overwritten"):
        back_up(database, file, directory=programs)


@pytest.mark.database
def test_what_is_no_backup_is_refused_before_anything_is_deleted(
    filled: str, database_url: str, programs: Path, tmp_path: Path, restore: Restore
) -> None:
    nonsense = tmp_path / "nonsense.dump"
    nonsense.write_bytes(b"no archive")
    with pytest.raises(BackupError, match="pg_restore failed"):
        restore(filled, nonsense, directory=programs, replace=True)
    foreign = tmp_path / "foreign.dump"
    run(find("pg_dump", programs), ["-Fc", f"--file={foreign}"], database_url=database_url)
    with pytest.raises(BackupError, match="not of a database of Eclor"):
        restore(filled, foreign, directory=programs, replace=True)
    with pytest.raises(BackupError, match="is not there"):
        restore(filled, tmp_path / "none", directory=programs)
    assert _rows(filled) == 15


@pytest.mark.database
def test_the_extensions_version_must_be_that_of_the_note(
    filled: str,
    database_url: str,
    programs: Path,
    tmp_path: Path,
    cluster: Cluster,
    restore: Restore,
) -> None:
    if cluster.edition != "timescale":
        pytest.skip("plain PostgreSQL has no extension")
    file = tmp_path / "eclor.dump"
    made = back_up(Database(url=filled), file, directory=programs)
    assert made.note.timescaledb is not None
    note = json.loads(archive.note_path(file).read_text())
    archive.note_path(file).write_text(json.dumps(note | {"timescaledb": "2.1.0"}))
    with pytest.raises(BackupError, match=r"TimescaleDB 2\.1\.0, the server has"):
        restore(database_url, file, directory=programs)
    archive.note_path(file).write_text("{}")
    with pytest.raises(BackupError, match="move it away"):
        restore(database_url, file, directory=programs)
    archive.note_path(file).unlink()
    assert restore(database_url, file, directory=programs).archive.note is None


@pytest.mark.database
def test_what_a_superuser_restores_belongs_to_the_owner_of_the_database(
    filled: str, database_url: str, cluster: Cluster, programs: Path, tmp_path: Path
) -> None:
    file = tmp_path / "eclor.dump"
    back_up(Database(url=filled), file, directory=programs)
    superuser = Database(url=cluster.as_superuser(database_url))
    for replace in (False, True):
        bring_back(superuser, file, directory=programs, replace=replace)
        with psycopg.connect(database_url, autocommit=True) as conn:
            foreign = conn.execute(
                "select relname from pg_class c where relnamespace = current_schema()::regnamespace"
                " and relowner <> current_user::regrole and not exists"
                " (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')"
            ).fetchall()
            assert foreign == []
            [outcome] = accept(conn, [lamp_delivery(4)])
            assert outcome.stored_rows == 5
            assert rollups.catch_up(conn).hours == 1
            conn.execute("create table mine ()")
            retention.compress(conn, Retention())
        assert migrate(database_url).applied == ()


@pytest.mark.database
def test_a_folder_keeps_the_newest_and_the_database_knows_its_last_backup(
    command: Callable[..., Result], filled: str, programs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "archives"
    folder.mkdir()
    for name in ("eclor-2025-01-01T020000Z.dump", "eclor-2025-01-02T020000Z.dump"):
        (folder / name).touch()
        archive.note_path(folder / name).touch()
    (folder / "before-the-update.dump").touch()
    assert "eclor cloud backup was never run here" in _told(filled)
    done = json.loads(
        command("backup", folder, "--keep", 2, "--programs", programs, "--json").stdout
    )
    made = Path(done["file"]).name
    assert done["deleted"] == [str(folder / "eclor-2025-01-01T020000Z.dump")]
    assert sorted(path.name for path in folder.iterdir()) == [
        "before-the-update.dump",
        "eclor-2025-01-02T020000Z.dump",
        "eclor-2025-01-02T020000Z.dump.json",
        made,
        f"{made}.json",
    ]
    assert f"the last backup is 0 hours old ({made})" in _told(filled)
    with psycopg.connect(filled) as conn:
        conn.execute("update audit_event set at = at - interval '50 hours'")
    assert f"warning the last backup is 50 hours old ({made})" in _told(filled)


@pytest.mark.database
def test_a_backup_that_cannot_be_noted_is_one_all_the_same(
    command: Callable[..., Result], filled: str, programs: Path, tmp_path: Path
) -> None:
    """As that of a standby, on which nothing can be written."""
    with psycopg.connect(filled, autocommit=True) as conn:
        conn.execute(
            SQL("alter database {} set default_transaction_read_only = on").format(
                Identifier(conn.info.dbname)
            )
        )
    done = command("backup", tmp_path / "eclor.dump", "--programs", programs)
    assert done.exit_code == 0
    assert "complete, but doctor and metrics do not know of it: cannot execute" in done.stderr


def _told(url: str) -> str:
    with psycopg.connect(url) as conn:
        return "\n".join(f"{found.level} {found.text}" for found in diagnose(conn).findings)


@pytest.mark.database
def test_only_a_superuser_restores_an_archive_of_timescaledb(
    filled: str, cluster: Cluster, programs: Path, tmp_path: Path
) -> None:
    if cluster.edition != "timescale":
        pytest.skip("plain PostgreSQL is restored by the owner of the database")
    file = tmp_path / "eclor.dump"
    back_up(Database(url=filled), file, directory=programs)
    with pytest.raises(BackupError, match="only a superuser can restore: name one in ECLOR_DATA"):
        bring_back(Database(url=filled), file, directory=programs, replace=True)
    assert _rows(filled) == 15


@pytest.mark.database
def test_older_programs_and_missing_ones_are_named_with_what_to_do(
    filled: str, tmp_path: Path
) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    with pytest.raises(BackupError, match="or name their folder with --programs"):
        back_up(Database(url=filled), tmp_path / "x", directory=folder)
    for name in ("pg_dump", "pg_restore"):
        _script(folder / name, f"echo '{name} (PostgreSQL) 12.3'")
    with pytest.raises(BackupError, match="is version 12 and cannot read a server of version"):
        back_up(Database(url=filled), tmp_path / "x", directory=folder)
    _script(folder / "pg_dump", "echo something else")
    with pytest.raises(BackupError, match="is this PostgreSQL's pg_dump"):
        back_up(Database(url=filled), tmp_path / "x", directory=folder)
    assert not list(tmp_path.glob("x*"))


def test_the_password_is_not_on_the_command_line(tmp_path: Path) -> None:
    _script(
        tmp_path / "pg_dump",
        'case "$1" in --version) echo "pg_dump (PostgreSQL) 17.1";;'
        ' *) echo "$@" "env=$PGPASSWORD";; esac',
    )
    said = run(find("pg_dump", tmp_path), ["-Fc"], database_url="postgresql://u:s3cret@h:5433/db")
    words, _, secret = said.strip().partition("env=")
    assert secret == "s3cret"
    assert "s3cret" not in words
    assert "--dbname=user=u dbname=db host=h port=5433 -Fc" in words


@pytest.fixture
def command(filled: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("ECLOR_DATABASE_URL", filled)
    return lambda *words: CliRunner().invoke(cloud, [str(word) for word in words])


@pytest.mark.database
def test_the_commands_say_what_they_did(
    command: Callable[..., Result],
    cluster: Cluster,
    filled: str,
    database_url: str,
    programs: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "eclor.dump"
    made = command("backup", file, "--programs", programs)
    assert made.exit_code == 0, made.output
    assert made.stdout.startswith(f"{file}: ")
    again = command("backup", file, "--programs", programs)
    assert (again.exit_code, again.stderr.count("\n")) == (1, 1)
    told = command("backup", file, "--keep", 3)
    assert (told.exit_code, "--keep is for a folder" in told.stderr) == (2, True)
    monkeypatch.setitem(os.environ, "ECLOR_DATABASE_URL", cluster.as_superuser(filled))
    refused = command("restore", file, "--programs", programs)
    assert refused.exit_code == 1
    assert "--replace" in refused.stderr
    monkeypatch.setitem(os.environ, "ECLOR_DATABASE_URL", cluster.as_superuser(database_url))
    done = command("restore", file, "--programs", programs, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"file": str(file), "migrations": [], "streams_asked": 1}
