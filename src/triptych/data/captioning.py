"""Captions from a vision-language model behind an OpenAI-compatible address, local or not."""

from collections.abc import Callable

from PIL.Image import Image

from triptych.data.chat import Chat

__all__ = ["ASK", "Captioner", "remote_captioner"]

Captioner = Callable[[tuple[Image, ...]], str]
"""Pictures of a page, conditions first and the answer last, to an instruction."""

ASK = (
    "The last picture was made from the ones before it. Write the instruction that was given, in one short sentence, "
    "without naming files or numbers of pictures."
)


def remote_captioner(url: str, model: str, *, ask: str = ASK, key: str = "", timeout_s: float = 120.0) -> Captioner:
    """A captioner that asks the model at `url` (`http://localhost:8080/v1` for a local server).

    The pictures leave this machine only if `url` is elsewhere. What the model thinks aloud is left out. Raises
    SourceError where the server cannot be reached, refuses, or gives no text.
    """
    chat = Chat(address=url, model=model, key=key, timeout_s=timeout_s)

    def caption(pictures: tuple[Image, ...]) -> str:
        return " ".join(chat.ask(ask, pictures).split())

    return caption
