"""Tools for agents, through the Model Context Protocol: the studio's queue, gallery, shelf and rules."""

import base64
import time
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent

from triptych.data.rules import RULES
from triptych.errors import TriptychError
from triptych.files import read_bytes
from triptych.images import MAX_BYTES
from triptych.studio.errors import StudioError
from triptych.studio.files import file_id
from triptych.studio.jobs import Kind
from triptych.studio.studio import Studio
from triptych.version import __version__

__all__ = ["http_security", "make_server"]

_LOOK_S = 0.05
_LONGEST_WAIT_S = 120.0
_SHOWN = 4
_INSTRUCTIONS = (
    "Makes pictures in context: a page has pictures (conditions), empty places (slots) and words. Pass pictures as "
    "data URIs or as file:ID of an earlier result. Work that takes long returns a job id; ask job_status for it."
)


def make_server(studio: Studio, *, local_paths: bool) -> MCPServer:
    """The tools over a studio whose queue is worked at; with `local_paths` images may be files here."""
    desk = _Desk(studio, local_paths=local_paths)

    server = MCPServer("triptych", version=__version__, instructions=_INSTRUCTIONS)
    _add_making(server, desk)
    _add_teaching(server, desk)
    _add_lists(server, desk)
    return server


def http_security(host: str, port: int, names: tuple[str, ...] = ()) -> TransportSecuritySettings:
    """Only these hosts and origins are answered."""
    hosts = [f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]", host, *names)]
    origins = [f"http://{each}" for each in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


def _add_making(server: MCPServer, desk: "_Desk") -> None:
    @server.tool()
    async def generate(
        instructions: list[str],
        images: list[str] | None = None,
        overview: str = "",
        skills: list[str] | None = None,
        seed: int = 0,
        number: int = 1,
        wait_s: float = 60.0,
    ) -> CallToolResult:
        """Make one picture for each instruction, from words and from images (data URIs or file:ID).

        All pictures of a page agree with one another. `skills` are ids from list_skills. Returns thumbnails, links
        and {job, state, pictures, paths, page, seed}, or after `wait_s` the job's id alone.
        """
        return await anyio.to_thread.run_sync(
            lambda: desk.generate(instructions, images or [], overview, skills or [], seed, number, wait_s)
        )

    @server.tool()
    async def job_status(job: str, wait_s: float = 0.0) -> CallToolResult:
        """How a job stands: its state, progress, results or error; waits for its end for `wait_s` seconds at most."""
        return await anyio.to_thread.run_sync(lambda: desk.status(job, wait_s))

    @server.tool()
    async def cancel_job(job: str) -> CallToolResult:
        """Stop a job, or take it from the queue."""
        return await anyio.to_thread.run_sync(lambda: desk.cancel(job))

    @server.resource("triptych://pictures/{picture}", mime_type="image/png")
    def picture(picture: str) -> bytes:
        """A picture that was made, as PNG with its page inside."""
        found = desk.studio.gallery.get(picture)
        return desk.studio.files.path(found["file"]).read_bytes()


def _add_teaching(server: MCPServer, desk: "_Desk") -> None:
    @server.tool()
    async def teach(
        name: str, pairs: list[list[str]], instruction: str = "", steps: int | None = None
    ) -> CallToolResult:
        """Train a skill from about ten pairs of images, [before, after], as data URIs or file:ID; returns the job."""
        return await anyio.to_thread.run_sync(lambda: desk.teach(name, pairs, instruction, steps))

    @server.tool()
    async def evaluate(rule: str, count: int = 12, skills: list[str] | None = None) -> CallToolResult:
        """Score how well a rule is followed, with and without examples; returns the job's id."""
        body = {"rule": rule, "count": count, "skills": [{"id": skill} for skill in skills or []]}
        return await anyio.to_thread.run_sync(lambda: desk.job(Kind.EVALUATE, body))


def _add_lists(server: MCPServer, desk: "_Desk") -> None:
    @server.tool()
    def list_skills() -> dict[str, Any]:
        """Skills on the shelf."""
        return {"skills": desk.studio.shelf.listed()}

    @server.tool()
    def list_rules() -> dict[str, Any]:
        """Rules that pages can be made by and scored on."""
        return {
            "rules": [
                {"name": rule.name, "family": rule.family, "summary": rule.description} for rule in RULES.values()
            ]
        }


class _Desk:
    """What the tools do, without the protocol."""

    def __init__(self, studio: Studio, *, local_paths: bool) -> None:
        self.studio, self._local_paths = studio, local_paths

    def generate(
        self,
        instructions: list[str],
        images: list[str],
        overview: str,
        skills: list[str],
        seed: int,
        number: int,
        wait_s: float,
    ) -> CallToolResult:
        try:
            panels: list[dict[str, Any]] = [{"role": "subject", "image": self._image(each)} for each in images]
            panels += [{"role": "slot", "instruction": words} for words in instructions]
            request = {
                "page": {"panels": panels, "overview": overview},
                "seed": seed,
                "number": number,
                "skills": [{"id": skill} for skill in skills],
            }
            job = self.studio.add_job(Kind.GENERATE, {"request": request, "slots": None})
        except (TriptychError, ValueError) as error:
            return _failed(str(error))
        return self.status(job["id"], wait_s)

    def teach(self, name: str, pairs: list[list[str]], instruction: str, steps: int | None) -> CallToolResult:
        try:
            pages = []
            for number, pair in enumerate(pairs, 1):
                if len(pair) != 2:
                    return _failed(f"pair {number} has {len(pair)} images; give two, before and after.")
                slot = {"role": "slot", "answer": self._image(pair[1]), "instruction": instruction}
                pages.append({"panels": [{"role": "edit", "image": self._image(pair[0])}, slot]})
        except (TriptychError, ValueError) as error:
            return _failed(str(error))
        return self.job(Kind.TRAIN, {"name": name, "pages": pages, "steps": steps})

    def job(self, kind: Kind, body: dict[str, Any]) -> CallToolResult:
        try:
            job = self.studio.add_job(kind, body)
        except (TriptychError, ValueError) as error:
            return _failed(str(error))
        return self.status(job["id"], 0.0)

    def cancel(self, job: str) -> CallToolResult:
        try:
            self.studio.cancel(job)
        except StudioError as error:
            return _failed(str(error))
        return self.status(job, 0.0)

    def status(self, job: str, wait_s: float) -> CallToolResult:
        until = time.monotonic() + min(max(wait_s, 0.0), _LONGEST_WAIT_S)
        try:
            found = self.studio.jobs.get(job, body=True)
            while found["ended"] is None and time.monotonic() < until:
                time.sleep(_LOOK_S)
                found = self.studio.jobs.get(job, body=True)
        except StudioError as error:
            return _failed(str(error))
        told = {key: found[key] for key in ("kind", "state", "progress", "error", "results")} | {"job": job}
        content: list[Any] = [TextContent(type="text", text=_words(found))]
        if found["kind"] == Kind.GENERATE and found["results"]:
            pictures = self.studio.gallery.of_job(job)
            request = found["body"]["request"]
            told |= {"page": request["page"], "seed": request.get("seed", 0)}
            told["pictures"] = [{"id": each["id"], "file": f"file:{each['file']}"} for each in pictures]
            told["paths"] = [str(self.studio.files.path(each["file"])) for each in pictures]
            content += [self._thumb(each) for each in pictures[:_SHOWN]]
            content += [_link(each) for each in pictures]
        failed = found["state"] == "failed"
        return CallToolResult(content=content, structured_content=told, is_error=failed)

    def _image(self, text: str) -> str:
        if file_id(text) is not None:
            return text
        if text.startswith("data:image/"):
            data = base64.b64decode(text.partition(",")[2], validate=True)
        elif self._local_paths:
            data = read_bytes(Path(text).expanduser(), max_bytes=MAX_BYTES)
        else:
            raise StudioError("an image is a data URI or file:ID; paths are refused here.", code="bad_image")
        return f"file:{self.studio.files.add(data).id}"

    def _thumb(self, picture: dict[str, Any]) -> ImageContent:
        data = self.studio.files.thumb(picture["file"], 256).read_bytes()
        return ImageContent(type="image", data=base64.b64encode(data).decode(), mime_type="image/webp")


def _link(picture: dict[str, Any]) -> ResourceLink:
    uri = f"triptych://pictures/{picture['id']}"
    return ResourceLink(type="resource_link", name=f"{picture['id']}.png", uri=uri, mime_type="image/png")


def _words(job: dict[str, Any]) -> str:
    if job["error"]:
        return f"job {job['id']} {job['state']}: {job['error']['message']}"
    progress = job["progress"] or {}
    steps = f", step {progress['step']} of {progress['steps']}" if progress.get("steps") else ""
    return f"job {job['id']} is {job['state']}{steps if job['ended'] is None else ''}."


def _failed(message: str) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=message)], is_error=True)
