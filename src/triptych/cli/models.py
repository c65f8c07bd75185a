"""`triptych models`: which backbones are known, what they need, and whether one works here."""

import time
from typing import TYPE_CHECKING, Annotated

import typer
from PIL import Image

import triptych as tt
from triptych.cli import console

if TYPE_CHECKING:
    from triptych.models.backbone import Card
    from triptych.models.catalog import Checkpoint

__all__ = ["add_to"]

_Name = Annotated[str, typer.Argument(metavar="NAME", help="pocket, pocket-2, a hub name, a folder or a file.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(
        no_args_is_help=True, help="Backbones: which are known, what they need, whether they work here."
    )
    group.command("list")(list_models)
    group.command("show")(show)
    group.command("check")(check)
    app.add_typer(group, name="models")


def list_models() -> None:
    """List the backbones that are known by name.

    Memory is the peak of one page with one condition and one slot at the panel side, weights in bfloat16.

    \b
    Example:
      triptych models list
    """
    from triptych.models.catalog import FAMILIES
    from triptych.models.memory import estimate

    rows = []
    for family, known in ((each, known) for each in FAMILIES for known in each.checkpoints):
        card = known.card
        peak = estimate(known.shape, text_tokens=card.max_text_tokens, cached=known.cached, side_px=card.side_px)
        gib = f"{peak.peak_gib:.0f}" if peak.peak_gib >= 1 else "under 1"
        place = "the Hub, after accepting" if known.gated else "the Hub" if family.pipelines else "in the package"
        place = place if known.public else "not public yet"
        rows.append((card.name, _ways(card), str(card.steps), gib, place, card.licence))
    console.table(("name", "conditions enter by", "steps", "GiB", "weights", "licence"), rows)


def show(name: _Name) -> None:
    """Show what a backbone can do and how much memory its pages take; known names are not downloaded.

    \b
    Examples:
      triptych models show pocket
      triptych models show FLUX.2-klein-4B
    """
    from triptych.models.catalog import find_checkpoint

    known = find_checkpoint(name)
    card = known.card if known else tt.load(name).card
    facts = {
        "name": card.name,
        "family": card.family,
        "conditions enter by": _ways(card),
        "steps": str(card.steps),
        "guidance": _guidance(card),
        "panel side": f"{card.side_px} px, multiples of {card.factor}",
        "trained sizes": ", ".join(f"{width}x{height}" for width, height in card.sizes_px) or "any of about that area",
        "references": f"at most {card.most_references}" if card.most_references else "as many as memory holds",
        "slots": f"at most {card.most_slots}" if card.most_slots else "as many as memory holds",
        "text": f"at most {card.max_text_tokens} tokens",
        "licence": card.licence,
        "weights": _weights(known) if known else "here",
    }
    for key, value in facts.items():
        console.out(f"{key:<20} {value}")
    if known is not None:
        console.out("")
        _print_memory(known)


def check(name: _Name = "pocket") -> None:
    """Load a backbone and make one picture with it in two steps. A hub name is fetched if it is not here yet.

    \b
    Examples:
      triptych models check
      triptych models check ./FLUX.2-klein-4B
    """
    began = time.perf_counter()
    with console.working(f"loading {name}"):
        backbone = tt.load(name)
    loaded = time.perf_counter()
    shown = (tt.condition(Image.new("RGB", (256, 256), "orange")),) if backbone.card.layered else ()
    page = tt.Page(panels=(*shown, tt.slot("a red fox")))
    with console.working("making a picture"):
        (picture,) = tt.generate(backbone, page, steps=2, size_px=min(256, backbone.card.side_px)).images
    made = time.perf_counter()
    kind = str(backbone.dtype).removeprefix("torch.")
    console.out(
        f"{backbone.card.name} works on {backbone.device} in {kind}: loaded in {loaded - began:.1f} s, "
        f"{picture.width}x{picture.height} px in two steps in {made - loaded:.1f} s"
    )


def _ways(card: "Card") -> str:
    return ", ".join(way.value for way in card.conditionings)


def _guidance(card: "Card") -> str:
    if card.guidance is None:
        return "none"
    if card.negative is None:
        return f"{card.guidance:g}"
    return f"{card.guidance:g}, two passes a step" if card.guidance > 1 else "off; above 1 two passes a step"


def _weights(known: "Checkpoint") -> str:
    if not known.public:
        return "not public yet"
    first = "accept the licence on its page of the Hub, hf auth login, then " if known.gated else ""
    return f"{first}hf download {known.card.name}"


def _print_memory(known: "Checkpoint") -> None:
    from triptych.models.memory import estimate
    from triptych.models.options import Offload, Quantise

    ways = (Quantise.NONE, Offload.NONE), (Quantise.INT8, Offload.NONE), (Quantise.NONE, Offload.PARTS)
    rows = []
    for side in (512, 1024):
        for given, slots in ((1, 1), (3, 1), (1, 3), (3, 3)):
            needs = [
                estimate(
                    known.shape,
                    conditions=given,
                    slots=slots,
                    side_px=side,
                    quantise=quantise,
                    offload=offload,
                    cached=known.cached,
                )
                for quantise, offload in ways
            ]
            rows.append((str(side), str(given), str(slots), *(f"{need.peak_gib:.1f}" for need in needs)))
    console.out("peak memory in GiB, computed:")
    console.table(("px", "conditions", "slots", "bfloat16", "int8", "parts take turns"), rows)
