"""The studio's data folder: where things are, and that only one studio works in it."""

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from triptych.files import write_atomic
from triptych.studio.errors import StudioError

__all__ = ["DataFolder", "default_folder"]


def default_folder() -> Path:
    """The user's own: XDG_DATA_HOME/triptych/studio, or ~/.local/share/triptych/studio."""
    home = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(home).expanduser() / "triptych" / "studio"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFolder:
    """Everything that the studio keeps is below `root`."""

    root: Path

    @property
    def database(self) -> Path:
        return self.root / "studio.sqlite"

    @property
    def skills(self) -> Path:
        return self.root / "skills"

    @property
    def runs(self) -> Path:
        """Trainings: checkpoints, samples, logs."""
        return self.root / "runs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def pagesets(self) -> Path:
        return self.root / "pagesets"

    @property
    def exports(self) -> Path:
        return self.root / "exports"

    def taught(self, skill: str) -> Path:
        """The page set that taught a skill of the shelf; there is none for skills from elsewhere."""
        return self.runs / skill / "pages"

    @property
    def log(self) -> Path:
        return self.root / "worker.log"

    def make(self) -> None:
        """Raises StudioError where it cannot be written."""
        try:
            for folder in (self.root, self.skills, self.runs, self.reports, self.pagesets, self.exports):
                folder.mkdir(parents=True, exist_ok=True)
            if os.name == "posix":
                self.root.chmod(0o700)
        except OSError as error:
            raise StudioError(
                f"{self.root} cannot be written: {error.strerror}. Name another folder with --data.",
                code="store",
                status=500,
            ) from error

    def running(self) -> str | None:
        """The address of the studio that works in this folder; None where none does."""
        try:
            with self.locked(""):
                return None
        except StudioError:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                return json.loads((self.root / "address.json").read_text(encoding="utf-8")).get("url") or ""
            return ""

    @contextlib.contextmanager
    def locked(self, url: str) -> Iterator[None]:
        """Hold the folder. Raises StudioError where another studio holds it; a dead one holds nothing."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("a+b") as file:
            try:
                _lock(file.fileno())
            except OSError:
                raise StudioError(
                    f"another studio works in {self.root}. Use that one, stop it, or name another folder with --data.",
                    code="locked",
                    status=409,
                ) from None
            if url:
                write_atomic(self.root / "address.json", json.dumps({"url": url, "pid": os.getpid()}).encode())
            yield


def _lock(handle: int) -> None:
    if os.name == "nt":
        import msvcrt

        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
