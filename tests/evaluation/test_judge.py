"""The judge against a real local server."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from PIL import Image

from triptych.errors import SourceError
from triptych.evaluation import judge as module
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


def test_ask_busy_server_is_asked_again(server: _Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda _: None)
    server.answers = [(503, b"busy"), (200, GOOD)]
    assert ChatJudge(address=_address(server), model="eye").ask("?", []) == "a fox"


@pytest.mark.parametrize(
    ("answer", "says"), [((401, b"no such key"), "no such key"), ((200, b"<html>"), "no chat completion")]
)
def test_ask_refusal_is_told(server: _Server, answer: tuple[int, bytes], says: str) -> None:
    server.answers = [answer]
    with pytest.raises(SourceError, match=says):
        ChatJudge(address=_address(server), model="eye").ask("?", [])


def test_chat_judge_address_must_be_one() -> None:
    with pytest.raises(SourceError, match="localhost"):
        ChatJudge(address="file:///etc/passwd", model="eye")
