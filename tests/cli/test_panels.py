"""Panels on the command line keep their order, whatever stands between them."""

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from triptych.cli.panels import PanelArgument, panel_from_word, take_panels
from triptych.page import NamedBox, Role

_TEXTS = st.text(max_size=30).filter(lambda text: not text.startswith("-"))
_CORNERS = st.tuples(st.floats(0, 0.4), st.floats(0, 0.4), st.floats(0.5, 1), st.floats(0.5, 1))
_PANELS = st.lists(
    st.builds(PanelArgument, file=st.none() | st.from_regex(r"[a-z]{1,8}\.png", fullmatch=True).map(Path), text=_TEXTS),
    max_size=8,
)
_OTHERS = st.lists(st.sampled_from((["--seed", "7"], ["--out", "folder"], ["--canvas"], ["--size=64x64"])), max_size=8)


@given(panels=_PANELS, others=_OTHERS, joined=st.booleans())
def test_take_panels_among_other_options_returns_both_in_order(panels, others, joined):
    written = []
    for index in range(max(len(panels), len(others))):
        for panel in panels[index : index + 1]:
            if panel.file is not None:
                written += [f"--condition={panel.file}"] if joined else ["--condition", str(panel.file)]
                written += [panel.text]
            else:
                written += [f"--slot={panel.text}"] if joined else ["--slot", panel.text]
        for other in others[index : index + 1]:
            written += other

    found, rest = take_panels(written)

    assert found == tuple(panels)
    assert rest == [word for other in others for word in other]


def test_take_panels_in_the_form_of_the_readme_reads_files_and_texts():
    found, rest = take_panels(
        ["page", "--condition", "fox.png", "<Leo> the fox", "--slot", "wide shot", "--slot", "--seed", "3"]
    )

    assert found == (
        PanelArgument(file=Path("fox.png"), text="<Leo> the fox"),
        PanelArgument(text="wide shot"),
        PanelArgument(),
    )
    assert rest == ["page", "--seed", "3"]


def test_take_panels_with_as_and_role_tells_about_the_panel_before():
    found, _ = take_panels(["--condition", "a.png", "--as=--dashes--", "--role", "edit", "--slot", "--as", "b"])

    assert found == (PanelArgument(file=Path("a.png"), text="--dashes--", role=Role.EDIT), PanelArgument(text="b"))


def test_take_panels_behind_two_dashes_leaves_everything():
    assert take_panels(["--slot", "a", "--", "--slot", "b"])[1] == ["--", "--slot", "b"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--role", "edit"], "belongs after"),
        (["--as", "text", "--slot"], "belongs after"),
        (["--condition"], "needs a value"),
        (["--condition", "--slot"], "needs a value"),
        (["--condition", "a.png", "--role", "slot"], "one of subject, edit, control, example"),
        (["--slot", "--role", "edit"], "one of subject"),
    ],
)
def test_take_panels_in_a_wrong_order_says_what_is_missing(arguments, said):
    with pytest.raises(typer.BadParameter, match=said):
        take_panels(arguments)


@given(panel=st.builds(PanelArgument, file=st.none() | st.text(min_size=1).map(Path), text=st.text()))
def test_panel_argument_as_a_word_comes_back(panel):
    assert panel_from_word(panel.word) == panel


@given(corners=_CORNERS, words=st.sampled_from(["", "a red cup", "größer = better, or 1,2,3,4"]))
def test_take_panels_with_a_box_gives_it_to_the_panel_before_it(corners, words):
    written = f"cup_1={','.join(map(repr, corners))} {words}"

    panels, rest = take_panels(
        ["--slot", "a cup", "--box", written, "--seed", "7", f"--box={written.replace('_1', '_2')}"]
    )

    boxes = tuple(NamedBox(name=name, corners=corners, words=words) for name in ("cup_1", "cup_2"))
    assert panels == (PanelArgument(text="a cup", boxes=boxes),)
    assert rest == ["--seed", "7"]
    assert panel_from_word(panels[0].word) == panels[0]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("cup_1", "write NAME=LEFT,TOP,RIGHT,BOTTOM"),
        ("cup_1=0,0,1", "write NAME=LEFT,TOP,RIGHT,BOTTOM"),
        ("cup_1=a,b,c,d", "write NAME=LEFT,TOP,RIGHT,BOTTOM"),
        ("cup_1=0,0,100,100", "from 0 to 1"),
        ("=0,0,1,1", "a name is a letter"),
    ],
)
def test_take_panels_with_what_is_no_box_says_how_one_is_written(value, said):
    with pytest.raises(typer.BadParameter, match=said):
        take_panels(["--slot", "--box", value])
