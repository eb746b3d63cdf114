"""An archive of pg_dump's custom format, and the note beside it.

The note (`FILE.json`) holds what the archive does not say of itself: the versions that a restore
must meet, and the number of the newest migration. An archive without its note can be restored;
what the note would have told is then not checked.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from cloud.backup import programs
from cloud.backup.programs import Program
from cloud.errors import BackupError


@dataclass(frozen=True, slots=True)
class Note:
    """What database it was; `migration` is the version of its schema."""

    made_at: str
    edition: str
    postgres: str
    timescaledb: str | None
    migration: int


@dataclass(frozen=True, slots=True)
class Archive:
    """What pg_restore reads in an archive, and its note where there is one."""

    path: Path
    postgres_major: int
    timescale: bool
    note: Note | None


def note_path(archive: Path) -> Path:
    return archive.with_name(archive.name + ".json")


def write_note(archive: Path, note: Note) -> None:
    note_path(archive).write_text(json.dumps(asdict(note), indent=2) + "\n", encoding="utf-8")


def look_into(path: Path, restore: Program) -> Archive:
    """Read the list of contents; BackupError if this is no archive of Eclor."""
    if not path.is_file():
        raise BackupError(f"{path} is not there; name a file that 'eclor cloud backup' made")
    contents = programs.run(restore, ["--list", str(path)])
    version = re.search(r"^;\s+Dumped from database version: (\d+)", contents, re.MULTILINE)
    if version is None or not re.search(r" TABLE \S+ eclor_database ", contents):
        raise BackupError(f"{path} is an archive, but not of a database of Eclor")
    timescale = re.search(r" EXTENSION - timescaledb\b", contents) is not None
    return Archive(path, int(version[1]), timescale, _note(path))


def _note(path: Path) -> Note | None:
    beside = note_path(path)
    if not beside.exists():
        return None
    try:
        return Note(**json.loads(beside.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as exc:
        raise BackupError(
            f"{beside} cannot be read ({exc}); move it away to restore without its checks"
        ) from exc
