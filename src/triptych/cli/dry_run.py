"""`triptych generate --dry-run`: what a page would cost, from one solver step that is really made."""

import sys
import time
from itertools import pairwise
from typing import Any

import triptych as tt
from triptych.canvas import arrange
from triptych.cli import console
from triptych.models.backbone import Backbone, Conditioning, frames
from triptych.page import Page
from triptych.prompts import write_prompt
from triptych.sampling.prepare import page_canvas
from triptych.sampling.working import working_page

__all__ = ["print_plan"]


def print_plan(page: Page, backbone_name: str, settings: dict[str, Any]) -> None:
    """Print layout, prompt, tokens, and the memory and time to expect."""
    with console.working(f"loading {backbone_name}"):
        backbone = tt.load(backbone_name)
    working = working_page(page, backbone.card, settings["size_px"])
    way = settings["conditioning"] or backbone.card.conditionings[0]
    steps = settings["steps"] or backbone.card.steps
    for line in (*_layout(page, working), "", "prompt:", f"  {write_prompt(page).text or '(empty)'}", ""):
        console.out(line)
    for line in _tokens(backbone, working, way):
        console.out(line)
    console.out(f"{backbone.card.name}, {steps} steps, conditions enter by {way.value}")
    for line in _cost(backbone, page, steps, settings):
        console.out(line)


def _layout(page: Page, working: Page) -> list[str]:
    canvas = arrange(working, fit=True)
    lines = [f"canvas: {canvas.width_px}x{canvas.height_px} px, layout {page.layout.value}"]
    own = zip(page.panels, working.panels, canvas.boxes[: len(page.panels)], strict=True)
    for number, (panel, seen, box) in enumerate(own, 1):
        size = seen.size_px or (seen.image.size if seen.image else (0, 0))
        given = f", from {panel.image.width}x{panel.image.height}" if panel.image else ""
        place = f"{size[0]}x{size[1]} px{given}, at {box.left_px},{box.top_px}"
        lines.append(f"  panel {number}  {panel.role.value:<8} {place}  {panel.instruction}".rstrip())
    lines += [f"  example page {number}: {len(e.panels)} panels" for number, e in enumerate(page.context, 1)]
    return lines


def _tokens(backbone: Backbone, working: Page, way: Conditioning) -> list[str]:
    factor = backbone.card.factor
    text = backbone.encode_prompts([write_prompt(working)], frames(working)).embeds.shape[1]
    if way is not Conditioning.REFERENCE:
        canvas = page_canvas(working, factor)
        tokens = (canvas.width_px // factor) * (canvas.height_px // factor)
        return [f"tokens: {text} of text, {tokens} of the canvas"]
    given = [panel.picture for panel in working.all_panels if panel.picture is not None]
    references = sum((image.width // factor) * (image.height // factor) for image in given)
    slots = sum((size[0] // factor) * (size[1] // factor) for panel in working.slots if (size := panel.size_px))
    return [f"tokens: {text} of text, {references} of conditions, {slots} of slots"]


def _cost(backbone: Backbone, page: Page, steps: int, settings: dict[str, Any]) -> list[str]:
    """Two steps are made: the first pays for what is done once, the second is what every further one costs."""
    marks = [time.perf_counter()]
    with console.working("trying two steps"):
        for _ in tt.iterate(backbone, page, **(settings | {"steps": 2})):
            marks.append(time.perf_counter())
    first, second, decode = (after - before for before, after in pairwise(marks))
    seconds = first + (steps - 1) * second + decode
    return [
        f"expected time: {seconds:.1f} s a page ({second:.2f} s a step, measured)",
        f"expected memory: {_peak_bytes(backbone) / 2**30:.1f} GiB (measured)",
    ]


def _peak_bytes(backbone: Backbone) -> int:
    """Most memory used so far: of the device where the backbone is on one, else of this process."""
    import torch

    if backbone.device.type == "cuda":
        return torch.cuda.max_memory_allocated(backbone.device)
    import psutil

    info = psutil.Process().memory_info()
    if sys.platform == "linux":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return getattr(info, "peak_wset", info.rss)
