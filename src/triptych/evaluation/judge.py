"""A vision-language model behind an OpenAI-compatible address, asked about pictures.

Nothing is sent unless the user names the address. A judge's figures mean little without its ceiling: ask it about
real answers too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from PIL import Image

from triptych.data.chat import Chat

__all__ = ["ChatJudge", "Judge"]


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
        self._chat()

    def ask(self, question: str, pictures: Sequence[Image.Image]) -> str:
        """The model's answer at temperature 0. Raises SourceError naming what the server said."""
        return self._chat().ask(question, pictures, pictures_first=True)

    def _chat(self) -> Chat:
        return Chat(
            address=self.address, model=self.model, key=self.key or "", timeout_s=self.timeout_s, tries=self.tries
        )
