from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from triptych.canvas import arrange
from triptych.errors import PromptError
from triptych.page import Page, Role, condition, slot
from triptych.prompts import (
    PromptPart,
    Template,
    find_template,
    page_from_template,
    read_prompt,
    read_prompts,
    template_names,
    write_prompt,
)

PICTURE = Image.new("RGB", (8, 8), "red")
# Canvas sizes that the model zoo of In-Context LoRA recommends for its ten tasks.
PUBLISHED = {
    "couple-profile": (2048, 1024),
    "film-storyboard": (1024, 1536),
    "font-design": (1792, 1216),
    "home-decoration": (1344, 1728),
    "portrait-illustration": (1152, 1088),
    "portrait-photography": (1344, 1728),
    "ppt-templates": (1984, 1152),
    "sandstorm-visual-effect": (1408, 1600),
    "sparklers-visual-effect": (960, 1088),
    "visual-identity-design": (1472, 1024),
}
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    [
        "[SCENE-",
        "1]",
        " ",
        "  two  ",
        "<Leo> runs",
        "[LEFT",
        "]",
        "[RIGHT ]",
        "[PANEL-0]",
        "[PANEL-01]",
        "שלום",
        "🦊",
        "a\nb",
    ]
)
names = st.sampled_from(template_names())


def count_for(template: Template, data: st.DataObject) -> int:
    return len(template.tags) or data.draw(st.integers(1, 8))


def page_of(overview: str, instructions: list[str], template: str) -> Page:
    return Page(panels=tuple(slot(text) for text in instructions), overview=overview, template=template)


def without_empty_end(instructions: list[str]) -> tuple[str, ...]:
    while instructions and not instructions[-1]:
        instructions = instructions[:-1]
    return tuple(instructions)


@given(name=names, overview=texts, data=st.data())
@settings(deadline=None, max_examples=300)
def test_read_prompt_of_written_prompt_gives_the_texts_back(name: str, overview: str, data: st.DataObject) -> None:
    template = find_template(name)
    count = count_for(template, data)
    instructions = data.draw(st.lists(texts, min_size=count, max_size=count))
    assume(not (template.opening and overview.startswith(template.opening)))
    prompt = write_prompt(page_of(overview, instructions, name))
    expected = tuple(instructions) if template.tags else without_empty_end(instructions)
    assert read_prompt(prompt.text, template) == (overview, expected)


@given(name=names, overview=texts, data=st.data())
@settings(deadline=None)
def test_read_prompts_of_a_page_with_examples_gives_all_texts_back(
    name: str, overview: str, data: st.DataObject
) -> None:
    template = find_template(name)
    count = count_for(template, data)
    each = st.lists(texts, min_size=count, max_size=count)
    own, *others = data.draw(st.lists(each, min_size=2, max_size=4))
    last = data.draw(texts.filter(bool))
    examples = [
        Page(panels=tuple(slot(text, answer=PICTURE) for text in other), overview=last, template=name)
        for other in others
    ]
    prompt = write_prompt(page_of(overview, own, name).with_context(*examples))
    expected = [(overview, own), *((last, other) for other in others)]
    assert [(found, without_empty_end(list(rest))) for found, rest in read_prompts(prompt.text, template)] == [
        (found, without_empty_end(list(rest))) for found, rest in expected
    ]


@given(name=names, before=texts, after=texts, data=st.data())
@settings(deadline=None)
def test_write_prompt_of_a_text_with_a_tag_in_it_is_refused(
    name: str, before: str, after: str, data: st.DataObject
) -> None:
    template = find_template(name)
    count = count_for(template, data)
    tag = data.draw(st.sampled_from([*template.tags_for(count), "[EXAMPLE-1]"]))
    instructions = [before + tag + after] + ["x"] * (count - 1)
    with pytest.raises(PromptError, match=r"panel 1: the instruction contains '\["):
        write_prompt(page_of("", instructions, name))
    with pytest.raises(PromptError, match=r"the overview contains '\["):
        write_prompt(page_of(before + tag + after, ["x"] * count, name))


