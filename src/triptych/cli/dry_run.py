"""`triptych generate --dry-run`: what a page would cost, measured over two steps or, before a download, computed."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import psutil
import torch

import triptych as tt
from triptych.addresses import is_address, read_address
from triptych.canvas import arrange
from triptych.cli import console
from triptych.events import Done, Preview
from triptych.models.backbone import Card, Conditioning, frames
from triptych.models.catalog import Checkpoint, find_checkpoint
from triptych.models.hardware import best_device, operations_per_second
from triptych.models.memory import estimate
from triptych.page import Page
from triptych.sampling.encode import prompt_of
from triptych.sampling.remote.calls import KINDS, PLAIN, Kind, calls_of, card_of, unsaid
from triptych.sampling.request import Request
from triptych.sampling.ways.canvas import page_canvas
from triptych.sampling.working import working_page

__all__ = ["print_plan"]


def print_plan(request: Request) -> None:
    """Print layout, prompt, tokens, and the memory and time to expect.

    A backbone that is known by name and not here as a folder is not loaded, since that could download it; a server is
    not asked.
    """
    name = request.backbone
    if is_address(name):
        return _print(_sent(request))
    known = None if Path(name).exists() else find_checkpoint(name)
    if known is not None:
        lines = _computed(request.settled(known.card), known)
    else:
        with console.working(f"loading {name}"):
            engine = tt.Engine(tt.load(name))
        lines = _measured(request.settled(engine.backbone.card), engine)
    _print(lines)


def _print(lines: Iterator[str]) -> None:
    for line in lines:
        console.out(line)


def _sent(request: Request) -> Iterator[str]:
    """What a server would be asked, by kind: of which kind it is, only the server itself says."""
    address = read_address(request.backbone)
    card = card_of(str(address), address.model or "")
    model = address.model or ""
    calls = calls_of(request, card, PLAIN, model)
    where = "this machine" if address.is_here else f"{address.host}, another machine"
    yield f"{address}, on {where}; it is not asked now, so its kind is not known"
    yield from _layout(request.page, working_page(request.page, card, request.size_px))
    for kind in (*KINDS.values(), PLAIN):
        yield f"if it is {kind.title}: {_as_kind(request, card, kind, model)}"
    each = f" for each of {request.number} results" if request.number > 1 else ""
    yield f"the calls{each}:"
    for number, call in enumerate(calls, 1):
        width, height = call.size_px or (0, 0)
        size = f"{width}x{height} px asked" if width else "its size left to the server"
        pictures = console.counted(len(call.images), "picture")
        yield f"call {number} of {len(calls)}: {call.path}, {pictures} sent, {size}"
        yield f"  prompt: {' / '.join(call.prompt.splitlines())}"


def _as_kind(request: Request, card: Card, kind: Kind, model: str) -> str:
    """What a server of that kind gets."""
    if names := unsaid(request, kind):
        return f"refused, as it has no field for {' and '.join(names)}"
    if kind.takes_requests:
        return "the request as it is, in one call"
    fields = calls_of(request, card, kind, model)[0].more
    return f"the calls below, with {', '.join(f'{name} {value}' for name, value in fields.items()) or 'no seed'}"


def _measured(request: Request, engine: tt.Engine) -> Iterator[str]:
    backbone = engine.backbone
    working = working_page(request.page, backbone.card, request.size_px)
    text = backbone.encode_prompts([prompt_of(working, backbone.card)], frames(working)).embeds.shape[1]
    yield from _head(request, working, backbone.card)
    given, made = _picture_tokens(working, backbone.card, request.conditioning)
    yield f"tokens: {text} of text, {given} of conditions, {made} of slots"
    # The first step pays for what is done once, the second is what each further one costs.
    marks = [time.perf_counter()]
    with console.working("trying two steps"):
        for event in engine.stream(replace(request, steps=2, number=1)):
            if isinstance(event, Preview | Done):
                marks.append(time.perf_counter())
    first, second, decode = (after - before for before, after in pairwise(marks))
    seconds = first + ((request.steps or 1) - 1) * second + decode
    yield f"expected time: {_duration(seconds)} a page ({second:.2f} s a step, measured)"
    yield f"expected memory: {_peak_bytes(backbone.device) / 2**30:.1f} GiB (measured)"


def _computed(request: Request, known: Checkpoint) -> Iterator[str]:
    card = known.card
    working = working_page(request.page, card, request.size_px)
    yield from _head(request, working, card)
    given, made = _picture_tokens(working, card, request.conditioning)
    text = card.max_text_tokens
    yield f"tokens: at most {text} of text, {given} of conditions, {made} of slots"
    # Two operations a parameter and token; two passes where guidance is classifier-free.
    passes = 2 if card.negative is not None else 1
    operations = 2e9 * known.shape.transformer * (text + given + made) * (request.steps or 1) * passes
    seconds = operations / operations_per_second(best_device())
    panels = len(working.all_panels)
    peak = estimate(
        known.shape,
        conditions=panels - len(working.slots),
        slots=len(working.slots),
        side_px=card.side_px,
        text_tokens=text,
    )
    yield f"expected time: at least {_duration(seconds)} a page (computed from the machine's speed at matrix products)"
    yield f"expected memory: {peak.peak_gib:.1f} GiB at {card.side_px} px (computed; weights in bfloat16)"


def _head(request: Request, working: Page, card: Card) -> Iterator[str]:
    steps = console.counted(request.steps or 0, "step")
    yield f"{card.name}, {steps}, conditions enter by {request.conditioning}"
    yield from _layout(request.page, working)
    yield f"prompt: {prompt_of(working, card).text or '(empty)'}"


def _layout(page: Page, working: Page) -> Iterator[str]:
    canvas = arrange(working, fit=True)
    yield f"canvas: {canvas.width_px}x{canvas.height_px} px, layout {page.layout.value}"
    own = zip(page.panels, working.panels, canvas.boxes[: len(page.panels)], strict=True)
    for number, (panel, seen, box) in enumerate(own, 1):
        size = seen.size_px or (seen.image.size if seen.image else (0, 0))
        given = f", from {panel.image.width}x{panel.image.height}" if panel.image else ""
        place = f"{size[0]}x{size[1]} px{given}, at {box.left_px},{box.top_px}"
        yield f"  panel {number}  {panel.role.value:<8} {place}  {panel.instruction}".rstrip()
        for named in panel.boxes:
            yield f"    box {named.name}  {','.join(f'{part:g}' for part in named.corners)}  {named.words}".rstrip()
    for number, example in enumerate(page.context, 1):
        yield f"  example page {number}: {len(example.panels)} panels"


def _picture_tokens(working: Page, card: Card, way: Conditioning | None) -> tuple[int, int]:
    """Of conditions and of slots; on one canvas, what is not a slot counts as condition."""
    made = sum(_tokens(size, card) for panel in working.slots if (size := panel.size_px))
    if way is Conditioning.REFERENCE:
        pictures = [panel.picture for panel in working.all_panels if panel.picture is not None]
        return sum(_tokens(picture.size, card) for picture in pictures), made
    return _tokens(page_canvas(working, card.factor).size_px, card) - made, made


def _tokens(size_px: tuple[int, int], card: Card) -> int:
    return (size_px[0] // card.factor) * (size_px[1] // card.factor)


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _peak_bytes(device: torch.device) -> int:
    """Most memory used so far: of the device where the backbone is on one, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    info = psutil.Process().memory_info()
    return getattr(info, "peak_wset", info.rss)
