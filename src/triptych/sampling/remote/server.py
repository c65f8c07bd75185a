"""An image server behind OpenAI's API, by the openai client: what it has, what it is asked, and how it fails."""

import base64
import binascii
import json
import os
from collections.abc import Callable
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, NoReturn

from PIL.Image import Image
from pydantic import TypeAdapter, ValidationError

from triptych.addresses import Address
from triptych.errors import BackboneError, ImageError
from triptych.images import png_bytes, read_image
from triptych.models.backbone import Card
from triptych.sampling.remote.calls import Call, Kind, card_of, kind_of

__all__ = ["CARD", "Server"]

CARD = TypeAdapter(Card)
"""How our own server says what a backbone of its can do."""

_KEYS = ("TRIPTYCH_REMOTE_KEY", "OPENAI_API_KEY")
_MOST_NAMED = 10
_WITHOUT_FORMAT = ("gpt-image", "chatgpt-image")
"""Models of OpenAI that always send base64 and refuse to be asked for it."""


class Server:
    """One model of a server. Safe to share between threads."""

    def __init__(self, address: Address, *, key_name: str | None, timeout_s: float, tries: int) -> None:
        """Connect and ask what there is. Raises BackboneError."""
        self._tries, self._key_name = tries, _key_name(key_name, address)
        key = os.environ.get(self._key_name or "", "")
        openai = self._openai = _openai()
        # Nothing but the address and the key decides where pages go: no redirect, no other variable of the
        # environment, and no proxy for what stays on this machine.
        self._client = openai.OpenAI(
            base_url=address.url,
            api_key=key or "none",
            organization="",
            project="",
            timeout=openai.Timeout(timeout_s, connect=min(10.0, timeout_s)),
            max_retries=tries - 1,
            http_client=openai.DefaultHttpxClient(follow_redirects=False, trust_env=not address.is_here),
        )
        self.address = address
        self.names: tuple[str, ...] = ()
        entries = self._entries()
        self.names = tuple(entries)
        self.model = self._chosen()
        self.address = replace(address, model=self.model)
        entry = entries[self.model]
        self.kind: Kind = kind_of(entry.get("owned_by"))
        self.card, self.is_described = self._card(entry)

    def make(self, call: Call) -> list[Image]:
        """The pictures of a call. Raises BackboneError that says what went wrong and what to do."""
        fields: dict[str, Any] = {"model": self.model, "prompt": call.prompt, "n": 1}
        if call.size_px is not None:
            fields["size"] = f"{call.size_px[0]}x{call.size_px[1]}"
        if not self.model.startswith(_WITHOUT_FORMAT):
            fields["response_format"] = "b64_json"
        images = self._client.images.with_raw_response
        more = dict(call.more) or None
        if call.images:
            files = [(f"image-{number}.png", png_bytes(image)) for number, image in enumerate(call.images, 1)]
            reply = self._asked(lambda: images.edit(image=files, extra_body=more, **fields))
        else:
            reply = self._asked(lambda: images.generate(extra_body=more, **fields))
        return self._pictures(reply, call.slots)

    def _pictures(self, reply: Any, count: int) -> list[Image]:
        data = reply.get("data") if isinstance(reply, dict) else None
        texts = [each.get("b64_json") for each in data or () if isinstance(each, dict)]
        pictures = [text for text in texts if isinstance(text, str) and text]
        if len(pictures) != count:
            links = " It sent addresses of pictures, which are not followed." if texts and not pictures else ""
            raise BackboneError(
                f"{self.address} answered with {len(pictures)} pictures where {count} were asked.{links} Its answer "
                f"begins {json.dumps(reply)[:200]!r}."
            )
        layered = self.is_described and self.card.layered
        try:
            return [
                read_image(base64.b64decode(text, validate=True), name="a picture of the server", keep_alpha=layered)
                for text in pictures
            ]
        except (binascii.Error, ValueError, ImageError) as error:
            raise BackboneError(f"{self.address} answered with something that is not a picture: {error}.") from error

    def _entries(self) -> dict[str, dict[str, Any]]:
        reply = self._asked(lambda: self._client.models.with_raw_response.list())
        data = reply.get("data") if isinstance(reply, dict) else None
        found = {each["id"]: each for each in data or () if isinstance(each, dict) and isinstance(each.get("id"), str)}
        if not found:
            raise BackboneError(f"{self.address.url} names no models. Does the address end in /v1?")
        return found

    def _chosen(self) -> str:
        name, url = self.address.model, self.address.url
        if name is None and len(self.names) == 1:
            return self.names[0]
        if name in self.names:
            return name
        shown = [*get_close_matches(name or "", self.names, n=3), *self.names]
        shown = list(dict.fromkeys(shown))[:_MOST_NAMED]
        more = f" and {len(self.names) - len(shown)} more" if len(self.names) > len(shown) else ""
        said = f"{url} has no model {name!r}" if name else f"{url} has several models; name one"
        raise BackboneError(f"{said}. It has {', '.join(shown)}{more}. Write {url}#{shown[0]}.")

    def _card(self, entry: dict[str, Any]) -> tuple[Card, bool]:
        """What is planned with, and whether the server said it."""
        name = str(self.address)
        if self.kind.takes_requests and isinstance(entry.get("card"), dict):
            try:
                return replace(CARD.validate_python(entry["card"]), name=name), True
            except ValidationError as error:
                raise BackboneError(
                    f"{name} describes its model in a way that this version cannot read. Use the same version of "
                    "Triptych on both machines."
                ) from error
        return card_of(name, self.model), False

    def _asked(self, ask: Callable[[], Any]) -> Any:
        """The JSON that was answered."""
        openai = self._openai
        try:
            text = ask().text
        except openai.APIStatusError as error:
            self._refused(error)
        except openai.APITimeoutError as error:
            raise BackboneError(
                f"{self.address} did not answer in time, {self._tries} times. Is it busy, or still loading the model?"
            ) from error
        except openai.APIConnectionError as error:
            why = str(error.__cause__ or error).rstrip(".")
            raise BackboneError(f"{self.address} cannot be reached: {why}. Is the server running there?") from error
        except openai.OpenAIError as error:
            raise BackboneError(f"{self.address} cannot be asked: {error}.") from error
        try:
            return json.loads(text)
        except ValueError as error:
            raise BackboneError(
                f"{self.address} does not speak OpenAI's API: it answered {text[:120]!r}. Does the address end in /v1?"
            ) from error

    def _refused(self, error: Any) -> NoReturn:
        match error.status_code:
            case 401 | 403:
                advice = f"It wants a key, or another one. {self._key_used()}"
            case 404 if self.names and self.kind.takes_requests:
                advice = "The studio lists what it has, at its address in a browser."
            case 404:
                has = f" Its models are {', '.join(self.names[:_MOST_NAMED])}." if self.names else ""
                advice = f"Does the address end in /v1, and does it make pictures?{has}"
            case 413:
                advice = "The pictures are too large for it; use smaller ones, a smaller --size, or fewer examples."
            case 429:
                advice = f"It is busy, or a quota is used up; it was asked {self._tries} times. Try again later."
            case status if 300 <= status < 400:
                advice = "It points to another address, which is not followed. Name that one."
            case status if status >= 500:
                advice = f"The server failed, {self._tries} times; its log says why."
            case _:
                advice = "It does not take this request."
        raise BackboneError(f"{self.address} answered {error.status_code}: {_told(error)}. {advice}") from error

    def _key_used(self) -> str:
        if self._key_name and os.environ.get(self._key_name):
            return f"The one sent is from {self._key_name}."
        sealed = "" if self.address.is_sealed else " (for an address without https only the first is read)"
        return f"None was sent: put it into {' or '.join(_KEYS)}{sealed}."


def _key_name(named: str | None, address: Address) -> str | None:
    """The variable that holds the key. OpenAI's own is not sent where others on the way can read it."""
    if named is not None:
        if not os.environ.get(named):
            raise BackboneError(f"the environment has no variable {named!r}, which was named for the key.")
        return named
    usable = _KEYS if address.is_sealed else _KEYS[:1]
    return next((name for name in usable if os.environ.get(name)), None)


def _told(error: Any) -> str:
    """What the server says of an error, in one line."""
    try:
        data = error.response.json()
        found = data.get("error", data.get("detail", data.get("message")))
        said = found.get("message") if isinstance(found, dict) else found
        text = said if isinstance(said, str) else json.dumps(found or data)
    except (ValueError, AttributeError):
        text = error.response.text
    return " ".join(text.split())[:300].rstrip(".") or "nothing"


def _openai() -> Any:
    try:
        import openai
    except ImportError as error:
        raise BackboneError("image servers are asked by the package openai; pip install 'triptych[chat]'.") from error
    return openai
