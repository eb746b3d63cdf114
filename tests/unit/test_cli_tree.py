"""The command as a tree: everything can be reached, and everything shows how it is used."""

import importlib
import pkgutil
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

import cli
from cli.main import main


def _tree(
    command: click.Command, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None, name
            yield from _tree(found, (*words, name))


COMMANDS = dict(_tree(main))


def test_every_command_of_the_code_can_be_reached() -> None:
    reached = {id(command) for command in COMMANDS.values()}
    for module in pkgutil.walk_packages(cli.__path__, "cli."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, click.Command):
                assert id(value) in reached, f"{module.name}.{name}"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, [*words, "--help"])
    assert done.exit_code == 0, done.output
    if not isinstance(COMMANDS[words], click.Group):
        assert f"eclor {' '.join(words[:1])}" in done.output.partition("\n")[2], "no example"
