"""The registry over HTTP: whole documents, and its objects one by one.

An object looks the same in GET, PUT, import and export. `PUT` makes or replaces it; `If-Match`
refuses lost updates, `If-None-Match: *` refuses to replace.
"""

from fastapi import APIRouter

from cloud.registry import document_routes, facility_routes, gateway_routes, place_routes

router = APIRouter()
for part in (document_routes, place_routes, gateway_routes, facility_routes):
    router.include_router(part.router)
