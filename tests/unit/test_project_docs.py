"""What the pages say can be followed: links lead somewhere, commands and log names exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.main import main
from cloud.events import CATALOGUE
from edge import events, field_events
from edge.events import Event

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/README.md")])
CODE = re.compile(r"```[^\n]*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"(?:^|[\s/])eclor((?: +[\w|{}][\w|{}-]*)+)", re.MULTILINE)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _anchors(page: Path) -> set[str]:
    """As the usual renderers make them from headings."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def _code(page: Path) -> Iterator[str]:
    for block, span in CODE.findall(page.read_text(encoding="utf-8")):
        yield block or span


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            assert anchor in _anchors(found), target


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_commands_exist(page: Path) -> None:
    for code in _code(page):
        for words in COMMAND.findall(code):
            _follow(main, words.split())


def _follow(command: click.Command, words: list[str]) -> None:
    """Walk the tree along `words`; `a|b` stands for both, capitals for the reader's own word."""
    if not isinstance(command, click.Group) or not words or words[0].isupper():
        return
    for word in words[0].split("|"):
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"there is no 'eclor ... {word}'"
        _follow(found, words[1:])


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/how-to/*.md")), ids=_name)
def test_what_the_log_is_said_to_say_is_in_its_catalogue(page: Path) -> None:
    known = {event.value for event in CATALOGUE}
    for module in (events, field_events):
        known |= {item.name for item in vars(module).values() if isinstance(item, Event)}
    lines = page.read_text(encoding="utf-8").splitlines()
    said = {m[1] for line in lines if (m := re.match(r"\| `([a-z]+(?:_[a-z]+)+)\b", line))}
    assert said <= known
