"""Picks on disk: `picks.jsonl`, to which lines are only ever added, and the pictures beside it by what they hold."""

import datetime
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout
from PIL.Image import Image

from triptych.errors import OutputError, PickError
from triptych.files import parse_json, read_text, text_lines, write_atomic
from triptych.images import bare_bytes, picture_format
from triptych.picks.pick import Line, Outcome, Pick, Verdict, checked_line, judged_page, pick_id
from triptych.sampling.request import Request
from triptych.version import __version__

__all__ = ["FILE", "PICTURES", "Shown", "add_picks", "load_picks", "picks_path"]

FILE = "picks.jsonl"
PICTURES = "picks"
"""Folder of the pictures, beside the file."""
_LOCK_S = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A result that somebody saw: the request that made it alone, its pictures, and what was said."""

    request: Request
    images: tuple[Image, ...]
    verdict: Verdict
    has_seed: bool = True
    """Whether the request's seed is known to have made it."""


def picks_path(place: str | Path) -> Path:
    """The file of picks that a folder or the file itself names."""
    path = Path(place)
    return path if path.suffix == ".jsonl" else path / FILE


def load_picks(place: str | Path, *, first_bytes: int | None = None) -> tuple[Pick, ...]:
    """Every pick in the order in which they were first made, the last word on each result counting.

    `first_bytes` reads the file as it was when it had so many: it only grows, but for hands that edit it.
    A last line that a killed process left unfinished is left out, which is logged. Raises PickError naming file and
    line.
    """
    path = picks_path(place)
    if not path.is_file():
        raise PickError(
            f"there are no picks at {path}. Record some with `triptych pick out --keep 1`, or check the path."
        )
    text = read_text(path, error=PickError)
    if first_bytes is not None:
        text = text.encode()[:first_bytes].decode(errors="ignore")
    picks: dict[str, Pick] = {}
    rows = list(text_lines(text))
    for number, row in rows:
        where = f"{path}, line {number}"
        try:
            data = parse_json(row)
        except ValueError as error:
            if number == rows[-1][0] and not text.endswith("\n"):
                _log.warning("%s is unfinished, as a killed process leaves it; it is left out.", where)
                continue
            raise PickError(f"{where} is not valid JSON: {error}.") from error
        line = checked_line(data, where)
        picks[line.pick_id] = _joined(picks.get(line.pick_id), line, path.parent)
    return tuple(picks.values())


def add_picks(place: str | Path, shown: Sequence[Shown], *, made_by: str = "") -> tuple[str, ...]:
    """Add what somebody said of results, all or nothing; notes on results of which something else was said before.

    Nothing that was recorded is ever removed: the file keeps every line, and readers take the last word. Processes and
    threads may add at once. Raises OutputError where it cannot be written, and PickError for a file of picks that
    cannot be read.
    """
    path = picks_path(place)
    groups: dict[str, list[Shown]] = {}
    for one in shown:
        groups.setdefault(pick_id(one.request), []).append(one)
    with _locked(path):
        before = {pick.pick_id: pick for pick in load_picks(path)} if path.is_file() else {}
        lines, notes = [], []
        for key, group in groups.items():
            line = _line(key, group, path.parent, made_by)
            notes += _changes(before.get(key), line)
            lines.append(line)
        _append(path, [line.model_dump_json() for line in lines])
    return tuple(notes)


def _line(key: str, group: Sequence[Shown], folder: Path, made_by: str) -> Line:
    """The line of results of one request; their pictures are written first, so that no line names one in vain."""

    def keep(image: Image) -> str:
        data = bare_bytes(image)
        ending = {"JPEG": "jpg"}.get(kind := picture_format(data), kind.lower())
        name = f"{PICTURES}/{hashlib.sha256(data).hexdigest()}.{ending}"
        if not (folder / name).is_file():
            write_atomic(folder / name, data)
        return name

    first = group[0].request
    page = judged_page(first.page.without_answers(), [(one.verdict, one.images) for one in group])
    asked = replace(first, page=page, number=1)
    return Line(
        pick_id=key,
        when=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        made_by=made_by or f"triptych {__version__}",
        request=json.loads(json.dumps(asked.record(keep))),
        results=tuple(
            Outcome(
                seed=one.request.seed if one.has_seed else None,
                verdict=one.verdict,
                pictures=tuple(keep(image) for image in one.images),
            )
            for one in group
        ),
    )


def _joined(before: Pick | None, line: Line, folder: Path) -> Pick:
    """What was said so far with one more line, which has the last word."""
    results = {_key(result): result for result in before.results} if before else {}
    for result in line.results:
        results[_key(result)] = result
    return Pick(
        pick_id=line.pick_id,
        when=line.when,
        made_by=line.made_by,
        folder=folder,
        data=before.data if before else line.request,
        results=tuple(results.values()),
    )


def _key(result: Outcome) -> tuple[object, ...]:
    return result.seed, result.pictures


def _changes(before: Pick | None, line: Line) -> Iterator[str]:
    known = {_key(result): result.verdict for result in before.results} if before else {}
    for result in line.results:
        old = known.get(_key(result))
        if old is not None and before is not None:
            name = "the result" if result.seed is None else f"seed {result.seed}"
            so = "again" if old is result.verdict else f"in place of {old.value}"
            yield f"{name} is {result.verdict.value} {so} (before: {before.when})."


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One writer at a time; the lock is the operating system's, so a killed process leaves none behind."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=_LOCK_S):
            yield
    except Timeout:
        raise OutputError(f"{path} is being written by another process. Try again.") from None
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}. Choose another folder.") from error


def _append(path: Path, rows: Sequence[str]) -> None:
    """Add lines, or leave the file as it was."""
    data = "".join(f"{row}\n" for row in rows).encode()
    _finish_last_line(path)
    with path.open("ab") as file:
        size = file.tell()
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            os.truncate(path, size)
            raise


def _finish_last_line(path: Path) -> None:
    """End a last line without end; half a line, as a killed process leaves it, is moved to a file of its own."""
    data = path.read_bytes() if path.is_file() else b""
    if not data or data.endswith(b"\n"):
        return
    whole, _, last = data.rpartition(b"\n")
    try:
        parse_json(last.decode())
    except ValueError:
        write_atomic(path.with_name(f"{path.name}.unfinished"), last)
        os.truncate(path, len(whole) + 1 if whole else 0)
    else:
        with path.open("ab") as file:
            file.write(b"\n")
