"""The OpenAPI document: what the framework derives, and what it cannot know."""

from typing import Any

from fastapi import FastAPI
from pydantic.json_schema import models_json_schema

from cloud.api.problems import MEDIA_TYPE, FaultForm, ProblemForm

_DESCRIPTION = """\
Everything that Eclor knows about a territory: its gateways and devices, what they measured, the
lighting plans and the waits.

Errors are problem documents (RFC 9457). Times are UTC. Lists are paged by a cursor. Registry
objects carry an ETag; `If-Match` refuses lost updates.
"""


def describe(app: FastAPI) -> None:
    """Replace `app.openapi` by one that also documents errors."""
    derive = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = derive()
            document["info"]["description"] = _DESCRIPTION
            document["info"]["license"] = {"name": "EUPL-1.2", "identifier": "EUPL-1.2"}
            _add_problems(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # the documented way to extend it


def _add_problems(document: dict[str, Any]) -> None:
    """The problem schemas, and problem documents in place of the framework's own error form."""
    _, definitions = models_json_schema(
        [(ProblemForm, "serialization"), (FaultForm, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(definitions["$defs"])
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    problem = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemForm"}}}
    for operations in document["paths"].values():
        for operation in operations.values():
            responses = operation["responses"]
            if "422" in responses:
                responses["422"] = {"description": "Invalid request", "content": problem}
            responses["default"] = {"description": "Any other error", "content": problem}
