"""The repository itself: nothing of one machine in it, locks that agree, a complete licence."""

import hashlib
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
LOCKS = {"dev": ("edge", "cloud", "sim", "demo"), "demo": ("demo",), "edge": ("edge",)}
LOCKS |= {"cloud": ("cloud",)}
# Written in pieces, so that this file does not contain what it looks for.
REGISTRY = re.compile(r"\b(py" r"pi|pytho" r"nhosted|np" r"mjs|debi" r"an)\.(org|com|net)\b")
MACHINE = re.compile(r"(?<![\w.$}-])/(ro" r"ot|ho" r"me|wor" r"k|Us" r"ers)/[\w.-]+")
LOCK_LINE = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)( ; [^\\]+?)? \\$")


def _committed() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name]


def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _locked(name: str) -> dict[str, set[str]]:
    """Versions of each package of a lock: more than one where the interpreter decides."""
    versions: dict[str, set[str]] = {}
    for line in (ROOT / f"requirements/{name}.txt").read_text().splitlines():
        if not line.startswith((" ", "#")):
            match = LOCK_LINE.match(line)
            assert match, f"requirements/{name}.txt: {line!r} is not an exact version with hashes"
            versions.setdefault(match[1], set()).add(match[2])
    return versions


def _wanted(extras: tuple[str, ...]) -> list[Requirement]:
    project = _project()["project"]
    optional = project["optional-dependencies"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    for extra in extras:
        for requirement in map(Requirement, optional[extra]):
            if requirement.name == project["name"]:
                wanted += _wanted(tuple(sorted(requirement.extras)))
            else:
                wanted.append(requirement)
    return wanted


@pytest.mark.parametrize("pattern", [REGISTRY, MACHINE], ids=["registry host", "machine path"])
def test_no_committed_file_names_a(pattern: re.Pattern[str]) -> None:
    found = []
    for file in _committed():
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # a picture, or a file that is being moved
        found += [
            f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
            for number, line in enumerate(lines, 1)
            if pattern.search(line)
        ]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_the_project_declares(name: str) -> None:
    locked = _locked(name)
    wanted = _wanted(LOCKS[name])
    if name == "dev":
        wanted += map(Requirement, _project()["dependency-groups"]["dev"])
        wanted += map(Requirement, _project()["build-system"]["requires"])
    unmet = [
        str(requirement)
        for requirement in wanted
        for version in locked.get(canonicalize_name(requirement.name), {"missing"})
        if version == "missing" or version not in requirement.specifier
    ]
    assert unmet == [], "make the locks anew: scripts/lock"


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes(name: str) -> None:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    for entry in re.split(r"\n(?=[a-z])", text):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    assert not re.search(r"--(index-url|extra-index-url|find-links|trusted-host)|https?:", text)


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "dev"])
def test_the_locks_agree_with_the_developers_lock(name: str) -> None:
    everything = _locked("dev")
    assert {p: v for p, v in _locked(name).items() if not v <= everything.get(p, set())} == {}


def test_the_two_parts_of_psycopg_have_one_version() -> None:
    locked = _locked("cloud")
    assert locked["psycopg"] == locked["psycopg-binary"]


def test_the_licence_is_the_whole_text() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("EUROPEAN UNION PUBLIC LICENCE v. 1.2")
    for article in range(1, 16):
        assert re.search(rf"^{article}\.\w", text, re.MULTILINE), f"article {article} is missing"
    assert text.rstrip().endswith("require the production of a new EUPL version.")
    digest = hashlib.sha256(" ".join(text.split()).encode()).hexdigest()
    assert digest == "b265314fe0920ed66121307961dabb70eb3c26c508d2362783e821bbb4a0e16c"


def test_make_alone_lists_the_verbs() -> None:
    command = ["make", "--no-print-directory"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    verbs = {line.split()[1] for line in done.stdout.splitlines()}
    assert verbs == {"demo", "test", "check", "bench", "docs", "services"}
