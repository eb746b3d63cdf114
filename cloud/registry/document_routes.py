"""The registry as one document: out, and in again."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from cloud.api.deps import Connection
from cloud.api.etag import encode, tagged
from cloud.api.problems import invalid, openapi_responses
from cloud.registry import records, service, store
from cloud.registry.model import WORDS, Document, plain_document
from cloud.registry.parse import DocumentFaults
from cloud.registry.records import OfTerritory, Reader, Writer
from cloud.registry.service import Result

router = APIRouter(tags=["registry"])

MAX_SHOWN_CHANGES = 500
DOCUMENT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {"$ref": "#/components/schemas/Document"},
                "example": {"territories": [{"id": "pays-haut", "name": "Pays-Haut"}]},
            }
        },
    }
}


class ChangeForm(BaseModel):
    """One record that an import wrote, or would write."""

    record: str = Field(examples=["device:cab-centre-1/lamp-00"])
    action: str = Field(examples=["created"])
    keys: list[str] = Field(description="Keys that change")


class ImportForm(BaseModel):
    """What an import did, or would do."""

    dry_run: bool
    created: int
    updated: int
    unchanged: int
    changes: list[ChangeForm] = Field(description=f"The first {MAX_SHOWN_CHANGES}")


@router.get("/registry", response_model=Document, responses=openapi_responses(401, 403))
async def export_registry(
    request: Request, who: Reader, conn: Connection, territory: OfTerritory = None
) -> Response:
    """Everything that the key may see, as one document that can be imported again."""
    document = await store.read(conn, territory=records.reach(who, territory))
    return tagged(request, plain_document(document))


@router.post(
    "/registry",
    response_model=ImportForm,
    responses=openapi_responses(401, 403, 413, 422),
    openapi_extra=DOCUMENT_BODY,
)
async def import_registry(
    request: Request,
    who: Writer,
    conn: Connection,
    dry_run: Annotated[bool, Query(description="Check and report; change nothing")] = False,  # noqa: FBT002
) -> Response:
    """Make or replace every object of a document, in one transaction: all of it or nothing.

    Objects that are not in the document stay. Every fault is reported at once.
    """
    body = await request.body()
    try:
        result = await service.import_document(
            conn, body, actor=who.actor, territory=who.territory, dry_run=dry_run
        )
    except DocumentFaults as exc:
        raise invalid(str(exc), exc.faults) from exc
    return Response(encode(_import_form(result)), media_type="application/json")


def _import_form(result: Result) -> dict[str, Any]:
    counts = [change.action for change in result.changes]
    shown = result.changes[:MAX_SHOWN_CHANGES]
    return {
        "dry_run": result.dry_run,
        "created": counts.count("created"),
        "updated": counts.count("updated"),
        "unchanged": result.unchanged,
        "changes": [
            {
                "record": f"{WORDS[change.section]}:{change.after.label}",
                "action": change.action,
                "keys": change.keys(),
            }
            for change in shown
        ],
    }
