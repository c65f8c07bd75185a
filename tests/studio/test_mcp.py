"""`triptych mcp` as agents start it: over stdio and over HTTP, spoken to by the official client."""

import asyncio
import os
import subprocess
import sys
import time

import httpx
import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from studio_ports import free_port

TOOLS = {"generate", "teach", "evaluate", "job_status", "cancel_job", "list_skills", "list_rules"}


def _command(data) -> list[str]:
    return [sys.executable, "-m", "triptych.cli.main", "mcp", "--data", str(data)]


async def _talk(server) -> tuple[set[str], dict]:
    async with Client(server) as client:
        names = {tool.name for tool in (await client.list_tools()).tools}
        told = (await client.call_tool("generate", {"instructions": ["a red house"], "seed": 5})).structured_content
        until = time.monotonic() + 240
        while told["state"] not in ("done", "failed") and time.monotonic() < until:
            await asyncio.sleep(0.5)
            told = (await client.call_tool("job_status", {"job": told["job"]})).structured_content
        return names, told


@pytest.mark.slow
def test_agent_over_stdio_makes_a_picture(tmp_path):
    command = _command(tmp_path / "data")
    server = StdioServerParameters(command=command[0], args=command[1:], env=dict(os.environ))
    names, told = asyncio.run(_talk(server))
    assert names >= TOOLS
    assert told["state"] == "done" and told["seed"] == 5 and len(told["paths"]) == 1


@pytest.mark.slow
def test_agent_over_http_makes_a_picture_and_forged_hosts_are_refused(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/mcp"
    process = subprocess.Popen([*_command(tmp_path / "data"), "--http", "--port", str(port)])
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            try:
                httpx.get(url, timeout=2)
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        names, told = asyncio.run(_talk(url))
        assert names >= TOOLS and told["state"] == "done"
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            answer = httpx.post(url, json={}, headers={"Accept": "application/json, text/event-stream", **headers})
            assert answer.status_code in (403, 421), (headers, answer.status_code)
    finally:
        process.terminate()
        process.wait(30)
