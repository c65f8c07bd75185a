"""Generation jobs: previews on the way, and every picture published once."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from triptych.events import Done, Preview, Step
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.gallery import Gallery, picture_id
from triptych.studio.jobs import Jobs, State
from triptych.studio.pages import asked, words_of
from triptych.studio.store import Store
from triptych.studio.worker.job import Claim, StopJob
from triptych.studio.worker.maker import Maker, webp_url

if TYPE_CHECKING:
    from triptych.sampling.result import Result

__all__ = ["generate"]

_PREVIEWS_COST = 1
"""A preview waits until this many times as long as the last one took has passed: half of the time at most."""


def generate(claim: Claim, maker: Maker, store: Store, files: FileStore) -> None:
    """Fill the slots of a job's page, once for each variant, and end the job."""
    request = maker.request(claim.body["request"])
    page, places = asked(request.page, claim.body.get("slots"))
    ids = [picture_id(claim.id, variant, place) for variant in range(request.number) for place in places]
    if not _are_there(Gallery(store), ids):
        results: tuple[Result, ...] = ()
        next_look = 0.0
        claim.check()
        for event in maker.stream(replace(request, page=page), claim.token):
            match event:
                case Step():
                    claim.progress("denoise", event.step, event.steps, eta_s=event.seconds_left)
                case Preview() if event.step < event.steps and (began := time.monotonic()) >= next_look:
                    _show(claim, places, event)
                    ended = time.monotonic()
                    next_look = ended + _PREVIEWS_COST * (ended - began)
                case Done():
                    results = event.result
            claim.check()
        _tell_results(claim, places, results)
        for variant, result in enumerate(results):
            for number, place in enumerate(places):
                _publish(claim, maker, store, files, result, (number, place, variant))
    Jobs(store).finish(claim.id, claim.owner, State.DONE, results=ids)


def _show(claim: Claim, places: tuple[int, ...], event: Preview) -> None:
    for variant, images in zip(event.pages, event.decode(), strict=True):
        for place, image in zip(places, images, strict=True):
            _tell(claim, place, variant, event.step, event.steps, image)


def _tell_results(claim: Claim, places: tuple[int, ...], results: "tuple[Result, ...]") -> None:
    """The finished pictures, before they are written: whoever watches sees them at once."""
    for variant, result in enumerate(results):
        for place, image in zip(places, result.images, strict=True):
            _tell(claim, place, variant, result.steps or 1, result.steps or 1, image)


def _tell(claim: Claim, place: int, variant: int, step: int, steps: int, image: Image.Image) -> None:
    claim.tell("preview", slot=place, variant=variant, step=step, steps=steps, url=webp_url(image))


def _publish(
    claim: Claim, maker: Maker, store: Store, files: FileStore, result: "Result", place: tuple[int, int, int]
) -> None:
    number, slot, variant = place
    image, request = result.images[number], claim.body["request"]
    kept = files.add_made(maker.png(result, number), image.size)
    facts = {
        "seed": result.seed,
        "backbone": result.request.backbone,
        "skills": request.get("skills") or [],
        "words": " / ".join(words_of(request["page"])),
        "request": {**request, "seed": result.seed, "number": 1},
        "size": image.size,
    }
    with store.transaction():
        if not Jobs(store).owns(claim.id, claim.owner):
            raise StopJob
        picture = Gallery(store).add(claim.job, slot=slot, variant=variant, file=kept.id, facts=facts)
    claim.tell("picture", picture=picture["id"])


def _are_there(gallery: Gallery, ids: list[str]) -> bool:
    """Whether an earlier attempt came this far."""
    try:
        for each in ids:
            gallery.get(each)
    except StudioError:
        return False
    return True
