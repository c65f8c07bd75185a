"""Who may ask: the Host and Origin of every request, a token where others can reach the port, limits, and headers."""

import base64
import hashlib
import hmac
import ipaddress
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from triptych.addresses import is_loopback

__all__ = ["Guard", "Rules", "content_policy"]

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[_Scope, _Receive, _Send], Awaitable[None]]

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
_MAX_BODY = {
    "/api/files": 65 * 2**20,
    "/api/recall": 65 * 2**20,
    "/v1/images/edits": 160 * 2**20,
    "/v1/images/generations": 160 * 2**20,
}
_MAX_JSON = 4 * 2**20
_MAP = re.compile(r'<script type="importmap">(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the guard goes by."""

    hosts: frozenset[str]
    """Host names that are this server, lower case, without port."""
    any_address: bool = False
    """Addresses in numbers are this server, too: it listens elsewhere than on loopback."""
    token: str | None = None
    """Needed for everything but the page's own files."""
    policy: str = "default-src 'none'"
    """Content-Security-Policy of the page."""

    @classmethod
    def for_host(cls, host: str, *, more: Iterable[str] = (), token: str | None = None, policy: str) -> "Rules":
        """Rules of a server that listens on `host`."""
        named = {host.lower(), *(each.lower() for each in more)} - {"0.0.0.0", "::", ""}
        hosts = _LOOPBACK_NAMES | named
        return cls(hosts=frozenset(hosts), any_address=not is_loopback(host), token=token, policy=policy)


def content_policy(index: Path) -> str:
    """The page's policy: everything from this server alone, and of inline scripts only the import map as it stands."""
    hashes = ""
    if index.is_file():
        for script in _MAP.findall(index.read_text(encoding="utf-8")):
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            hashes += f" 'sha256-{digest}'"
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'; img-src 'self' data: blob:; "
        "connect-src 'self'; font-src 'self'; frame-src 'self'; manifest-src 'self'; worker-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


class _RefusedError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Guard:
    """ASGI middleware in front of everything."""

    def __init__(self, app: _App, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        started = False
        overrun: list[_RefusedError] = []

        async def send_guarded(message: MutableMapping[str, Any]) -> None:
            nonlocal started
            if overrun and not started:
                # The app has an answer of its own to a body that breaks off.
                return
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [*message.get("headers", ()), *self._headers(message.get("headers", ()))]
            await send(message)

        try:
            headers = _single_headers(scope)
            self._check(scope, headers)
            await self._app(scope, _limited(scope, headers, receive, overrun), send_guarded)
        except _RefusedError as refused:
            overrun[:] = [refused]
        if overrun and not started:
            (refused,), overrun = overrun, []
            await self._refuse(scope, send_guarded, refused)

    def _check(self, scope: _Scope, headers: dict[str, str]) -> None:
        host = headers.get("host", "")
        if not self._is_own_host(host):
            raise _RefusedError(
                421,
                "wrong_host",
                f"this studio does not answer for the host {host[:80]!r}. Open it by the address it printed.",
            )
        writes = scope["method"] not in _SAFE
        path = scope["path"]
        origin = headers.get("origin")
        if origin is not None and not _same_origin(origin, host, scope.get("scheme", "http")):
            raise _RefusedError(403, "wrong_origin", f"requests from {origin[:80]!r} are refused.")
        asked_by = headers.get("sec-fetch-site", "none")
        is_api = path.startswith(("/api/", "/v1/"))
        if asked_by not in ("same-origin", "none") and (writes or is_api):
            raise _RefusedError(403, "wrong_origin", "requests from other sites are refused.")
        if writes and path.startswith("/api/") and headers.get("x-triptych") != "1":
            raise _RefusedError(403, "no_header", "send the header 'X-Triptych: 1' with what changes something.")
        if is_api and self._rules.token is not None and not self._has_token(scope, headers, writes):
            raise _RefusedError(
                401, "no_token", "this studio needs its token: open the address that it printed when it started."
            )

    def _is_own_host(self, host: str) -> bool:
        name = _host_name(host)
        if name is None:
            return False
        if name in self._rules.hosts:
            return True
        if not self._rules.any_address:
            return False
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    def _has_token(self, scope: _Scope, headers: dict[str, str], writes: bool) -> bool:
        assert self._rules.token is not None
        given = [headers.get("authorization", "").removeprefix("Bearer ")]
        if not writes:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=50)
            given += query.get("token", [])
        return any(hmac.compare_digest(each.encode(), self._rules.token.encode()) for each in given)

    def _headers(self, present: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        has = {name.lower() for name, _ in present}
        wanted = {
            b"content-security-policy": self._rules.policy.encode(),
            b"x-content-type-options": b"nosniff",
            b"referrer-policy": b"no-referrer",
            b"cross-origin-resource-policy": b"same-origin",
            b"cross-origin-opener-policy": b"same-origin",
            b"x-frame-options": b"DENY",
            b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            b"cache-control": b"no-store",
        }
        return [(name, value) for name, value in wanted.items() if name not in has]

    async def _refuse(self, scope: _Scope, send: _Send, refused: _RefusedError) -> None:
        error: dict[str, object] = {"code": refused.code, "message": str(refused), "where": None}
        if scope["path"].startswith("/v1/"):
            error = {"message": str(refused), "type": "invalid_request_error", "param": None, "code": refused.code}
        body = json.dumps({"error": error}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refused.status == 413:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def _single_headers(scope: _Scope) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if name in headers and name in ("host", "origin", "content-length", "authorization", "x-triptych"):
            raise _RefusedError(400, "bad_header", f"the header {name} is given more than once.")
        headers[name] = value.decode("latin-1")
    return headers


def _host_name(host: str) -> str | None:
    """The name in a Host header, lower case; None for anything else."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?", host)
    return match[1].lower().rstrip(".") if match else None


def _same_origin(origin: str, host: str, scheme: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return f"{parts.scheme}://{parts.netloc}" == origin and parts.scheme == scheme and parts.netloc == host


def _limited(scope: _Scope, headers: dict[str, str], receive: _Receive, overrun: list[_RefusedError]) -> _Receive:
    """The body, refused where it is longer than its path takes; `overrun` then says so."""
    most = _MAX_BODY.get(scope["path"], _MAX_JSON)
    told = headers.get("content-length", "0")
    if not re.fullmatch(r"\d{1,18}", told):
        raise _RefusedError(400, "bad_header", "the header content-length is not a number.")
    too_long = _RefusedError(413, "too_large", f"the request is larger than {most // 2**20} MiB. Send less at once.")
    if int(told) > most:
        raise too_long
    seen = 0

    async def counted() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message.get("body", b""))
            if seen > most:
                overrun[:] = [too_long]
                raise too_long
        return message

    return counted
