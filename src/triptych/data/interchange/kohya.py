"""kohya's sd-scripts: folders of pictures with captions, `10_name/` each, or what a dataset TOML names."""

import logging
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from triptych.data.folders import find_pictures, in_order, note_unread, some
from triptych.data.importing import pictures_by_name
from triptych.data.interchange.rows import (
    load_images,
    name_below,
    page_of,
    picture_at,
    rows_of,
    save_picture,
    toml_text,
)
from triptych.data.lazy import LazyPages, distinct_ids
from triptych.data.wording import CAPTIONS, Labels, Wording
from triptych.errors import PageError, SourceError
from triptych.files import new_folder, read_text, write_atomic
from triptych.page import Page

__all__ = ["read", "write"]

_IMAGES, _CONTROL, _CONFIG = "images", "conditioning", "dataset.toml"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subset:
    images: Path
    control: Path | None = None
    ending: str = CAPTIONS[0]
    caption: str = ""
    """What pictures without a text are called: `class_tokens`, or the name of a `10_name` folder."""


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write `images/` with .txt captions, `conditioning/`, and `dataset.toml`, for pages of at most one condition."""
    home, counts = folder.resolve().as_posix(), set[int]()
    with new_folder(folder) as out:
        for row in rows_of(pages):
            counts.add(len(row.conditions))
            if len(counts) > 1 or max(counts) > 1:
                raise PageError(f"{row.name}: kohya's scripts take one condition on all pages, or none on any.")
            save_picture(row.answer, out, f"{_IMAGES}/{row.name}.png")
            write_atomic(out / _IMAGES / f"{row.name}.txt", row.text.encode())
            for image in row.conditions:
                save_picture(image, out, f"{_CONTROL}/{row.name}.png")
        lines = [
            "[[datasets]]",
            "[[datasets.subsets]]",
            f"image_dir = {toml_text(f'{home}/{_IMAGES}')}",
            'caption_extension = ".txt"',
        ]
        if counts == {1}:
            lines.append(f"conditioning_data_dir = {toml_text(f'{home}/{_CONTROL}')}")
        write_atomic(out / _CONFIG, ("\n".join(lines) + "\n").encode())


def read(folder: Path, wording: Wording | None = None) -> LazyPages:
    """Pages of the subsets that a TOML file in `folder` names, or of its `10_name` folders, or of its own pictures.

    Pages have one slot, and one condition where there is a `conditioning_data_dir`. The words of pictures without a
    text are `class_tokens`, or the name of the folder, before those of `wording`.
    """
    said, subsets = wording or Wording(), list(_subsets(folder))
    found: list[tuple[Path, list[Path], Callable[[], str]]] = []
    unlabelled: list[str] = []
    for subset in subsets:
        template = subset.caption or said.template
        labels = Labels(replace(said, template=template, endings=(subset.ending, *said.endings)))
        controls = pictures_by_name(subset.control) if subset.control else {}
        pictures = pictures_by_name(subset.images)
        if subset.control and (alone := [name for name in pictures if name not in controls]):
            raise SourceError(f"{subset.control} has no picture for {some(alone)} of {subset.images}; give one each.")
        for stem, path in pictures.items():
            given = [controls[stem]] if subset.control else []
            texts, pictures_of = (labels.wording.beside(path),), partial(load_images, [*given, path])
            found.append((path, given, labels.of(texts, stem, pictures_of)))
        labels.note(subset.images)
        unlabelled += labels.unlabelled
    note_unread(folder, [picture for path, given, _ in found for picture in (path, *given)])
    ids = distinct_ids([name_below(folder, path) for path, *_ in found])
    makers = [_maker(page_id, *facts) for page_id, facts in zip(ids, found, strict=True)]
    return LazyPages(makers, unlabelled=unlabelled)


def _maker(page_id: str, path: Path, given: list[Path], words: Callable[[], str]) -> Callable[[], Page]:
    return lambda: page_of(page_id, given, words(), [path])


def _subsets(folder: Path) -> Iterable[_Subset]:
    if configs := sorted(folder.glob("*.toml")):
        if others := [path.name for path in configs[1:]]:
            _log.warning("%s: %s is read; left out: %s.", folder, configs[0].name, some(others))
        yield from _configured(folder, configs[0])
        return
    if not folder.is_dir():
        raise SourceError(f"{folder} is not a folder; name one with pictures or with folders like 10_name.")
    repeated = [path for path in folder.iterdir() if path.is_dir() and path.name.partition("_")[0].isdecimal()]
    if not repeated:
        find_pictures(folder)
        yield _Subset(images=folder)
        return
    for path in sorted(repeated, key=in_order):
        yield _Subset(images=path, caption=path.name.partition("_")[2])


def _configured(folder: Path, config: Path) -> Iterable[_Subset]:
    try:
        data = tomllib.loads(read_text(config, error=PageError))
        general = data.get("general", {})
        for dataset in data["datasets"]:
            for subset in dataset["subsets"]:
                facts = {**general, **dataset, **subset}
                control = facts.get("conditioning_data_dir")
                ending = "." + str(facts.get("caption_extension", ".caption")).removeprefix(".")
                yield _Subset(
                    images=picture_at(folder, str(facts["image_dir"]), str(config)),
                    control=picture_at(folder, str(control), str(config)) if control else None,
                    ending=ending,
                    caption=str(facts.get("class_tokens", "")),
                )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
        raise PageError(f"{config} is not a dataset of kohya's scripts: {error!r}.") from error
