"""What the families' text encoders share: a prompt that is too long is refused by the name of what fell off."""

from transformers import PreTrainedTokenizerBase

from triptych.errors import PromptError
from triptych.prompts import Prompt

__all__ = ["refuse_truncation"]


def refuse_truncation(
    prompt: Prompt, *, tokens: int, limit: int, tokenizer: PreTrainedTokenizerBase, encoder: str
) -> None:
    """Raise PromptError where `tokens`, the whole count with all that a template adds, is above `limit`."""
    if tokens <= limit:
        return
    places = tokenizer(prompt.text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    room = max(0, limit - (tokens - len(places)))
    kept = places[room][0] if room < len(places) else len(prompt.text)
    raise PromptError(
        f"the prompt has {tokens} tokens and {encoder} reads {limit}: {_first_lost(prompt, kept)} and what follows "
        f"would fall off. Shorten the text by about {tokens - limit} tokens."
    )


def _first_lost(prompt: Prompt, kept_characters: int) -> str:
    position = 0
    name = "its end"
    for part in prompt.parts:
        start = prompt.text.find(part.text, position)
        position = (start if start >= 0 else position) + len(part.text)
        where = "the overview" if part.panel is None else f"the instruction of panel {part.panel + 1}"
        shown = part.text if len(part.text) <= 40 else part.text[:37] + "..."
        name = f"{where} ({shown!r})"
        if position > kept_characters:
            break
    return name
