from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from triptych.data.lazy import LazyPages, distinct_ids
from triptych.page import Page, slot


def test_lazy_pages_make_a_page_when_it_is_asked_for() -> None:
    made: list[str] = []

    def maker(name: str) -> Callable[[], Page]:
        def make() -> Page:
            made.append(name)
            return Page(panels=(slot("x", answer=Image.new("RGB", (4, 4))),), page_id=name)

        return make

    pages = LazyPages([maker("a"), maker("b"), maker("c")])
    assert len(pages) == 3 and made == []
    assert pages[1].page_id == "b" and made == ["b"]
    assert [page.page_id for page in pages[1:]] == ["b", "c"]


def test_distinct_ids_of_equal_stems_hold_their_folders() -> None:
    assert distinct_ids(["set0/001.png", "set1/001.png", "other.png"]) == ["set0-001", "set1-001", "other"]
    assert distinct_ids(["a.png", "a.jpg"]) == ["a", "a-2"]


@given(st.lists(st.text("ab-/2", min_size=1, max_size=6).filter(lambda name: name.strip("/")), max_size=12))
def test_distinct_ids_are_distinct(names: list[str]) -> None:
    assert len(set(distinct_ids(names))) == len(names)
