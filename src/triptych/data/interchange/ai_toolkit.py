"""ai-toolkit: a folder of targets with .txt captions, and a folder of equal names for each condition."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path

import yaml

from triptych.data.folders import in_order, note_unread, some
from triptych.data.importing import pictures_by_name
from triptych.data.interchange.rows import listed, load_images, page_of, rows_of, save_picture
from triptych.data.lazy import LazyPages
from triptych.data.wording import CAPTIONS, Labels, Wording
from triptych.errors import PageError, SourceError
from triptych.files import new_folder, read_yaml, write_atomic
from triptych.page import Page

__all__ = ["read", "write"]

_TARGETS, _CONTROL, _MOST = "targets", "control_{}", 3


def write(pages: Iterable[Page], folder: Path) -> None:
    """Write `targets/`, `control_1/`..., and `dataset.yaml` with the entry for `datasets:` of a training config."""
    counts: set[int] = set()
    with new_folder(folder) as out:
        for row in rows_of(pages):
            counts.add(len(row.conditions))
            save_picture(row.answer, out, f"{_TARGETS}/{row.name}.png")
            write_atomic(out / _TARGETS / f"{row.name}.txt", row.text.encode())
            for number, image in enumerate(row.conditions, 1):
                save_picture(image, out, f"{_CONTROL.format(number)}/{row.name}.png")
        if len(counts) > 1 or max(counts, default=0) > _MOST:
            raise PageError(
                f"pages have {sorted(counts)} conditions; ai-toolkit wants the same number on all, at most {_MOST}."
            )
        controls = [str(folder.resolve() / _CONTROL.format(number + 1)) for number in range(max(counts, default=0))]
        entry = {"folder_path": str(folder.resolve() / _TARGETS), "control_path": controls, "caption_ext": "txt"}
        write_atomic(out / "dataset.yaml", yaml.safe_dump([entry], sort_keys=False).encode())


def read(folder: Path, wording: Wording | None = None) -> LazyPages:
    """Pages from `targets/` and `control*/`, or from the folders that `dataset.yaml` names, in the order of names.

    Pictures of any format that is read; a target finds its controls by its name without the ending.
    """
    targets, controls, ending = _folders(folder)
    said = wording or Wording()
    labels = Labels(replace(said, endings=(ending, *said.endings)))
    places = [(control, pictures_by_name(control)) for control in controls]
    found = pictures_by_name(targets)
    for control, pictures in places:
        if alone := [name for name in found if name not in pictures]:
            raise SourceError(f"{control} has no picture for {some(alone)} of {targets}; give one each.")

    def maker(stem: str, path: Path) -> Callable[[], Page]:
        given = [pictures[stem] for _, pictures in places]
        words = labels.of((labels.wording.beside(path),), stem, partial(load_images, [*given, path]))
        return lambda: page_of(stem, given, words(), [path])

    makers = [maker(stem, path) for stem, path in found.items()]
    labels.note(targets)
    note_unread(folder, [*found.values(), *(pictures[stem] for _, pictures in places for stem in found)])
    return LazyPages(makers, unlabelled=labels.unlabelled)


def _folders(folder: Path) -> tuple[Path, list[Path], str]:
    """The folder of targets, those of conditions, and the ending of captions."""
    config = folder / "dataset.yaml"
    if not config.is_file():
        targets = folder / _TARGETS
        controls = [path for path in folder.glob("control*") if path.is_dir()]
        return (targets if targets.is_dir() else folder), sorted(controls, key=in_order), CAPTIONS[0]
    data = read_yaml(config, error=PageError)
    entry = data[0] if isinstance(data, list) and len(data) == 1 else data
    if not isinstance(entry, dict) or not isinstance(entry.get("folder_path"), str):
        raise PageError(f"{config} needs one entry with folder_path, as under `datasets:` of a training config.")
    controls = listed(entry.get("control_path"), str(config))
    ending = "." + str(entry.get("caption_ext", "txt")).removeprefix(".")
    return _inside(folder, entry["folder_path"]), [_inside(folder, name) for name in controls], ending


def _inside(folder: Path, name: str) -> Path:
    """A folder of the config, also where the whole set was moved since."""
    named = folder / name
    return named if named.resolve().is_relative_to(folder.resolve()) else folder / Path(name).name
