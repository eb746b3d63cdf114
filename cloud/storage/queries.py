"""Named SQL statements: a `queries.sql` beside each domain, loaded once.

    -- name: latest_of_gateway
    -- Why the statement is written the way it is.
    select ...;

A statement runs from its `-- name:` line to the next; the comments stay in the text, so that
they show up in the server's log too.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: ([a-z][a-z0-9_]*)\n", re.MULTILINE)


def load(beside: str) -> Mapping[str, LiteralString]:
    """The statements of the `queries.sql` in the folder of `beside` (a module's `__file__`).

    ValueError if a name occurs twice. The text is part of the program, hence LiteralString.
    """
    path = Path(beside).with_name("queries.sql")
    _, *parts = _NAME.split(path.read_text(encoding="utf-8"))
    names, statements = parts[::2], parts[1::2]
    if len(set(names)) != len(names):
        raise ValueError(f"{path}: a statement name occurs twice")
    texts = (cast(LiteralString, statement.strip().removesuffix(";")) for statement in statements)
    return MappingProxyType(dict(zip(names, texts, strict=True)))
