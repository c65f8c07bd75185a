import asyncio

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.studio.app import create_app
from triptych.studio.security import content_policy

OWN = "http://127.0.0.1:8420"


def ask(transport, method, path, **options):
    async def run():
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return await client.request(method, path, **options)

    return asyncio.run(run())


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:8420",
        "192.168.0.9",
        "",
        "localhost.evil",
        "a b",
        "[::2]",
    ],
)
@pytest.mark.parametrize("path", ["/api/jobs", "/", "/v1/images/generations"])
def test_a_forged_host_is_refused(quiet, host, path):
    assert ask(quiet[1], "GET", path, headers={"Host": host}).status_code == 421


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8420", "http://127.0.0.1:1", "x"])
def test_a_forged_origin_is_refused(quiet, origin):
    for path in ("/api/jobs/cancel-all", "/v1/images/generations", "/v1/images/edits", "/api/files"):
        answer = ask(quiet[1], "POST", path, headers={"Origin": origin, "X-Triptych": "1"})
        assert answer.status_code == 403, path


def test_a_change_needs_the_header_and_no_other_site(quiet):
    assert ask(quiet[1], "POST", "/api/jobs/cancel-all").json()["error"]["code"] == "no_header"
    elsewhere = {"X-Triptych": "1", "Sec-Fetch-Site": "cross-site"}
    assert ask(quiet[1], "POST", "/api/jobs/cancel-all", headers=elsewhere).status_code == 403
    assert ask(quiet[1], "GET", "/api/jobs", headers={"Sec-Fetch-Site": "same-site"}).status_code == 403
    own = {"X-Triptych": "1", "Origin": OWN, "Sec-Fetch-Site": "same-origin"}
    assert ask(quiet[1], "POST", "/api/jobs/cancel-all", headers=own).status_code == 200


def test_every_answer_has_the_security_headers(quiet):
    for path in ("/api/jobs", "/api/files/none", "/nowhere"):
        headers = ask(quiet[1], "GET", path).headers
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"


def test_a_server_for_others_needs_its_token(quiet):
    studio, _ = quiet
    transport = httpx.ASGITransport(app=create_app(studio, host="0.0.0.0", token="secret"))
    assert ask(transport, "GET", "/api/jobs").status_code == 401
    assert ask(transport, "GET", "/api/jobs?token=secret").status_code == 200
    assert ask(transport, "GET", "/api/jobs?token=other").status_code == 401
    bearer = {"Authorization": "Bearer secret", "X-Triptych": "1", "Host": "192.168.0.9:8420"}
    assert ask(transport, "POST", "/api/jobs/cancel-all", headers=bearer).status_code == 200
    # In the address it would be sent by a form of another site.
    assert ask(transport, "POST", "/api/jobs/cancel-all?token=secret", headers={"X-Triptych": "1"}).status_code == 401
    assert ask(transport, "GET", "/api/jobs?token=secret", headers={"Host": "evil.example"}).status_code == 421


def test_a_body_that_is_too_long_is_refused(quiet):
    long = {"Content-Length": str(2**40), "X-Triptych": "1"}
    assert ask(quiet[1], "POST", "/api/jobs", headers=long, content=b"{}").status_code == 413

    async def endless():
        for _ in range(6):
            yield b"x" * 2**20

    answer = ask(quiet[1], "POST", "/api/documents", headers={"X-Triptych": "1"}, content=endless())
    assert answer.status_code == 413


def test_content_policy_allows_the_import_map_as_it_stands(tmp_path):
    page = tmp_path / "index.html"
    page.write_text('<script type="importmap">{"imports":{}}</script>')
    first = content_policy(page)
    page.write_text('<script type="importmap">{"imports":{"a":"b"}}</script>')
    assert "'sha256-" in first and first != content_policy(page)


_PARTS = st.sampled_from(
    ["..", ".", "%2e%2e", "%2f", "\\", "%5c", "etc", "passwd", "studio.sqlite", "files", "~", "%00", "C:", "//", "lock"]
)
_PATHS = st.lists(st.one_of(_PARTS, st.text(max_size=8)), max_size=8).map("/".join)


@pytest.mark.parametrize(
    "examples", [pytest.param(300, id="300"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]
)
def test_no_path_leaves_the_folders(quiet, examples):
    studio, transport = quiet
    secret = studio.folder.root / "secret.txt"
    secret.write_text("the secret")
    (studio.folder.reports / "job").mkdir()
    (studio.folder.reports / "job" / "link.html").symlink_to(secret)

    async def run(path):
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode("utf-8", "replace"), "query_string": b"", "root_path": "",
            "headers": [(b"host", b"127.0.0.1:8420")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8420),
        }  # fmt: skip
        status, body, asked = 0, b"", 0

        async def receive():
            nonlocal asked
            asked += 1
            if asked > 1:  # the client stays, and says nothing more
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message):
            nonlocal status, body
            status = message.get("status", status)
            body += message.get("body", b"")

        await transport.app(scope, receive, send)
        return status, body

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(path=_PATHS, start=st.sampled_from(["/", "/api/files/", "/api/reports/job/", "/api/skills/", "/vendor/"]))
    def check(path, start):
        status, body = asyncio.run(run(start + path))
        assert status < 500
        assert b"the secret" not in body and b"SQLite format" not in body and b"root:" not in body

    check()
    assert asyncio.run(run("/api/reports/job/link.html"))[0] == 404
    assert asyncio.run(run("/api/reports/job/../../secret.txt"))[0] == 404
