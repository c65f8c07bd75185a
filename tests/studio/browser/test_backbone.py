"""What the model can do, said before one tries; what it shows while it works."""

import io
import json

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from skimage import data
from skimage.metrics import peak_signal_noise_ratio

from page_in_browser import command, drop, generate, made, panels

pytestmark = pytest.mark.browser


_WATCH = """() => {
    const seen = window.seen = new Set();
    const look = () => {
        const q = (node, name) => node?.querySelector(name)?.shadowRoot;
        const view = q(q(document, 'studio-app'), 'page-view');
        for (const card of view?.querySelectorAll('panel-card') ?? []) {
            const making = card.shadowRoot.querySelector('.frame > img.making');
            if (making) seen.add(making.getAttribute('src'));
        }
        requestAnimationFrame(look);
    };
    look();
}"""


def _with_facts(page, **facts) -> None:
    """The page as it is where the server says this of its model."""

    def answer(route):
        told = route.fetch().json()
        told["backbones"][0] |= facts
        route.fulfill(json=told)

    page.route("**/api/info", answer)
    page.get_by_text("Saved", exact=True).wait_for()
    page.reload()
    page.wait_for_selector("html[data-ready=true]")


def test_what_the_model_takes_stands_where_one_types(blank):
    blank.get_by_text("pocket reads short, plain words").wait_for()
    assert "up to 8 slots of about 128" in blank.locator(".reach").text_content()
    blank.get_by_label("Instruction of panel 1").fill("word " * 60)
    blank.get_by_text("Panel 1 has 60 words; pocket reads about 45 in one place").wait_for()


def test_model_that_reads_no_words_says_so(blank):
    _with_facts(blank, follows_words=False, words="none")
    blank.get_by_text("pocket reads no words, sees").wait_for()
    words = blank.get_by_label("Instruction of panel 1")
    expect(words).to_have_attribute("placeholder", "This model does not read words")
    words.fill("a red boat")
    blank.get_by_text("only the pictures count").wait_for()


def test_more_pictures_than_a_model_was_trained_with_are_a_note_only(blank):
    command(blank, "Start: Put this there")
    panels(blank).nth(2).wait_for()
    blank.get_by_text("Saved", exact=True).wait_for()
    _with_facts(blank, trained_conditions=1)
    blank.get_by_text("was trained with up to 1 picture; the page has 2").wait_for()
    assert blank.get_by_role("button", name="Generate", exact=True).is_enabled()


def test_reading_is_chosen_where_the_model_knows_two(blank):
    blank.get_by_role("button", name="More settings").click()
    assert blank.get_by_label("Where many are right").count() == 0
    _with_facts(blank, readings=["mean", "sample"])
    blank.get_by_role("button", name="More settings").click()
    blank.get_by_label("Steps").fill("3")
    blank.get_by_label("Where many are right").select_option("sample")
    expect(blank.get_by_label("Steps")).to_have_value("")
    blank.get_by_label("Instruction of panel 1").fill("a red boat")
    asked = []
    blank.route("**/api/jobs", lambda route: (asked.append(json.loads(route.request.post_data)), route.continue_()))
    blank.get_by_role("button", name="Generate", exact=True).click()
    expect(blank.get_by_role("button", name="Stop").or_(blank.get_by_role("alert")).first).to_be_visible()
    assert asked[0]["body"]["request"]["reading"] == "sample"


def test_each_step_is_shown_while_one_watches(blank):
    blank.get_by_label("Instruction of panel 1").fill("a red boat")
    blank.get_by_role("button", name="More settings").click()
    blank.get_by_label("Steps").fill("8")
    blank.get_by_label("Steps").press("Tab")
    blank.get_by_role("button", name="2 for each slot").click()
    blank.evaluate(_WATCH)
    blank.get_by_role("button", name="Generate", exact=True).click()
    # Of eight steps; each is gone before one could ask for them by turns.
    for _ in range(600):
        if blank.evaluate("seen.size") > 1:
            break
        blank.wait_for_timeout(50)
    blank.get_by_role("button", name="Generate", exact=True).wait_for()
    assert blank.evaluate("seen.size") > 1
    made(blank, 0).wait_for()
    assert made(blank, 0).get_attribute("src").startswith("/api/files/")


def test_photograph_goes_to_the_model_for_photographs(blank, studio):
    photograph = Image.fromarray(data.astronaut()).resize((128, 128))
    file = io.BytesIO()
    photograph.save(file, "PNG")
    drop(blank, panels(blank).nth(0), ("astronaut.png", "image/png", file.getvalue()))
    blank.get_by_role("button", name="Add slot").click()
    blank.get_by_label("Instruction of panel 2").fill("the same picture")
    blank.get_by_role("button", name="Model: pocket").click()
    blank.get_by_role("menuitemradio", name="For photographs").click()
    blank.get_by_text("pocket-2 reads short, plain words").wait_for()
    generate(blank)
    answer = blank.request.get(studio + made(blank, 1).get_attribute("src").split("?")[0]).body()
    picture = Image.open(io.BytesIO(answer)).convert("RGB").resize((128, 128))
    assert peak_signal_noise_ratio(np.asarray(photograph), np.asarray(picture)) > 26  # the first pocket's has 15
