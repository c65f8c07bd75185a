"""What is done with pictures in the studio becomes picks."""

from contextlib import contextmanager

import httpx
import pytest
import torch
from PIL import Image

from tiny_training import disc, made_page, recipe, tiny_pocket
from triptych.data.pagesets import save_pageset
from triptych.page import Page, condition, slot
from triptych.picks import Shown, Verdict, add_picks, load_picks
from triptych.sampling.request import Request
from triptych.skill import load_skill
from triptych.studio.jobs import Kind, Lane, State
from triptych.studio.worker.job import Claim
from triptych.studio.worker.maker import Maker
from triptych.studio.worker.teaching import tune
from triptych.training.loop import train
from triptych.training.recipe import load_recipe


def _made(studio, seeds, *, slots=(1,)):
    """A job's pictures as a worker publishes them: a condition, and slots in two variants or more."""
    given = studio.files.add_image(Image.new("RGB", (40, 40), "orange")).id
    panels = [{"role": "subject", "image": f"file:{given}"}, *({"role": "slot", "instruction": f"s{n}"} for n in slots)]
    request = {"page": {"panels": panels}, "backbone": "pocket", "skills": [{"id": "storyboard", "weight": 1.0}]}
    job = studio.jobs.add(Kind.GENERATE, {"request": request, "slots": None}, lane=Lane.BATCH, title="t", document=None)
    ids = []
    for variant, seed in enumerate(seeds):
        for place in slots:
            image = Image.new("RGB", (40, 40), (seed % 256, place, 90))
            facts = {
                "seed": seed,
                "backbone": "pocket",
                "skills": request["skills"],
                "words": "s",
                "request": {**request, "seed": seed, "number": 1},
                "size": image.size,
            }
            file = studio.files.add_image(image).id
            ids.append(studio.gallery.add(job, slot=place, variant=variant, file=file, facts=facts)["id"])
    return ids


def _said(studio):
    (pick,) = load_picks(studio.folder.root)
    return {result.seed: result.verdict for result in pick.results}


async def _call(transport, method, path, body):
    async with httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1", headers={"X-Triptych": "1"}
    ) as client:
        return await client.request(method, path, json=body)


@pytest.fixture
def call(quiet):
    import asyncio

    studio, transport = quiet
    return studio, lambda *args: asyncio.run(_call(transport, *args))


def test_marks_become_picks_and_what_was_rolled_away_is_unseen(call):
    studio, ask = call
    first, _ = _made(studio, (1, 2)), _made(studio, (7,))

    assert ask("PATCH", f"/api/pictures/{first[0]}", {"favourite": True}).status_code == 200
    assert _said(studio) == {1: Verdict.KEPT, 2: Verdict.UNSEEN, 7: Verdict.UNSEEN}
    ask("PATCH", f"/api/pictures/{first[1]}", {"rejected": True})
    assert _said(studio) == {1: Verdict.KEPT, 2: Verdict.REJECTED, 7: Verdict.UNSEEN}
    ask("PATCH", f"/api/pictures/{first[0]}", {"favourite": False})
    assert _said(studio)[1] is Verdict.UNSEEN

    (pick,) = load_picks(studio.folder.root)
    assert pick.skills == ("storyboard",) and pick.made_by == "triptych studio"
    assert pick.request.page.conditions[0].image.getpixel((0, 0)) == (255, 165, 0)
    assert {image.getpixel((0, 0))[0] for result in pick.results for image in pick.images(result)} == {1, 2, 7}


def test_pick_of_a_picture_that_was_kept_on_the_page_holds_all_its_slots(call):
    studio, ask = call
    ids = _made(studio, (1, 2), slots=(1, 2))

    answer = ask("POST", f"/api/pictures/{ids[0]}/pick", {"verdict": "kept"})

    assert answer.json() == {"recorded": True}
    (pick,) = load_picks(studio.folder.root)
    assert [len(result.pictures) for result in pick.results] == [2, 2]
    assert _said(studio) == {1: Verdict.KEPT, 2: Verdict.UNSEEN}
    assert ask("POST", f"/api/pictures/{ids[0]}/pick", {"verdict": "liked"}).status_code == 422
    assert ask("POST", "/api/pictures/0000000000000000/pick", {"verdict": "kept"}).status_code == 404


