"""Many requests as units that are made once: named by their content, ordered by what they read, split into shards."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from PIL.Image import Image

from triptych.errors import RequestError, TriptychError
from triptych.files import parse_json, read_text, text_lines
from triptych.images import load_image
from triptych.page import Page
from triptych.pagefile import confined_path, page_from_record
from triptych.sampling.inputs import Inputs
from triptych.sampling.request import Request

__all__ = ["Source", "Unit", "read_requests", "shard_of", "units_of"]

_NAME_CHARS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One line of a file or one page of a set; `read` gives its request, reading its pictures each time."""

    line: int
    """From 1."""
    read: Callable[[], Request]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One result of one request. Units of equal names make equal pictures."""

    source: Source
    seed: int
    name: str
    """Digest of all that decides the pictures."""
    files: tuple[str, ...]
    """One a slot."""
    order: tuple[str, ...]
    """Equal for units that read the same conditions and examples with the same backbone and skills."""

    @property
    def request(self) -> Request:
        """With its pictures read."""
        return replace(self.source.read(), seed=self.seed, number=1)

    @property
    def backbone(self) -> str:
        """The name of the backbone that makes it; units in `order` have those of one backbone together."""
        return self.order[0]

    def is_made(self, folder: Path) -> bool:
        """Whether all its pictures are there."""
        return all((folder / file).is_file() for file in self.files)


def read_requests(path: Path) -> list[Source]:
    """The lines of a JSONL file: requests in their published form, or pages as page files say them.

    Images are data URIs, or paths relative to the file that stay in its folder. Lines are read when their requests are
    asked for, and only then is an error in one raised.
    """
    text = read_text(path, error=RequestError)
    sources = [Source(line=number, read=_reader(path, number, line)) for number, line in text_lines(text)]
    if not sources:
        raise RequestError(f"{path} has no requests; write one per line.")
    return sources


def _reader(path: Path, number: int, line: str) -> Callable[[], Request]:
    where = f"{path}, line {number}"

    def resolve(name: str) -> Image:
        return load_image(confined_path(path.parent, name, where))

    def read() -> Request:
        try:
            data: Any = parse_json(line)
        except ValueError as error:
            raise RequestError(f"{where} is not valid JSON: {error}.") from error
        try:
            if isinstance(data, dict) and "panels" in data:
                return Request(page=page_from_record(data, resolve).without_answers())
            return _asked(Request.from_record(data, resolve=resolve))
        except TriptychError as error:
            raise type(error)(str(error) if where in str(error) else f"{where}: {error}") from error

    return read


def _asked(request: Request) -> Request:
    return replace(request, page=request.page.without_answers())


def units_of(source: Source, *, step_cache: str | None = None) -> Iterator[Unit]:
    """A unit for each result that the request asks for, by an engine with that step cache.

    Raises what is wrong with the line.
    """
    for each in source.read().each():
        inputs = Inputs()
        record = each.record(inputs.encode)
        name = _digest(record | _beside(each, step_cache))
        count = len(each.page.slots)
        yield Unit(
            source=source,
            seed=each.seed,
            name=name,
            files=tuple(f"{name}-{number}.png" for number in range(1, count + 1)),
            order=(each.backbone, _digest(record["skills"]), _digest(_what_is_read(each.page, record["page"]))),
        )


def _beside(request: Request, step_cache: str | None) -> dict[str, Any]:
    """What decides the pictures and is not in the request's record: skill files may be trained anew."""
    files = {use.name: _file_digest(Path(use.name)) for use in request.skills if Path(use.name).is_file()}
    return ({"skill_files": files} if files else {}) | ({"step_cache": step_cache} if step_cache else {})


def _file_digest(path: Path) -> str:
    facts = path.stat()
    return _digest_of_state(str(path.resolve()), facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=256)
def _digest_of_state(path: str, _size: int, _mtime_ns: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _what_is_read(page: Page, record: dict[str, Any]) -> list[Any]:
    panels = [entry for panel, entry in zip(page.panels, record["panels"], strict=True) if not panel.is_slot]
    return [record.get("context"), panels]


def shard_of(units: Sequence[Unit], number: int, count: int) -> list[Unit]:
    """The units of one shard (from 1) of `count`, those that read the same side by side; equal names appear once.

    Every shard sees the same order, so together they are all units, and as few contexts as can be are read twice.
    """
    if not 1 <= number <= count:
        raise RequestError(f"shard {number}/{count}: shards are counted from 1 to {count}.")
    unique = {unit.name: unit for unit in reversed(units)}
    ordered = sorted(unique.values(), key=lambda unit: (unit.order, unit.source.line, unit.seed))
    return ordered[len(ordered) * (number - 1) // count : len(ordered) * number // count]


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_NAME_CHARS]
