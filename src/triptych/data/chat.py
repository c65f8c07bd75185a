"""Questions about pictures to a vision-language model behind an OpenAI-compatible address, local or not.

Nothing is sent unless the user names the address.
"""

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from PIL.Image import Image

from triptych.errors import SourceError
from triptych.images import png_bytes

if TYPE_CHECKING:
    from openai import APIStatusError

__all__ = ["Chat"]

_THOUGHTS = re.compile(r"^\s*(<think>)?.*?</think>", re.DOTALL)
"""What reasoning models say before the answer; some templates leave the opening tag out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A model at an address that ends before `/chat/completions`, such as `http://localhost:8000/v1`."""

    address: str
    model: str
    key: str = ""
    """Sent as a bearer token; local servers need none."""
    timeout_s: float = 120.0
    tries: int = 3
    """How often a server that is busy or failing is asked, with growing pauses."""

    def __post_init__(self) -> None:
        if not self.address.startswith(("http://", "https://")):
            raise SourceError(f"{self.address!r} is not a web address; name one like http://localhost:8000/v1.")
        if self.tries < 1:
            raise SourceError(f"tries is {self.tries}; it must be at least 1.")

    def ask(self, text: str, pictures: Sequence[Image], *, pictures_first: bool = False) -> str:
        """The model's answer at temperature 0, without its thoughts.

        Raises SourceError that says whether the server cannot be reached, refuses, is busy, fails, or says nothing.
        """
        openai = _openai()
        shown, words = [_shown(picture) for picture in pictures], {"type": "text", "text": text}
        content: list[Any] = [*shown, words] if pictures_first else [words, *shown]
        try:
            # Servers without keys take any; the client wants one. No other environment variable is read.
            client = openai.OpenAI(
                base_url=self.address,
                api_key=self.key or "none",
                organization="",
                project="",
                timeout=self.timeout_s,
                max_retries=self.tries - 1,
            )
            reply = client.chat.completions.with_raw_response.create(
                model=self.model, temperature=0, messages=[{"role": "user", "content": content}]
            )
        except openai.APIStatusError as error:
            self._refuse(error)
        except openai.APIConnectionError as error:
            raise SourceError(
                f"{self.address} cannot be reached: {error.__cause__ or error}. Is the server running?"
            ) from error
        except openai.OpenAIError as error:
            raise SourceError(f"{self.address} gave no chat completion: {error}.") from error
        return self._said(reply.text)

    def _said(self, reply: str) -> str:
        try:
            text = json.loads(reply)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise SourceError(f"{self.address} gave no chat completion: {reply[:200]!r}.") from error
        answer = _THOUGHTS.sub("", str(text or "")).strip()
        if not answer:
            raise SourceError(f"{self.address} gave an empty answer; try another model or question.")
        return answer

    def _refuse(self, error: "APIStatusError") -> NoReturn:
        match error.status_code:
            case 401 | 403:
                advice = "It wants a key, or another one."
            case 404:
                advice = f"Does the address end in /v1, and has the server a model {self.model!r}?"
            case 413:
                advice = "The pictures are too large for it; make them smaller."
            case 429:
                advice = f"It is busy, or a quota is used up; it was asked {self.tries} times. Try again later."
            case status if status >= 500:
                advice = f"The server failed, {self.tries} times; its log says why."
            case _:
                advice = "It does not take the request."
        told = " ".join(error.response.text.split())[:300]
        raise SourceError(f"{self.address} answered {error.status_code}: {told or 'nothing'}. {advice}") from error


def _shown(picture: Image) -> dict[str, object]:
    data = base64.b64encode(png_bytes(picture.convert("RGB"))).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise SourceError("chat servers are asked by the package openai; pip install 'triptych[chat]'.") from error
    return openai
