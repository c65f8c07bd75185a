"""Console output: results on stdout, everything else on stderr."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from triptych.events import Event, Phase, Step, Warning

__all__ = [
    "advance",
    "complain",
    "counted",
    "follow",
    "out",
    "progress",
    "remarks",
    "said_once",
    "say",
    "table",
    "working",
]

_err = Console(stderr=True, highlight=False, soft_wrap=True)


def out(text: str, to: TextIO | None = None) -> None:
    """One line of a command's result, unformatted, for scripts to read; None is stdout."""
    # Not rich: it would wrap, and colour brackets.
    stream = to or sys.stdout
    try:
        print(text, file=stream)
    except UnicodeEncodeError:
        # A terminal or a pipe in ASCII: letters that it lacks are escaped.
        encoding = stream.encoding or "ascii"
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns on stdout, two spaces apart."""
    lines = [list(headers), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headers))]
    for line in lines:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def counted(number: int, thing: str) -> str:
    """`1 step`, `8 steps`."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def say(text: str) -> None:
    """A remark for a person."""
    _err.print(text, markup=False, style="dim")


class _Remarks(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


class _Once(logging.Filter):
    """Lets each text through once."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        is_new = text not in self._seen
        self._seen.add(text)
        return is_new


@contextmanager
def said_once() -> Iterator[None]:
    """Inside the `with`, what modules log is said once, however often they log it."""
    once, handlers = _Once(), logging.getLogger("triptych").handlers
    for handler in handlers:
        handler.addFilter(once)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(once)


def remarks() -> logging.Handler:
    """A handler that says what modules log."""
    return _Remarks()


def complain(text: str) -> None:
    """What went wrong."""
    _err.print(f"error: {text}", markup=False, style="bold red" if _err.is_terminal else "")


@contextmanager
def working(text: str) -> Iterator[None]:
    """A spinner while something of unknown length runs."""
    with _err.status(text):
        yield


def advance(bar: Progress, event: Event) -> None:
    """Move a bar of `progress` on by what happened."""
    match event:
        case Step():
            bar.advance(bar.task_ids[0])
        case Warning():
            bar.console.print(event.text, markup=False, style="dim")


def warn(event: Event) -> None:
    """Say a warning; other events are passed over."""
    if isinstance(event, Warning):
        say(event.text)


def follow(bar: Progress, event: Event) -> None:
    """Show what happened on a bar of `progress`: the phase, and how far it is."""
    match event:
        case Phase():
            bar.reset(bar.task_ids[0], description=event.name, total=event.steps)
        case Step():
            bar.update(bar.task_ids[0], completed=event.step, total=event.steps)
        case Warning():
            bar.console.print(event.text, markup=False, style="dim")


@contextmanager
def progress(text: str, total: int) -> Iterator[Progress]:
    """A bar with the count and the time left; its only task is `progress.tasks[0]`."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=_err, transient=True, disable=not _err.is_terminal) as bar:
        bar.add_task(text, total=total)
        yield bar
