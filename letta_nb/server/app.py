"""The HTTP application: Letta's routes over a Service, and errors in Letta's shapes."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from letta_nb._version import __version__
from letta_nb.server import agent_routes, run_routes
from letta_nb.server.roster import UnknownName
from letta_nb.server.routing import NotFound
from letta_nb.server.service import NothingToCancel, Service
from letta_nb.server.store import UnknownCursor

_LETTA_VERSION = "0.16.8"


def create_app(service: Service) -> FastAPI:
    """The application; paths have no slash at their end (Guard takes it off)."""
    # no documentation pages: they load scripts from elsewhere
    app = FastAPI(title="letta_nb embedded server", version=__version__, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.state.service = service

    @app.get("/v1/health")
    async def health() -> dict[str, str]:
        """Who this is: the Letta server it speaks like, and what it is."""
        return {"version": _LETTA_VERSION, "status": "ok", "server": f"letta_nb/{__version__}"}

    app.include_router(agent_routes.router)
    app.include_router(run_routes.router)
    for error, status in ((NotFound, 404), (UnknownName, 404), (UnknownCursor, 404), (NothingToCancel, 409)):
        app.add_exception_handler(error, _plain(status))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _crashed)
    return app


def _plain(status: int) -> Any:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        detail = f"Cursor {error} not found" if isinstance(error, UnknownCursor) else str(error)
        return JSONResponse({"detail": detail}, status)

    return answer


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """422 as 0.16.8 words it: the list of errors as the text of a Python list."""
    assert isinstance(error, RequestValidationError)
    body: dict[str, Any] = {"trace_id": "", "detail": ""}
    errors: list[dict[str, Any]] = []
    for found in error.errors():
        if found["type"] == "string_pattern_mismatch" and found["loc"][0] == "path":
            kind = str(found["loc"][1]).removesuffix("_id")
            found = {**found, "msg": f"String should match pattern '{kind}-{{uuid4}}'"}
            body["examples"] = [f"{kind}-123e4567-e89b-42d3-8456-426614174000"]
        errors.append(found)
    return JSONResponse(body | {"detail": str(errors)}, 422)


async def _crashed(_: Request, error: Exception) -> JSONResponse:
    # starlette raises it again after the answer, and uvicorn logs it
    return JSONResponse({"detail": "An unknown error occurred"}, 500)
