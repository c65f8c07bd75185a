"""What the families' text encoders share: prompts that are too long, or have marks of pictures, are refused by name."""

from collections.abc import Sequence
from typing import Any

from jaxtyping import Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase, T5EncoderModel

from triptych.errors import PromptError
from triptych.prompts import Prompt

__all__ = ["read_beginnings", "read_with_t5", "refuse_marks", "refuse_truncation"]


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


def refuse_marks(prompt: Prompt, marks: Sequence[str], *, encoder: str) -> None:
    """Raise PromptError where the prompt itself has one of the `marks` that stand for pixels in what is read."""
    for mark in marks:
        place = prompt.text.find(mark)
        if place >= 0:
            raise PromptError(
                f"the prompt says {mark!r} in {_first_lost(prompt, place)}, which for {encoder} stands for the pixels "
                "of a picture. Leave it out."
            )


def read_with_t5(
    prompts: Sequence[Prompt], encoder: T5EncoderModel, tokenizer: PreTrainedTokenizerBase, limit: int
) -> Float[Tensor, "batch length width"]:
    """T5's sequence, padded to `limit`. Raises PromptError for a prompt with more tokens."""
    for prompt in prompts:
        count = len(tokenizer(prompt.text)["input_ids"])
        refuse_truncation(prompt, tokens=count, limit=limit, tokenizer=tokenizer, encoder="T5")
    texts = [prompt.text for prompt in prompts]
    inputs = tokenizer(texts, padding="max_length", max_length=limit, return_tensors="pt")
    return encoder(inputs.input_ids.to(encoder.device))[0]


def read_beginnings(
    prompts: Sequence[Prompt], clip: Any, tokenizer: PreTrainedTokenizerBase, limit: int, *, states: bool = False
) -> Any:
    """What a CLIP says of the first `limit` tokens, with its layers' `states` where asked for; the rest is not read."""
    texts = [prompt.text for prompt in prompts]
    inputs = tokenizer(texts, padding="max_length", max_length=limit, truncation=True, return_tensors="pt")
    return clip(inputs.input_ids.to(clip.device), output_hidden_states=states)


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
