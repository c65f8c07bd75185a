"""Who may write to a run: one process at a time, and never over a finished skill unless asked to."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from triptych.data.pagesets import METADATA
from triptych.errors import OutputError, TrainingError
from triptych.files import read_json, write_atomic
from triptych.training.checkpoint import newest_checkpoint

__all__ = [
    "CHECKPOINTS",
    "begun_with",
    "can_resume",
    "check_out",
    "claimed",
    "claimed_folder",
    "note_pages",
    "noted_pages",
    "run_folder",
]

CHECKPOINTS = "checkpoints"
_LOCK = "run.lock"
_PAGES = "pages.json"


def run_folder(out: Path) -> Path:
    """Where a run to `out` keeps checkpoints, caches, samples and its log."""
    return out.with_name(f"{out.stem}.run")


def note_pages(run: Path, pages: Path) -> None:
    """Note beside a run which page set it learns from, so that a later training finds it."""
    write_atomic(run / _PAGES, json.dumps({"pageset": str(pages.resolve())}).encode())


def noted_pages(skill: Path) -> Path | None:
    """The page set that taught the skill in a file, where its run says so and it is still there."""
    noted = run_folder(skill) / _PAGES
    if not noted.is_file():
        return None
    data = read_json(noted, error=TrainingError)
    folder = Path(str(data.get("pageset", ""))) if isinstance(data, dict) else Path()
    return folder if (folder / METADATA).is_file() else None


def can_resume(out: Path) -> bool:
    """Whether a run to `out` has a checkpoint. Raises TrainingError where all of them are damaged."""
    return newest_checkpoint(run_folder(out) / CHECKPOINTS)[0] is not None


def check_out(out: Path, *, resume: bool, overwrite: bool) -> None:
    """Raise TrainingError where a run to `out` would overwrite another, or there is nothing to resume."""
    if overwrite and resume:
        raise TrainingError("a run is either resumed or started over: give --resume or --overwrite, not both.")
    if overwrite:
        return
    folder = run_folder(out)
    checkpoint, _ = newest_checkpoint(folder / CHECKPOINTS)
    if resume and checkpoint is None:
        raise TrainingError(f"{folder} has no checkpoint, so there is nothing to resume. {_instead(out)}")
    if checkpoint is not None and not resume:
        raise TrainingError(
            f"{folder} has a run of {checkpoint.step} steps. Continue it with --resume, train it longer with "
            "--more-steps, start over with --overwrite, or choose another --out."
        )
    if checkpoint is None and out.exists():
        raise TrainingError(f"{out} already exists. Choose another --out, or replace it with --overwrite.")


def _instead(out: Path) -> str:
    """What to do where a run cannot be continued."""
    begin = "Leave out --resume and --more-steps to begin"
    return f"{begin}, with --from {out} and another --out to continue from that skill." if out.exists() else f"{begin}."


def begun_with(out: Path) -> dict[str, Any]:
    """What decides the weights of the run to `out`, as its recipe's values by dotted key; nothing where none began."""
    checkpoint, _ = newest_checkpoint(run_folder(out) / CHECKPOINTS)
    return {} if checkpoint is None else checkpoint.identity.values()


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Inside the `with`, no other process trains to `out`; what an earlier one left unfinished is removed.

    The lock is the operating system's: a killed run leaves none behind. Raises TrainingError where another has it.
    """
    with claimed_folder(run_folder(out), out=out):
        _sweep(out.parent.glob(f".{out.name[:100]}.*.tmp"))
        yield


@contextmanager
def claimed_folder(folder: Path, *, out: Path | None = None) -> Iterator[None]:
    """As `claimed`, for a run that is its folder; `out` is what messages name instead of it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK, blocking=False)
        lock.acquire()
    except Timeout:
        raise TrainingError(
            f"another training to {out or folder} is running. Wait for it, or choose another place."
        ) from None
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}. Choose another place.") from error
    try:
        _sweep(folder.rglob(".*.tmp"))
        yield
    finally:
        lock.release()


def _sweep(temporary: Iterable[Path]) -> None:
    """Remove temporary files of runs that were killed while writing.

    No matter how young they are: who holds the lock knows that their owners are dead.
    """
    for left in list(temporary):
        with contextlib.suppress(OSError):
            left.unlink()
