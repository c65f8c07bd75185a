"""What is done with pictures in the studio becomes picks."""

import httpx
import pytest
from PIL import Image

from triptych.picks import Verdict, load_picks
from triptych.studio.jobs import Kind, Lane


def _made(studio, seeds, *, slots=(1,)):
    """A job's pictures as a worker publishes them: a condition, and slots in two variants or more."""
    given = studio.files.add_image(Image.new("RGB", (40, 40), "orange")).id
    panels = [{"role": "subject", "image": f"file:{given}"}, *({"role": "slot", "instruction": f"s{n}"} for n in slots)]
    request = {"page": {"panels": panels}, "backbone": "pocket", "skills": [{"id": "storyboard", "weight": 1.0}]}
    job = studio.jobs.add(Kind.GENERATE, {"request": request, "slots": None}, lane=Lane.BATCH, title="t", document=None)
    ids = []
    for variant, seed in enumerate(seeds):
        for slot in slots:
            image = Image.new("RGB", (40, 40), (seed % 256, slot, 90))
            facts = {
                "seed": seed,
                "backbone": "pocket",
                "skills": request["skills"],
                "words": "s",
                "request": {**request, "seed": seed, "number": 1},
                "size": image.size,
            }
            file = studio.files.add_image(image).id
            ids.append(studio.gallery.add(job, slot=slot, variant=variant, file=file, facts=facts)["id"])
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


def test_mark_is_kept_where_a_pick_cannot_be_recorded(call):
    studio, ask = call
    (picture,) = _made(studio, (3,))
    studio.files.path(studio.gallery.get(picture)["file"]).unlink()

    marked = ask("PATCH", f"/api/pictures/{picture}", {"favourite": True})

    assert marked.status_code == 200 and marked.json()["favourite"] is True
    assert not (studio.folder.root / "picks.jsonl").exists()
