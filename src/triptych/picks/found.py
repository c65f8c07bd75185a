"""Results as they lie in a folder, counted from 1, and what somebody says of them by their numbers."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL.Image import Image

from triptych.data.folders import in_order
from triptych.errors import ImageError, PickError
from triptych.images import load_answer, read_png_text
from triptych.picks.pick import Verdict, pick_id
from triptych.picks.store import Shown
from triptych.sampling.record import KEY, Recorded, read_record
from triptych.sampling.request import Request

__all__ = ["Found", "find_results", "judged", "parse_numbers"]

_REST = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One result in files: what asked for it, and its pictures, one a slot."""

    request: Request
    paths: tuple[Path, ...]
    images: tuple[Image, ...]
    made_by: str
    group: str
    """Equal for results of one request."""

    @property
    def name(self) -> str:
        """As people know it: the name of its first picture."""
        return self.paths[0].name


def find_results(places: Sequence[Path], *, inputs: Sequence[Path] = ()) -> tuple[Found, ...]:
    """The results in folders and PNG files, those of a folder in the order of their names, numbers read as numbers.

    Pictures in a folder that do not say how they were made are passed over. Raises ImageError for a file that was
    named and does not say it, and PickError where there is nothing, or a result lacks the picture of a slot.
    """
    parts: dict[tuple[str, int, str], dict[int, tuple[Path, Recorded]]] = {}
    for path, is_named in _pngs(places):
        if not is_named and KEY not in _text(path):
            continue
        recorded = read_record(path, inputs=inputs)
        stem = re.sub(rf"-{recorded.slot}$", "", path.stem)
        key = (pick_id(recorded.request), recorded.request.seed, f"{path.parent}/{stem}")
        parts.setdefault(key, {})[recorded.slot] = path, recorded
    if not parts:
        told = ", ".join(map(str, places))
        raise PickError(f"{told} has no pictures that say how they were made. Make some with `triptych generate`.")
    return tuple(_found(group, slots) for (group, _, _), slots in parts.items())


def _found(group: str, slots: dict[int, tuple[Path, Recorded]]) -> Found:
    first, recorded = next(iter(slots.values()))
    wanted = len(recorded.request.page.slots)
    missing = [number for number in range(1, wanted + 1) if number not in slots]
    if missing:
        raise PickError(
            f"{first} is one of {wanted} pictures of a result; that of slot {missing[0]} is not beside it. "
            "Name the folder, or all pictures of the result."
        )
    paths = tuple(slots[number][0] for number in range(1, wanted + 1))
    return Found(
        request=recorded.request,
        paths=paths,
        images=tuple(load_answer(path) for path in paths),
        made_by=f"triptych {recorded.version}",
        group=group,
    )


def _pngs(places: Sequence[Path]) -> list[tuple[Path, bool]]:
    """Every PNG file, and whether it was named itself."""
    found: list[tuple[Path, bool]] = []
    for place in places:
        if place.is_dir():
            found += [(path, False) for path in sorted(place.glob("*.png"), key=in_order)]
        elif place.is_file():
            found.append((place, True))
        else:
            raise PickError(f"{place} does not exist. Name a folder of results, or their PNG files.")
    return list(dict(found).items())


def _text(path: Path) -> dict[str, str]:
    try:
        return read_png_text(path)
    except ImageError:
        return {}


def parse_numbers(text: str | None, count: int, option: str) -> frozenset[int] | None:
    """`1,3-5` as numbers from 1 to `count`; None for `rest`. Raises PickError naming the option."""
    if text is None:
        return frozenset()
    if text.strip() == _REST:
        return None
    numbers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,6})(?:\s*-\s*(\d{1,6}))?\s*", part)
        if match is None:
            raise PickError(f"{option} {text!r} is not a list of numbers. Write 3, or 1,2, or 1-4, or rest.")
        first = int(match[1])
        last = int(match[2] or first)
        if not 1 <= first <= last <= count:
            raise PickError(f"{option} {part.strip()}: there are {count} results, counted from 1.")
        numbers.update(range(first, last + 1))
    return frozenset(numbers)


def judged(results: Sequence[Found], *, keep: str | None, reject: str | None) -> tuple[Shown, ...]:
    """What is said of each result by its number; those beside it that nothing is said of are unseen.

    Results of requests of which nothing is said are left out. Raises PickError where a number is wrong or said twice.
    """
    count = len(results)
    kept, rejected = parse_numbers(keep, count, "--keep"), parse_numbers(reject, count, "--reject")
    if kept is None and rejected is None:
        raise PickError("--keep rest and --reject rest exclude each other. Name the numbers of one.")
    every = frozenset(range(1, count + 1))
    kept = every - (rejected or frozenset()) if kept is None else kept
    rejected = every - kept if rejected is None else rejected
    if both := sorted(kept & rejected):
        raise PickError(f"result {both[0]} is kept and rejected at once. Leave it out of one of the two.")
    touched = {results[number - 1].group for number in kept | rejected}
    return tuple(
        Shown(
            request=result.request,
            images=result.images,
            verdict=Verdict.KEPT if n in kept else Verdict.REJECTED if n in rejected else Verdict.UNSEEN,
        )
        for n, result in enumerate(results, 1)
        if result.group in touched
    )
