"""The web app: routes, errors as JSON, the page's files, and the guard in front of all of it."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from triptych.errors import ImageError, OutputError, TriptychError
from triptych.studio import openai
from triptych.studio.errors import StudioError
from triptych.studio.routes import gallery, lab, pages, queue, skills
from triptych.studio.security import Guard, Rules, content_policy
from triptych.studio.studio import Studio
from triptych.version import __version__

__all__ = ["WEB", "create_app"]

WEB = Path(str(package_files("triptych.studio"))) / "web"
"""The page's own files."""


class _Page(StaticFiles):
    """Files that a browser asks for again each time, and gets again where they have changed."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


def create_app(
    studio: Studio, *, host: str = "127.0.0.1", names: tuple[str, ...] = (), token: str | None = None
) -> Guard:
    """The app of a studio, guarded for a server that listens on `host`; `names` are more host names of it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with studio.running():
            yield

    app = FastAPI(
        title="Triptych studio",
        version=__version__,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.studio = studio
    for part in (queue, pages, gallery, skills, lab, openai):
        app.include_router(part.router)
    _answer_errors(app)
    if WEB.is_dir():
        app.mount("/", _Page(directory=WEB, html=True), name="page")
    rules = Rules.for_host(host, more=names, token=token, policy=content_policy(WEB / "index.html"))
    return Guard(app, rules)


def _answer_errors(app: FastAPI) -> None:
    def answer(request: Request, error: StudioError) -> JSONResponse:
        data: dict[str, Any] = error.data()
        if request.url.path.startswith("/v1/"):
            data = openai.error_data(error)
        return JSONResponse(data, status_code=error.status)

    def refused(message: str, code: str, status: int, where: str | None = None) -> StudioError:
        return StudioError(message, code=code, status=status, where=where)

    @app.exception_handler(StudioError)
    async def studio_error(request: Request, error: StudioError) -> JSONResponse:
        return answer(request, error)

    @app.exception_handler(ImageError)
    async def image_error(request: Request, error: ImageError) -> JSONResponse:
        return answer(request, refused(str(error), "not_an_image", 422))

    @app.exception_handler(OutputError)
    async def output_error(request: Request, error: OutputError) -> JSONResponse:
        return answer(request, refused(str(error), "disk_full", 507))

    @app.exception_handler(TriptychError)
    async def triptych_error(request: Request, error: TriptychError) -> JSONResponse:
        return answer(request, refused(str(error), "bad_request", 422))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return answer(request, _invalid(error.errors()))

    @app.exception_handler(ValidationError)
    async def invalid_body(request: Request, error: ValidationError) -> JSONResponse:
        return answer(request, _invalid(error.errors(include_url=False, include_input=False)))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not_found", 405: "wrong_method"}.get(error.status_code, "bad_request")
        return answer(request, refused(str(error.detail), code, error.status_code))

    @app.exception_handler(sqlite3.OperationalError)
    async def store_error(request: Request, error: sqlite3.OperationalError) -> JSONResponse:
        full = "full" in str(error) or "disk I/O" in str(error)
        code, status = ("disk_full", 507) if full else ("store_busy", 503)
        return answer(request, refused(f"the studio's table cannot be written: {error}.", code, status))

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, error: Exception) -> JSONResponse:
        return answer(request, refused(f"an error of Triptych: {type(error).__name__}.", "internal", 500))

    for kind in (UnicodeEncodeError, OverflowError, RecursionError):

        @app.exception_handler(kind)
        async def unwritable(request: Request, error: Exception) -> JSONResponse:
            return answer(request, refused(f"the request cannot be used: {error}.", "bad_request", 422))


def _invalid(errors: Any) -> StudioError:
    found = [f"{'.'.join(map(str, each['loc'][-3:]))}: {each['msg'].lower()}" for each in errors[:5]]
    where = ".".join(map(str, errors[0]["loc"])) if errors else None
    return StudioError(
        f"the request is not understood: {'; '.join(found)}.", code="bad_request", status=422, where=where
    )
