"""Whatever is sent to the API, the answer is never an error of ours."""

import asyncio

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from triptych.studio import studio as studio_module
from triptych.studio.app import create_app
from triptych.studio.studio import Studio

OWN = "http://127.0.0.1:8420"
_NEEDS_A_WORKER = ("/api/recall", "/api/preflight", "/api/events", "/v1/", "/api/skills/{skill}/export")
"""Paths that wait for a worker, which is not there; tests/studio/test_api.py asks them."""


def test_no_request_of_the_document_ends_in_a_server_error(tmp_path, monkeypatch, examples=40):
    monkeypatch.setattr(studio_module, "_FACTS_S", 0.0)
    studio = Studio(tmp_path)
    transport = httpx.ASGITransport(app=create_app(studio), raise_app_exceptions=False)

    async def send(case):
        options = case.as_transport_kwargs(base_url=OWN)
        options["headers"] = {**dict(options.get("headers") or {}), "X-Triptych": "1", "Host": "127.0.0.1:8420"}
        options.pop("cookies", None)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(**options)

    async def document():
        async with httpx.AsyncClient(transport=transport, base_url=OWN) as client:
            return (await client.get("/api/openapi.json")).json()

    schema = schemathesis.openapi.from_dict(asyncio.run(document()))
    seen = set()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path.startswith(_NEEDS_A_WORKER):
            continue
        seen.add((operation.method, operation.path))

        @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def check(case):
            try:
                answer = asyncio.run(send(case))
            except (httpx.InvalidURL, UnicodeEncodeError, httpx.LocalProtocolError):
                return
            assert answer.status_code < 500, f"{case.method} {case.path}: {answer.status_code} {answer.text[:300]}"

        check()
    assert len(seen) > 25
    studio.store.close()


_ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["page", "panels", "image", "role", "request", "seed", "skills", "size_px", "context", "name"]
            )
            | st.text(max_size=6),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("kind", ["generate", "train", "evaluate", "build"])
def test_no_body_of_a_job_ends_in_a_server_error(quiet, kind):
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(body=st.dictionaries(st.sampled_from(["request", "slots", "name", "pages", "rule", "count"]), _ODD))
    def check(body):
        async def run():
            async with httpx.AsyncClient(transport=quiet[1], base_url=OWN) as client:
                return await client.post("/api/jobs", json={"kind": kind, "body": body}, headers={"X-Triptych": "1"})

        assert asyncio.run(run()).status_code < 500

    check()
