"""A page, or the page of a skill, as a workflow: conditions loaded, slots made, and cut out again."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from triptych.canvas import arrange
from triptych.comfyui.files import Files, card_for, files_of
from triptych.comfyui.graph import Graph, Output
from triptych.conditioning import Conditioning, Solver
from triptych.errors import BackboneError, SkillError
from triptych.layouts import Size
from triptych.models.backbone import Card
from triptych.page import Page, Role
from triptych.prompts import Template, write_prompt
from triptych.sampling.request import Request
from triptych.sampling.working import wanted_sizes, working_page
from triptych.skill import Skill

__all__ = ["LoRA", "page_pictures", "page_workflow", "skill_workflow", "skill_workflow_file"]

_WHITE = 0xFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class LoRA:
    """A LoRA in ComfyUI's folder `loras`."""

    file: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """All that the nodes are made from."""

    page: Page
    """At the sizes that the backbone works at."""
    card: Card
    request: Request
    """Settled: nothing is left to the backbone."""
    sizes_px: tuple[Size | None, ...]
    """Wanted of each slot; None as it is made."""
    pictures: tuple[str, ...]
    prompt: str
    loras: tuple[LoRA, ...]


def page_pictures(request: Request, card: Card) -> tuple[Image.Image, ...]:
    """What the workflow of the page loads: pictures of conditions and example pages as the backbone sees them."""
    return tuple(_pictures(working_page(request.page, card, request.size_px)))


def page_workflow(
    request: Request,
    card: Card,
    *,
    pictures: Sequence[str],
    loras: Sequence[LoRA] = (),
    template: Template | None = None,
) -> dict[str, dict[str, Any]]:
    """The request's page in ComfyUI's API format; `pictures` are names of files for each of `page_pictures`.

    Where the request names no way for conditions to enter, they enter in the backbone's native way, or, where that
    takes one slot and the page has more, by repaint. `loras` take the place of the request's skills.
    Raises BackboneError where ComfyUI's own nodes cannot make the page.
    """
    working = working_page(request.page, card, request.size_px)
    needed = len(_pictures(working))
    if len(pictures) != needed:
        raise BackboneError(f"the page has {needed} pictures; {len(pictures)} file names were given.")
    files = files_of(card)
    way = request.conditioning or _fitting(working, card)
    job = _Job(
        page=working,
        card=card,
        request=replace(request, conditioning=way).settled(card),
        sizes_px=wanted_sizes(request.page, card, request.size_px),
        pictures=tuple(pictures),
        prompt=write_prompt(request.page, template).text,
        loras=tuple(loras),
    )
    graph = Graph()
    if way is Conditioning.REFERENCE:
        _by_reference(graph, job, files)
    else:
        _on_canvas(graph, job, files)
    return graph.data()


def skill_workflow(skill: Skill, card: Card, *, lora: LoRA) -> dict[str, dict[str, Any]]:
    """The page that a skill was trained for, its conditions loaded from `condition-1.png` and so on.

    Raises SkillError for a skill that has no page.
    """
    sketch = skill.card.template.page
    if sketch is None:
        raise SkillError(
            f"skill {skill.name!r} has no page of its own, so there is no workflow of it. Export it with "
            "`--format comfyui`, or write a page and use `triptych page export`."
        )
    sizes = [panel.size_px for panel in sketch.panels if panel.role is not Role.SLOT]
    own = skill.card.instructions or ("",) * len(sketch.panels)
    words = [text or panel.hint for text, panel in zip(own, sketch.panels, strict=True)]
    page = skill.page([Image.new("RGB", size) for size in sizes], instructions=words)
    names = [f"condition-{number}.png" for number in range(1, len(sizes) + 1)]
    return page_workflow(Request(page=page), card, pictures=names, loras=[lora], template=skill.card.template)


def skill_workflow_file(skill: Skill, lora: str) -> bytes:
    """The workflow of a skill on the backbone that it was trained on, as a file; `lora` is the name of its LoRA."""
    workflow = skill_workflow(skill, card_for(skill.card.backbone, skill.card.family), lora=LoRA(file=lora))
    return json.dumps(workflow, indent=1, ensure_ascii=False).encode()


