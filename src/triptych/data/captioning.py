"""Captions from a vision-language model behind an OpenAI-compatible address, local or not."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable

from PIL.Image import Image

from triptych.errors import SourceError
from triptych.images import png_bytes

__all__ = ["ASK", "Captioner", "remote_captioner"]

Captioner = Callable[[tuple[Image, ...]], str]
"""Pictures of a page, conditions first and the answer last, to an instruction."""

ASK = (
    "The last picture was made from the ones before it. Write the instruction that was given, in one short sentence, "
    "without naming files or numbers of pictures."
)


def remote_captioner(url: str, model: str, *, ask: str = ASK, key: str = "", timeout_s: float = 120) -> Captioner:
    """A captioner that posts to `url`/chat/completions (`http://localhost:8080/v1` for a local server).

    The pictures leave this machine only if `url` is elsewhere. Raises SourceError when the server cannot be reached
    or gives no text.
    """
    if not url.startswith(("http://", "https://")):
        raise SourceError(f"{url!r} is no web address; name one like http://localhost:8080/v1.")
    address = url.rstrip("/") + "/chat/completions"

    def caption(pictures: tuple[Image, ...]) -> str:
        content: list[dict[str, object]] = [{"type": "text", "text": ask}]
        for picture in pictures:
            data = base64.b64encode(png_bytes(picture)).decode()
            content.append({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}})
        body = {"model": model, "messages": [{"role": "user", "content": content}], "temperature": 0}
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        request = urllib.request.Request(address, json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as reply:
                text = json.loads(reply.read())["choices"][0]["message"]["content"]
        except (OSError, urllib.error.URLError) as error:
            raise SourceError(f"{address} could not be asked for a caption: {error}. Is the server running?") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise SourceError(f"{address} gave no chat completion: {error!r}.") from error
        if not isinstance(text, str) or not text.strip():
            raise SourceError(f"{address} gave an empty caption; try another model or question.")
        return " ".join(text.split())

    return caption
