"""A vision-language model behind an OpenAI-compatible address, asked about pictures.

Nothing is sent unless the user names the address. A judge's figures mean little without its ceiling: ask it about
real answers too.
"""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from triptych.errors import SourceError
from triptych.images import png_bytes

__all__ = ["ChatJudge", "Judge"]

_MOST_BYTES = 2**20


@runtime_checkable
class Judge(Protocol):
    """Whatever can answer a question about pictures."""

    def ask(self, question: str, pictures: Sequence[Image.Image]) -> str:
        """The answer as text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatJudge:
    """`address` ends before `/chat/completions`, e.g. `http://localhost:8000/v1`."""

    address: str
    model: str
    key: str | None = None
    """Sent as a bearer token; None for local servers."""
    timeout_s: float = 60.0
    tries: int = 3

    def __post_init__(self) -> None:
        if not self.address.startswith(("http://", "https://")):
            raise SourceError(f"judge address {self.address!r} is no address; write http://localhost:8000/v1.")

    def ask(self, question: str, pictures: Sequence[Image.Image]) -> str:
        """The model's answer at temperature 0. Raises SourceError naming what the server said."""
        body = {
            "model": self.model,
            "temperature": 0,
            "messages": [{"role": "user", "content": [*map(_shown, pictures), {"type": "text", "text": question}]}],
        }
        headers = {"Content-Type": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        request = urllib.request.Request(
            f"{self.address.rstrip('/')}/chat/completions", data=json.dumps(body).encode(), headers=headers
        )
        for attempt in range(self.tries):
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                    return _said(response.read(_MOST_BYTES), self.address)
            except urllib.error.HTTPError as error:
                if error.code not in {429, 500, 502, 503, 504} or attempt + 1 == self.tries:
                    told = error.read(400).decode(errors="replace")
                    raise SourceError(f"the judge at {self.address} answered {error.code}: {told}") from error
            except (urllib.error.URLError, TimeoutError) as error:
                if attempt + 1 == self.tries:
                    raise SourceError(f"the judge at {self.address} cannot be reached: {error}.") from error
            time.sleep(2.0**attempt)
        raise SourceError(f"tries is {self.tries}; a judge needs at least 1.")


def _shown(picture: Image.Image) -> dict[str, object]:
    data = base64.b64encode(png_bytes(picture.convert("RGB"))).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _said(body: bytes, address: str) -> str:
    try:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise SourceError(f"the judge at {address} sent no chat completion: {body[:200]!r}.") from error