def _fitting(page: Page, card: Card) -> Conditioning:
    """The native way, or repaint where references would need slots that are denoised side by side."""
    if card.native is not Conditioning.REFERENCE or _target(page, card) is not None:
        return card.native
    if Conditioning.REPAINT in card.conditionings:
        return Conditioning.REPAINT
    raise BackboneError(
        f"the page has {len(page.slots)} slots of different heights; with {card.name} ComfyUI's own nodes make one "
        "picture a run. Give the slots one height, or export pages of one slot."
    )


def _target(page: Page, card: Card) -> tuple[int, int] | None:
    """Width and height of the one picture that references are put beside; None where one picture cannot hold the slots.

    Kontext sees several slots as one wide picture; FLUX.2 gives each a place that ComfyUI has no node for.
    """
    sizes = [panel.size_px for panel in page.slots if panel.size_px]
    heights = {height for _, height in sizes}
    if len(sizes) > 1 and (card.family != "kontext" or len(heights) > 1):
        return None
    return sum(width for width, _ in sizes), max(heights)


def _by_reference(graph: Graph, job: _Job, files: Files) -> None:
    target = _target(job.page, job.card)
    if target is None:
        raise BackboneError(f"by reference ComfyUI makes one slot a run; the page has {len(job.page.slots)}.")
    model, encoder, codec = _loaded(graph, job, files)
    positive, negative = _texts(graph, job, encoder)
    for name, image in zip(job.pictures, _pictures(job.page), strict=True):
        picture = _picture(graph, name, image.size)
        latent = graph.add("VAEEncode", pixels=picture, vae=codec)
        positive = graph.add("ReferenceLatent", conditioning=positive, latent=latent)
        negative = negative and graph.add("ReferenceLatent", conditioning=negative, latent=latent)
    if job.card.family == "kontext":
        positive = graph.add(
            "FluxKontextMultiReferenceLatentMethod", conditioning=positive, reference_latents_method="index"
        )
    empty = "EmptyFlux2LatentImage" if job.card.family == "flux2" else "EmptySD3LatentImage"
    latent = graph.add(empty, width=target[0], height=target[1], batch_size=1)
    done = _sampled(graph, job, model, positive, negative, latent, target)
    left = 0
    for number, panel in enumerate(job.page.slots, 1):
        width, height = panel.size_px or target
        part = done
        if len(job.page.slots) > 1:  # the codec would see a slot's neighbours
            part = graph.add("LatentCrop", samples=done, width=width, height=height, x=left, y=0)
        left += width
        _save(graph, job, graph.add("VAEDecode", samples=part, vae=codec), number, (width, height))


def _on_canvas(graph: Graph, job: _Job, files: Files) -> None:
    """Repaint or fill: all panels on one canvas, slots under a mask."""
    canvas = arrange(job.page, multiple=job.card.factor, fit=True)
    model, encoder, codec = _loaded(graph, job, files)
    positive, negative = _texts(graph, job, encoder)
    width, height = canvas.size_px
    painted = graph.add("EmptyImage", "Canvas", width=width, height=height, batch_size=1, color=_WHITE)
    mask = graph.add("SolidMask", "Nothing is masked", value=0.0, width=width, height=height)
    names, slots = iter(job.pictures), []
    for index, (panel, box) in enumerate(zip(job.page.all_panels, canvas.boxes, strict=True)):
        if panel.picture is not None:
            source = _picture(graph, next(names), box.size_px)
            painted = graph.add(
                "ImageCompositeMasked",
                f"Panel {index + 1} on the canvas",
                destination=painted,
                source=source,
                x=box.left_px,
                y=box.top_px,
                resize_source=False,
            )
            continue
        slots.append(box)
        hole = graph.add("SolidMask", f"Slot {len(slots)}", value=1.0, width=box.width_px, height=box.height_px)
        mask = graph.add("MaskComposite", destination=mask, source=hole, x=box.left_px, y=box.top_px, operation="add")
    if job.request.conditioning is Conditioning.FILL:
        blank = negative or graph.add("ConditioningZeroOut", conditioning=positive)
        positive = graph.add(
            "InpaintModelConditioning",
            positive=positive,
            negative=blank,
            vae=codec,
            pixels=painted,
            mask=mask,
            noise_mask=False,
        )
        latent = positive.at(2)
    else:
        encoded = graph.add("VAEEncode", pixels=painted, vae=codec)
        latent = graph.add("SetLatentNoiseMask", samples=encoded, mask=mask)
    done = _sampled(graph, job, model, positive, negative, latent, canvas.size_px)
    picture = graph.add("VAEDecode", samples=done, vae=codec)
    for number, box in enumerate(slots, 1):
        size = {"width": box.width_px, "height": box.height_px}
        cut = graph.add("ImageCrop", image=picture, x=box.left_px, y=box.top_px, **size)
        _save(graph, job, cut, number, box.size_px)


