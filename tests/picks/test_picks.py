"""Picks on disk: they come back, nothing is lost, and the last word counts."""

import json
import threading

import pytest
from PIL import Image

from tiny_training import disc
from triptych.errors import PickError
from triptych.files import read_text
from triptych.page import Page, condition, slot
from triptych.picks import FILE, Shown, Verdict, add_picks, load_picks
from triptych.sampling.request import Request, SkillUse

ASKED = Request(
    page=Page(panels=(condition(disc(0.2, 3), "a disc"), slot("turned")), overview="both", page_id="p"),
    steps=2,
    skills=(SkillUse(name="turn"),),
)


def request(seed, page=ASKED.page):
    return Request(page=page, seed=seed, steps=2, skills=ASKED.skills)


def shown(seed, verdict, *, hue=None):
    return Shown(request=request(seed), images=(disc(seed / 9 if hue is None else hue, 20),), verdict=verdict)


def same(one, other):
    return one.size == other.size and one.tobytes() == other.tobytes()


def test_picks_go_to_a_file_and_back_with_request_seeds_and_verdicts(tmp_path):
    verdicts = {3: Verdict.KEPT, 1: Verdict.REJECTED, 2: Verdict.UNSEEN}

    notes = add_picks(tmp_path, [shown(seed, verdict) for seed, verdict in verdicts.items()])
    (pick,) = load_picks(tmp_path)

    assert notes == ()
    assert {result.seed: result.verdict for result in pick.results} == verdicts
    assert [result.verdict.reward for result in pick.results] == [1.0, 0.0, 0.5]
    again = pick.request
    assert (again.steps, again.skills, again.page.overview, again.seed) == (2, ASKED.skills, "both", 3)
    assert same(again.page.conditions[0].image, disc(0.2, 3))
    assert same(pick.images(pick.results[0])[0], disc(3 / 9, 20))
    assert pick.when.endswith("+00:00") and pick.backbone == "pocket" and pick.skills == ("turn",)


def test_picks_line_is_a_page_in_its_published_form(tmp_path):
    add_picks(tmp_path, [shown(3, Verdict.KEPT), shown(1, Verdict.REJECTED), shown(2, Verdict.UNSEEN)])

    (row,) = read_text(tmp_path / FILE).splitlines()
    panel = json.loads(row)["request"]["page"]["panels"][1]
    (slot_of_page,) = load_picks(tmp_path)[0].page.slots

    assert same(Image.open(tmp_path / panel["answer"]), disc(3 / 9, 20))
    assert [same(Image.open(tmp_path / name), disc(1 / 9, 20)) for name in panel["rejected"]] == [True]
    assert same(slot_of_page.answer, disc(3 / 9, 20)) and len(slot_of_page.rejected) == 1


def test_picks_of_one_request_are_one_pick_and_the_last_word_counts(tmp_path):
    add_picks(tmp_path, [shown(1, Verdict.KEPT), shown(2, Verdict.REJECTED)])
    before = (tmp_path / FILE).read_bytes()
    notes = add_picks(tmp_path, [shown(1, Verdict.REJECTED), shown(5, Verdict.KEPT)])

    (pick,) = load_picks(tmp_path)
    said = {result.seed: result.verdict for result in pick.results}

    assert said == {1: Verdict.REJECTED, 2: Verdict.REJECTED, 5: Verdict.KEPT}
    assert len(notes) == 1 and "seed 1 is rejected in place of kept" in notes[0]
    assert (tmp_path / FILE).read_bytes().startswith(before), "a file of picks only grows"


def test_picks_of_another_page_or_setting_are_another_pick(tmp_path):
    other = Shown(
        request=Request(page=ASKED.page, seed=1, steps=3, skills=ASKED.skills),
        images=(disc(0.5, 5),),
        verdict=Verdict.KEPT,
    )
    add_picks(tmp_path, [shown(1, Verdict.KEPT), other])

    assert len(load_picks(tmp_path)) == 2


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_picks_after_a_killed_writer_are_whole_and_go_on(tmp_path, cut):
    add_picks(tmp_path, [shown(1, Verdict.KEPT)])
    add_picks(tmp_path, [shown(2, Verdict.REJECTED)])
    data = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(data[:-cut])

    first = load_picks(tmp_path)
    add_picks(tmp_path, [shown(3, Verdict.KEPT)])
    (pick,) = load_picks(tmp_path)

    # Where only the end of the line was missing, all of it had been written.
    seeds = {1, 2, 3} if cut == 1 else {1, 3}
    assert {result.seed for result in first[0].results} == seeds - {3}
    assert {result.seed for result in pick.results} == seeds
    if cut > 1:
        torn = (tmp_path / f"{FILE}.unfinished").read_bytes()
        assert data[:-cut].endswith(torn) and torn


def test_picks_damaged_line_in_the_middle_is_named(tmp_path):
    add_picks(tmp_path, [shown(1, Verdict.KEPT)])
    row = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(b"{\n" + row)
    with pytest.raises(PickError, match="line 1 is not valid JSON"):
        load_picks(tmp_path)

    data = json.loads(row)
    data["results"][0]["verdict"] = "liked"
    (tmp_path / FILE).write_text(json.dumps(data) + "\n", encoding="utf-8")
    with pytest.raises(PickError, match=r"line 1: key 'results.0.verdict'"):
        load_picks(tmp_path)


def test_picks_page_alone_tells_its_results(tmp_path):
    add_picks(tmp_path, [shown(1, Verdict.KEPT), shown(2, Verdict.REJECTED)])
    data = json.loads((tmp_path / FILE).read_bytes())
    del data["results"]
    (tmp_path / FILE).write_text(json.dumps(data), encoding="utf-8")

    (pick,) = load_picks(tmp_path)

    assert [(result.seed, result.verdict) for result in pick.results] == [
        (None, Verdict.KEPT),
        (None, Verdict.REJECTED),
    ]


def test_picks_path_out_of_the_folder_is_refused(tmp_path):
    add_picks(tmp_path / "in", [shown(1, Verdict.KEPT)])
    disc(0, 0).save(tmp_path / "secret.png")
    data = json.loads((tmp_path / "in" / FILE).read_bytes())
    data["results"][0]["pictures"] = ["../secret.png"]
    (tmp_path / "in" / FILE).write_text(json.dumps(data), encoding="utf-8")

    (pick,) = load_picks(tmp_path / "in")
    with pytest.raises(Exception, match="leaves the folder"):
        pick.images(pick.results[0])


def test_picks_of_many_threads_are_all_there(tmp_path):
    threads = [
        threading.Thread(target=add_picks, args=(tmp_path, [shown(seed, Verdict.KEPT, hue=0.1)])) for seed in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (pick,) = load_picks(tmp_path)
    assert {result.seed for result in pick.results} == set(range(12))
    assert len(list((tmp_path / "picks").iterdir())) == 2, "equal pictures are kept once"


def test_picks_that_are_not_there_say_how_to_make_some(tmp_path):
    with pytest.raises(PickError, match="triptych pick"):
        load_picks(tmp_path)


def test_picks_as_they_were_are_read_by_the_size_of_the_file(tmp_path):
    add_picks(tmp_path, [shown(1, Verdict.KEPT)])
    size = (tmp_path / FILE).stat().st_size
    add_picks(tmp_path, [shown(1, Verdict.REJECTED), shown(2, Verdict.KEPT)])

    (before,), (now,) = load_picks(tmp_path, first_bytes=size), load_picks(tmp_path)

    assert [result.verdict for result in before.results] == [Verdict.KEPT]
    assert [result.verdict for result in now.results] == [Verdict.REJECTED, Verdict.KEPT]
