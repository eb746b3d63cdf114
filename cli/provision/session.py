"""How every `eclor provision` command reaches the API, and how its faults are told."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from cloud.registry.client import ApiError, RegistryClient

COMPLETION_TIMEOUT_S = 1.0


class UsageFault(click.ClickException):
    """Something in the command or its files that the user can repair; exit code 2."""

    exit_code = 2


class Failed(click.ClickException):
    """The API could not do it; exit code 1."""

    exit_code = 1


@dataclass(frozen=True, slots=True)
class Session:
    """Where the API is, and where its key is."""

    url: str
    key_file: Path | None = None

    @contextmanager
    def client(self) -> Iterator["RegistryClient"]:
        """A client; what the API refuses becomes a message and an exit code."""
        from cloud.registry.client import ApiError, MisnamedError, RegistryClient

        try:
            with RegistryClient(self.url, self._key()) as client:
                yield client
        except MisnamedError as exc:
            raise UsageFault(str(exc)) from exc
        except ApiError as exc:
            raise _told(exc) from exc

    def _key(self) -> str | None:
        if self.key_file is None:
            return os.environ.get("ECLOR_API_KEY") or None
        try:
            return self.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as exc:
            raise UsageFault(f"--api-key-file {self.key_file} cannot be read: {exc}") from exc


def _told(exc: "ApiError") -> click.ClickException:
    """Faults of a request one a line; keys and requests are the user's, the rest is not."""
    lines = [str(exc), *(f"  {fault}" for fault in exc.faults)]
    users = exc.status in (401, 403, 413, 422)
    return UsageFault("\n".join(lines)) if users else Failed("\n".join(lines))


class RemoteName(click.ParamType[str]):
    """The name of an object; the shell completes it by asking the API, if that answers at once."""

    name = "name"

    def __init__(self, section: str) -> None:
        self._section = section

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from cloud.registry.client import ApiError, RegistryClient

        url = os.environ.get("ECLOR_API_URL", "http://127.0.0.1:8000")
        key = os.environ.get("ECLOR_API_KEY")
        try:
            with RegistryClient(url, key, timeout_s=COMPLETION_TIMEOUT_S) as client:
                names = [name_of(self._section, r) for r in client.pages(f"/{self._section}")]
        except ApiError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def name_of(section: str, record: dict[str, Any]) -> str:
    """What a record is called on the command line."""
    from cloud.registry.client import FORMS

    *owners, _ = FORMS[section].lower().split("/")
    return "/".join([*(str(record[owner]) for owner in owners), str(record["id"])])