def _loaded(graph: Graph, job: _Job, files: Files) -> tuple[Output, Output, Output]:
    """Transformer with its LoRA, text encoder and codec."""
    model = graph.add("UNETLoader", "Transformer", unet_name=files.transformer, weight_dtype="default")
    for lora in job.loras:
        model = graph.add("LoraLoaderModelOnly", "Skill", model=model, lora_name=lora.file, strength_model=lora.weight)
    if len(files.encoders) == 2:
        first, second = files.encoders
        encoder = graph.add("DualCLIPLoader", "Text", clip_name1=first, clip_name2=second, type=files.kind)
    else:
        encoder = graph.add("CLIPLoader", "Text", clip_name=files.encoders[0], type=files.kind)
    return model, encoder, graph.add("VAELoader", "Codec", vae_name=files.codec)


def _texts(graph: Graph, job: _Job, encoder: Output) -> tuple[Output, Output | None]:
    """The prompt, and what it is set against where guidance is classifier-free."""
    positive = graph.add("CLIPTextEncode", "Prompt", text=job.prompt, clip=encoder)
    if job.card.negative is not None and (job.request.guidance or 0) > 1:
        return positive, graph.add("CLIPTextEncode", "Without the prompt", text=job.card.negative, clip=encoder)
    if job.request.guidance is not None:
        positive = graph.add("FluxGuidance", conditioning=positive, guidance=job.request.guidance)
    return positive, None


def _picture(graph: Graph, name: str, size_px: tuple[int, int]) -> Output:
    """The picture of a file, whole and in the middle of a white frame; one of the frame's size stays as it is."""
    loaded = graph.add("LoadImage", name, image=name)
    return graph.add(
        "ResizeAndPadImage",
        image=loaded,
        target_width=size_px[0],
        target_height=size_px[1],
        padding_color="white",
        interpolation="lanczos",
    )


def _sampled(
    graph: Graph,
    job: _Job,
    model: Output,
    positive: Output,
    negative: Output | None,
    latent: Output,
    size_px: tuple[int, int],
) -> Output:
    width, height = size_px
    if job.card.family == "flux2":
        sigmas = graph.add("Flux2Scheduler", steps=job.request.steps or job.card.steps, width=width, height=height)
    else:
        if job.card.guidance is not None:  # schnell, which takes none, was distilled without a shift
            model = graph.add(
                "ModelSamplingFlux", model=model, max_shift=1.15, base_shift=0.5, width=width, height=height
            )
        sigmas = graph.add(
            "BasicScheduler", model=model, scheduler="simple", steps=job.request.steps or job.card.steps, denoise=1.0
        )
    if negative is None:
        guider = graph.add("BasicGuider", model=model, conditioning=positive)
    else:
        guider = graph.add(
            "CFGGuider", model=model, positive=positive, negative=negative, cfg=job.request.guidance or 1.0
        )
    return graph.add(
        "SamplerCustomAdvanced",
        noise=graph.add("RandomNoise", noise_seed=job.request.seed),
        guider=guider,
        sampler=graph.add("KSamplerSelect", sampler_name=job.request.solver or Solver.EULER),
        sigmas=sigmas,
        latent_image=latent,
    )


def _save(graph: Graph, job: _Job, picture: Output, slot: int, size_px: Size) -> None:
    """Keep a slot's picture, at the size that was asked for."""
    wanted = job.sizes_px[slot - 1]
    if wanted not in (None, size_px):
        picture = graph.add(
            "ImageScale", image=picture, upscale_method="lanczos", width=wanted[0], height=wanted[1], crop="disabled"
        )
    graph.add("SaveImage", f"Slot {slot}", images=picture, filename_prefix=f"triptych-{slot}")


def _pictures(page: Page) -> list[Image.Image]:
    return [panel.picture for panel in page.all_panels if panel.picture is not None]
