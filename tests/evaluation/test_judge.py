"""The judge against a real local server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation.judge import ChatJudge


class _Server(HTTPServer):
    requests: list[dict[str, object]]
    keys: list[str | None]
    answers: list[tuple[int, bytes]]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append(json.loads(body) | {"path": self.path})
        self.server.keys.append(self.headers["Authorization"])
        status, answer = self.server.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if answer.startswith(b"{") else "text/html")
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    made = _Server(("127.0.0.1", 0), _Handler)
    made.requests, made.keys, made.answers = [], [], []
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def _address(server: _Server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/v1"


GOOD = json.dumps({"choices": [{"message": {"content": "a fox"}}]}).encode()


def test_ask_sends_pictures_and_question_and_gives_the_answer(server: _Server) -> None:
    server.answers = [(200, GOOD)]
    judge = ChatJudge(address=_address(server), model="eye", key="k")
    assert judge.ask("What is it?", [Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4))]) == "a fox"
    sent = server.requests[0]
    content = sent["messages"][0]["content"]  # type: ignore[index]
    assert [part["type"] for part in content] == ["image_url", "image_url", "text"]
    assert (sent["path"], sent["model"], server.keys[0]) == ("/v1/chat/completions", "eye", "Bearer k")


def test_ask_busy_server_is_asked_again(server: _Server) -> None:
    server.answers = [(503, b"busy"), (200, GOOD)]
    assert ChatJudge(address=_address(server), model="eye").ask("?", []) == "a fox"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, b"no such key"), r"401: no such key\. It wants a key"),
        ((404, b'{"error": "unknown"}'), r"404: .*unknown.*a model 'eye'"),
        ((413, b"too large"), "413: too large.*smaller"),
        ((422, b"no"), "422: no.*does not take"),
        ((429, b"slow down"), "429: slow down.*asked 1 times"),
        ((500, b"out of memory"), r"500: out of memory\. The server failed"),
        ((200, b"<html>"), "no chat completion"),
        ((200, b'{"choices": []}'), "no chat completion"),
    ],
)
def test_ask_refusal_is_told_by_its_kind(server: _Server, answer: tuple[int, bytes], says: str) -> None:
    server.answers = [answer]
    with pytest.raises(SourceError, match=says) as told:
        ChatJudge(address=_address(server), model="eye", tries=1).ask("?", [])
    assert "Is the server running" not in str(told.value)


def test_ask_nobody_there_says_so() -> None:
    with pytest.raises(SourceError, match=r"cannot be reached: .*Is the server running\?"):
        ChatJudge(address="http://127.0.0.1:9/v1", model="eye", tries=1).ask("?", [])


@pytest.mark.parametrize(
    "said",
    ["<think>it is red,\nso a fox</think>\n\na fox", "hm, red </think> a fox", "<think></think>a fox", "  a fox\n"],
)
def test_ask_thoughts_are_left_out(server: _Server, said: str) -> None:
    server.answers = [(200, json.dumps({"choices": [{"message": {"content": said}}]}).encode())]
    assert ChatJudge(address=_address(server), model="eye").ask("?", []) == "a fox"


def test_chat_judge_address_must_be_one() -> None:
    with pytest.raises(SourceError, match="localhost"):
        ChatJudge(address="file:///etc/passwd", model="eye")