class _Quick(Maker):
    """A maker whose backbone is quick."""

    @contextmanager
    def lent(self, name):  # noqa: ARG002
        yield tiny_pocket()


def _taught(studio, monkeypatch):
    """A skill of the shelf with the pages that taught it, and fifteen picks."""
    monkeypatch.setattr("triptych.training.tuning.load_recipe", _small)
    skill = "0123456789abcdef"
    save_pageset([made_page(n) for n in range(2)], studio.folder.taught(skill))
    train([made_page(0)], studio.folder.skills / f"{skill}.safetensors", recipe(steps=1), tiny_pocket())
    studio.shelf.add(skill, name="blue", summary="", backbone="pocket", picture=None, pages=2, steps=1)
    for number in range(15):
        page = Page(panels=(condition(disc(number / 40, 9)), slot("make it blue")))
        looks = ((0, "blue", Verdict.KEPT), (1, "red", Verdict.REJECTED))
        results = [
            Shown(request=Request(page=page, seed=seed), images=(disc(0.1, 9, background=ground),), verdict=verdict)
            for seed, ground, verdict in looks
        ]
        add_picks(studio.folder.root, results)
    return skill


def _small(name, changes):
    small = {"steps": 4, "batch": 2, "draws": 1, "preference.measure_every": 2, "preference.most_worse_db": 60.0}
    return load_recipe(name, {**changes, **small, "optimizer.warmup": 0, "watch.samples": 0})


def test_skill_is_tuned_to_picks_and_joins_the_shelf_beside_the_one_before(quiet, monkeypatch):
    studio, _ = quiet
    skill = _taught(studio, monkeypatch)
    before = load_skill(studio.shelf.path(skill))

    job = studio.add_job(Kind.TRAIN, {"name": "blue, as I like it", "prefer": skill})
    taken = studio.jobs.claim(Lane.BATCH, "me")
    claim = Claim(taken, "me", studio.jobs, lambda *_: None, lambda: None)
    maker = _Quick(studio.shelf, studio.files, ("pocket",))
    tune(claim, maker, studio.store, studio.files, studio.folder)

    assert studio.jobs.get(job["id"])["state"] == State.DONE
    better = studio.shelf.get(job["id"])
    assert (better["name"], better["pages"]) == ("blue, as I like it", 2)
    after = load_skill(studio.shelf.path(job["id"]))
    assert any(not torch.equal(after.tensors[key], value) for key, value in before.tensors.items())
    assert studio.folder.taught(job["id"]).is_dir(), "the better one can be tuned again"


def test_skill_is_not_tuned_to_few_picks_or_without_its_pages(call):
    studio, ask = call
    body = {"kind": "train", "body": {"name": "n", "prefer": "storyboard"}}

    assert ask("POST", "/api/jobs", body).json()["error"]["code"] == "no_pages"
    save_pageset([made_page(0)], studio.folder.taught("storyboard"))
    few = ask("POST", "/api/jobs", body).json()["error"]
    assert few["code"] == "few_picks" and "there are 0 picks; it takes 15" in few["message"]


def test_mark_is_kept_where_a_pick_cannot_be_recorded(call):
    studio, ask = call
    (picture,) = _made(studio, (3,))
    studio.files.path(studio.gallery.get(picture)["file"]).unlink()

    marked = ask("PATCH", f"/api/pictures/{picture}", {"favourite": True})

    assert marked.status_code == 200 and marked.json()["favourite"] is True
    assert not (studio.folder.root / "picks.jsonl").exists()