def test_write_prompt_of_movie_shots_follows_the_published_convention() -> None:
    page = page_of("A fair at night,", ["<Leo> waits by the gate,", "he plays,", "and <Leo> wins."], "film-storyboard")
    assert write_prompt(page).text == (
        "[MOVIE-SHOTS] A fair at night, "
        "[SCENE-1] <Leo> waits by the gate, [SCENE-2] he plays, [SCENE-3] and <Leo> wins."
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("left-right", "Two cats as detectives; [LEFT] a black cat, while [RIGHT] a white cat."),
        (
            "portrait-photography",
            "This [FOUR-PANEL] image shows <Ada>; [TOP-LEFT] a, [TOP-RIGHT] b, [BOTTOM-LEFT] c, and [BOTTOM-RIGHT] d.",
        ),
        ("sandstorm-visual-effect", "[SANDSTORM-PSA] A rider; [TOP] in clear air, [BOTTOM] in the storm."),
        ("sparklers-visual-effect", "[REAL-SPARKLERS-OVERLAYS] A fair; [TOP] at dusk, [BOTTOM] with a star of light."),
        ("film-storyboard", "[MOVIE-SHOTS] [SCENE-1] one [SCENE-2] two"),
    ],
)  # fmt: skip
def test_write_prompt_of_read_prompt_gives_the_prompt_back(name: str, text: str) -> None:
    overview, instructions = read_prompt(text, name)
    assert all(instructions) and "[" not in overview
    assert write_prompt(page_of(overview, list(instructions), name)).text == text


def test_write_prompt_parts_point_at_panels_and_leave_out_empty_texts() -> None:
    example = Page(panels=(condition(PICTURE), slot("flat", answer=PICTURE)), overview="drawn flat")
    page = Page(panels=(condition(PICTURE, "<Leo>"), slot(), slot("at dusk")), overview="drawn flat").with_context(
        example, replace(example, overview="another")
    )
    prompt = write_prompt(page)
    assert prompt.parts == (
        PromptPart(panel=None, text="drawn flat"),
        PromptPart(panel=0, text="<Leo>"),
        PromptPart(panel=2, text="at dusk"),
        PromptPart(panel=4, text="flat"),
        PromptPart(panel=None, text="another"),
        PromptPart(panel=6, text="flat"),
    )
    assert [page.all_panels[part.panel].instruction for part in prompt.parts if part.panel is not None] == [
        part.text for part in prompt.parts if part.panel is not None
    ]
    assert prompt.text == (
        "drawn flat [PANEL-1] <Leo> [PANEL-3] at dusk "
        "[EXAMPLE-1] drawn flat [PANEL-2] flat [EXAMPLE-2] another [PANEL-2] flat"
    )


def test_write_prompt_without_any_text_is_empty() -> None:
    example = Page(panels=(condition(PICTURE), slot(answer=PICTURE)))
    prompt = write_prompt(page_of("", ["", ""], "panels").with_context(example))
    assert (prompt.text, prompt.parts) == ("", ())


def test_write_prompt_with_another_number_of_panels_than_tags_is_refused() -> None:
    with pytest.raises(PromptError, match=r"'left-right' is for 2 panels .*; the page has 3"):
        write_prompt(page_of("", ["a", "b", "c"], "left-right"))


def test_write_prompt_with_the_opening_in_the_overview_is_refused() -> None:
    with pytest.raises(PromptError, match="which template 'film-storyboard' adds itself"):
        write_prompt(page_of("[MOVIE-SHOTS] a fair", ["a"], "film-storyboard"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("no opening [SCENE-1] a", "does not begin with"),
        ("[MOVIE-SHOTS] [SCENE-2] a [SCENE-1] b", r"\[SCENE-1\] out of order"),
        ("[MOVIE-SHOTS] [SCENE-1] a [SCENE-1] b", r"\[SCENE-1\] out of order, twice"),
        ("[MOVIE-SHOTS] [SCENE-999999999999] a", "beyond 24 panels"),
        ("[MOVIE-SHOTS] a [EXAMPLE-2] b [EXAMPLE-1] c", "wrong place"),
        ("[MOVIE-SHOTS] a [EXAMPLE-99999999999999] b", "wrong place"),
        ("[MOVIE-SHOTS] a [EXAMPLE-1] b", "1 example pages"),
    ],
)
def test_read_prompt_of_what_no_page_wrote_is_refused(text: str, reason: str) -> None:
    with pytest.raises(PromptError, match=reason):
        read_prompt(text, "film-storyboard")


