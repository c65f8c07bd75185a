"""Pages that are made when they are asked for: a large set is never in memory as a whole."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from itertools import count as naturals
from pathlib import PurePath
from typing import TYPE_CHECKING, overload

from triptych.page import Page

__all__ = ["LazyPages", "distinct_ids"]

if TYPE_CHECKING:
    _Pages = Sequence[Page]
else:
    # Runtime checkers read a random item of a `Sequence[Page]`, which here would read files.
    _Pages = Sequence

_LONGEST_ID = 160


class LazyPages(_Pages):
    """One function a page, called each time its page is asked for; `unlabelled` names pages without any words."""

    def __init__(self, makers: Iterable[Callable[[], Page]], *, unlabelled: Iterable[str] = ()) -> None:
        self._makers = tuple(makers)
        self.unlabelled = tuple(unlabelled)

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, index: int) -> Page: ...
    @overload
    def __getitem__(self, index: slice) -> "LazyPages": ...
    def __getitem__(self, index: int | slice) -> "Page | LazyPages":
        found = self._makers[index]
        return LazyPages(found) if isinstance(found, tuple) else found()


def distinct_ids(names: Sequence[str]) -> list[str]:
    """An id for each file name: its stem, or where stems repeat its folders too (`set0-001`), or else a number more."""
    stems = [PurePath(name).stem for name in names]
    count = Counter(stems)
    taken = {stem for stem in stems if count[stem] == 1}
    ids: list[str] = []
    for name, stem in zip(names, stems, strict=True):
        if count[stem] == 1 and len(stem) <= _LONGEST_ID:
            ids.append(stem)
            continue
        parts = [part for part in PurePath(name).with_suffix("").parts if part.strip("./\\")]
        wanted = "-".join(parts)[-_LONGEST_ID:]
        found = next(each for each in chain([wanted], (f"{wanted}-{n}" for n in naturals(2))) if each not in taken)
        taken.add(found)
        ids.append(found)
    return ids
