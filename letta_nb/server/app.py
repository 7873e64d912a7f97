"""The HTTP application: Letta's routes over a Service, and errors in Letta's shapes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from letta_nb._version import __version__
from letta_nb.server import agent_routes, conversation_routes, run_routes, seed_routes
from letta_nb.server.answers import ALWAYS, problems
from letta_nb.server.background import CannotResume
from letta_nb.server.eras import VERSIONS
from letta_nb.server.roster import UnknownName
from letta_nb.server.routing import NotFound
from letta_nb.server.service import Busy, NothingToCancel, Service
from letta_nb.server.store import UnknownCursor


def create_app(service: Service) -> FastAPI:
    """The application; paths have no slash at their end (Guard takes it off)."""
    # no documentation pages: they load scripts from elsewhere
    app = FastAPI(title="letta_nb embedded server", version=__version__, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False
    app.state.service = service

    @app.get("/v1/health", responses=problems(403))
    async def health() -> dict[str, str]:
        """Who this is: the Letta server it speaks like, and what it is."""
        return {"version": VERSIONS[service.settings.era], "status": "ok", "server": f"letta_nb/{__version__}"}

    app.state.routes = _include(app, seed=service.settings.seed)
    for error, status in ((NotFound, 404), (UnknownName, 404), (UnknownCursor, 404), (NothingToCancel, 409)):
        app.add_exception_handler(error, _plain(status))
    app.add_exception_handler(CannotResume, _cannot_resume)
    app.add_exception_handler(Busy, _busy)
    app.add_exception_handler(RequestValidationError, _seed_invalid if service.settings.seed else _invalid)
    app.add_exception_handler(405, _wrong_method)
    app.add_exception_handler(Exception, _crashed)
    return app


def _include(app: FastAPI, *, seed: bool) -> list[APIRoute]:
    """Add the routes, and return them; the seed era has its own in place of some, and lacks others."""
    modern = [agent_routes.router, run_routes.router, conversation_routes.router]
    routers = [seed_routes.router, *map(_kept_in_seed, modern[:2])] if seed else modern
    for router in routers:
        app.include_router(router, responses=ALWAYS)
    return [route for router in routers for route in router.routes if isinstance(route, APIRoute)]


def _kept_in_seed(router: APIRouter) -> APIRouter:
    own = {_signature(route) for route in seed_routes.router.routes}
    kept = APIRouter()
    kept.routes = [route for route in router.routes if _signature(route) not in own | seed_routes.LATER]
    return kept


def _signature(route: BaseRoute) -> tuple[str, str]:
    assert isinstance(route, APIRoute)
    return min(route.methods or ()), route.path


def _plain(status: int) -> Any:
    async def answer(_: Request, error: Exception) -> JSONResponse:
        detail = f"Cursor {error} not found" if isinstance(error, UnknownCursor) else str(error)
        return JSONResponse({"detail": detail}, status)

    return answer


async def _cannot_resume(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, CannotResume)
    return JSONResponse({"detail": str(error)}, error.status)


async def _busy(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Busy)
    return JSONResponse({"detail": str(error), "run_id": error.run_id}, 409, {"Retry-After": "1"})


async def _seed_invalid(_: Request, error: Exception) -> JSONResponse:
    """422 as FastAPI words it by itself."""
    assert isinstance(error, RequestValidationError)
    return JSONResponse({"detail": jsonable_encoder(error.errors())}, 422)


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


async def _wrong_method(request: Request, _: Exception) -> JSONResponse:
    """405 with all methods that the path has: Starlette tells those of the first route that fits."""
    routes: list[APIRoute] = request.app.state.routes
    fitting = [route for route in routes if route.path_regex.match(request.url.path)]
    methods = {method for route in fitting for method in route.methods or ()} or {"GET"}
    return JSONResponse({"detail": "Method Not Allowed"}, 405, {"Allow": ", ".join(sorted(methods))})


async def _crashed(_: Request, error: Exception) -> JSONResponse:
    # starlette raises it again after the answer, and uvicorn logs it
    return JSONResponse({"detail": "An unknown error occurred"}, 500)