@given(
    text=st.text(max_size=80)
    | st.lists(st.sampled_from(["[PANEL-1]", "[PANEL-2]", "[EXAMPLE-1]", " ", "x"])).map("".join)
)
@settings(deadline=None)
def test_read_prompts_of_any_text_reads_or_raises_prompt_error(text: str) -> None:
    try:
        found = read_prompts(text, "panels")
    except PromptError:
        return
    assert found


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_page_from_template_of_a_published_task_has_the_recommended_canvas(name: str) -> None:
    template = find_template(name)
    page = page_from_template(template, overview="x", instructions=["a", "b"])
    assert arrange(page, multiple=16).size_px == PUBLISHED[name]
    assert [panel.instruction for panel in page.panels][:2] == ["a", "b"]
    assert write_prompt(page).text.startswith(f"{template.opening} x".strip())


def test_page_from_template_with_an_image_makes_its_panel_a_condition() -> None:
    page = page_from_template(find_template("portrait-illustration"), images={0: PICTURE})
    assert [panel.role for panel in page.panels] == [Role.EDIT, Role.SLOT]
    page = page_from_template(find_template("font-design"), images={2: PICTURE})
    assert page.panels[2].role is Role.SUBJECT


def test_page_from_template_with_too_much_or_without_a_page_is_refused() -> None:
    with pytest.raises(PromptError, match="has 2 panels"):
        page_from_template(find_template("couple-profile"), instructions=["a", "b", "c"])
    with pytest.raises(PromptError, match="has 2 panels"):
        page_from_template(find_template("couple-profile"), images={2: PICTURE})
    with pytest.raises(PromptError, match="no page of its own"):
        page_from_template(find_template("panels"))


def test_find_template_of_an_unknown_name_lists_those_there_are() -> None:
    with pytest.raises(PromptError, match="no template 'comic'; there are couple-profile, film-storyboard"):
        find_template("comic")
    with pytest.raises(PromptError, match="no template"):
        find_template("../templates/panels")


def test_find_template_in_a_user_file_writes_its_tags(tmp_path: Path) -> None:
    path = tmp_path / "comic.yaml"
    path.write_text('name: comic\ntitle: A comic\nopening: A comic\ntag: "[PICTURE-{number}]"\n')
    prompt = write_prompt(page_of("of a fox", ["runs", "sleeps"], "panels"), find_template(path))
    assert prompt.text == "A comic of a fox [PICTURE-1] runs [PICTURE-2] sleeps"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [", "is not valid YAML"),
        ("- a list", "template"),
        ("name: x\ntitle: x\n", "give either"),
        ('name: x\ntitle: x\ntag: "[A-{number}]"\ncolour: red\n', "key colour"),
        ('name: x\ntitle: x\ntag: "PANEL {number}"\n', "is not a valid tag"),
        ('name: x\ntitle: x\ntag: "[PANEL]"\n', "must have {number}"),
        ('name: x\ntitle: x\ntags: ["[A]", "[A]"]\n', "tags must differ"),
        ('name: x\ntitle: x\ntags: ["[A]"]\nopening: "an [A] b"\n', "the opening must have none"),
        ('name: x\ntitle: x\ntag: "[EXAMPLE-{number}]"\n', "kept for example pages"),
    ],
)
def test_find_template_in_a_file_that_is_none_says_why(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(PromptError, match=reason):
        find_template(tmp_path / "bad.yaml")
    with pytest.raises(PromptError, match="does not exist"):
        find_template(tmp_path / "none.yaml")
