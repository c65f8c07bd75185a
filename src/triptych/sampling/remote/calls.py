"""From a settled request to calls of OpenAI's image API, for each kind of server; nothing is sent here."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from PIL.Image import Image

from triptych.conditioning import Conditioning, Solver
from triptych.errors import BackboneError
from triptych.layouts import Size
from triptych.models.backbone import Card
from triptych.models.catalog import find_checkpoint, find_family
from triptych.models.family import GUIDANCE_NAME
from triptych.page import Page
from triptych.sampling.remote.words import server_prompt
from triptych.sampling.request import Request
from triptych.sampling.working import wanted_sizes, working_page

__all__ = ["KINDS", "PLAIN", "Call", "Kind", "calls_of", "card_of", "kind_of", "refuse", "unsaid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a server takes beyond OpenAI's own fields."""

    title: str
    takes_requests: bool = False
    """A whole `Request` in the field `request`: ours."""
    takes_settings: bool = False
    """`seed`, `num_inference_steps`, and guidance by the name that the family's pipeline has for it."""


PLAIN = Kind(title="a server of OpenAI's image API")
KINDS = {
    "triptych": Kind(title="a Triptych studio", takes_requests=True, takes_settings=True),
    "vllm": Kind(title="vLLM-Omni", takes_settings=True),
    "sglang": Kind(title="SGLang-Diffusion", takes_settings=True),
}
"""By what `owned_by` says in the answer to `GET models`; any other server is `PLAIN`."""


def kind_of(owner: object) -> Kind:
    """The kind of a server whose `GET models` names that `owned_by`."""
    return KINDS.get(str(owner), PLAIN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, which brings `slots` pictures."""

    prompt: str
    images: tuple[Image, ...] = ()
    size_px: Size | None = None
    """What the server is asked for; None leaves it to the server."""
    wanted_px: Size | None = None
    """The size of the result; None takes the picture as it comes."""
    slots: int = 1
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields that OpenAI's API does not have."""

    @property
    def path(self) -> str:
        return "images/edits" if self.images else "images/generations"


def card_of(address: str, model: str) -> Card:
    """What is planned with for a model that a server does not describe: the catalogue's facts, or common ones."""
    known = find_checkpoint(model)
    if known is not None:
        ways = (Conditioning.REFERENCE,)
        return replace(known.card, name=address, conditionings=ways, steps=0, sample_steps=None)
    return Card(
        name=address,
        family="remote",
        conditionings=(Conditioning.REFERENCE,),
        factor=16,
        channels=0,
        side_px=1024,
        steps=0,
        guidance=None,
        max_text_tokens=0,
        licence="the server's",
    )


def unsaid(request: Request, kind: Kind) -> list[str]:
    """What the request asks and no field of the server can say."""
    if kind.takes_requests:
        return []
    ways = (None, Conditioning.REFERENCE)
    asked = {
        "skills": bool(request.skills),
        "reading": request.reading is not None,
        "solver": request.solver not in (None, Solver.EULER),
        "conditioning": request.conditioning not in ways,
        "steps": request.steps is not None and not kind.takes_settings,
        "guidance": request.guidance is not None and not kind.takes_settings,
    }
    return [name for name, is_asked in asked.items() if is_asked]


def refuse(request: Request, kind: Kind, address: str) -> None:
    """Raise BackboneError for what the request asks and no field of the server can say."""
    if names := unsaid(request, kind):
        raise BackboneError(
            f"{address} is {kind.title}, whose image API has no field for {' and '.join(names)}. Leave that out, or "
            "run the model in a studio of Triptych (`triptych studio --backbone`), which takes whole requests."
        )


def calls_of(request: Request, card: Card, kind: Kind, model: str) -> tuple[Call, ...]:
    """What makes one result: one call by a studio of ours, one for each slot elsewhere."""
    page = _as_asked(request.page, card)
    if kind.takes_requests:
        whole = replace(request, page=page, backbone=model).record()
        prompt = page.overview or next((slot.instruction for slot in page.slots if slot.instruction), "a page")
        return (Call(prompt=prompt, slots=len(page.slots), more={"request": whole}),)
    if card.layered:
        raise BackboneError(
            f"{card.name} makes all layers together, and {kind.title} is asked for one slot a call. Run the model in a "
            "studio of Triptych (`triptych studio --backbone`), or here."
        )
    working = working_page(page, card, request.size_px)
    sizes = zip(wanted_sizes(page, card, request.size_px), working.slots, strict=True)
    calls = []
    for place, (wanted, seen) in zip(_places(working), sizes, strict=True):
        alone = _one_slot(working, place)
        asked = seen.size_px if wanted or request.size_px else None
        calls.append(
            Call(
                prompt=server_prompt(alone, card.family),
                images=tuple(panel.picture for panel in alone.all_panels if panel.picture is not None),
                size_px=asked,
                wanted_px=wanted or asked,
                more=_settings(request, card) if kind.takes_settings else {},
            )
        )
    return tuple(calls)


def _as_asked(page: Page, card: Card) -> Page:
    """Without the answers, which nobody who fills a slot may see; what they said of sizes stays."""
    sizes = iter(wanted_sizes(page, card, None))
    panels = [
        replace(panel, answer=None, rejected=(), size_px=next(sizes)) if panel.is_slot else panel
        for panel in page.panels
    ]
    return replace(page, panels=tuple(panels))


def _places(page: Page) -> list[int]:
    return [place for place, panel in enumerate(page.panels) if panel.is_slot]


def _one_slot(page: Page, place: int) -> Page:
    panels = (panel for index, panel in enumerate(page.panels) if not panel.is_slot or index == place)
    return replace(page, panels=tuple(panels))


def _settings(request: Request, card: Card) -> dict[str, Any]:
    family = find_family(card.family)
    guidance = family.guidance_name if family else GUIDANCE_NAME
    fields = {"seed": request.seed, "num_inference_steps": request.steps, guidance: request.guidance}
    return {name: value for name, value in fields.items() if value is not None}
