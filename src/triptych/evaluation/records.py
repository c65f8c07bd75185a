"""Scores on disk: one line a page, so that a stopped evaluation goes on where it was."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from triptych.errors import OutputError, SourceError
from triptych.evaluation.suites import Suite
from triptych.files import parse_json, read_json, text_lines, write_atomic
from triptych.leftovers import remove_leftovers
from triptych.models.backbone import Conditioning

__all__ = ["PageScores", "RunFolder", "Settings", "Shown", "ShownPicture"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


_Form = TypeVar("_Form", bound=_Strict)


class Settings(_Strict):
    """What decides the scores; a folder holds one run only."""

    suite: Suite
    seed: int
    backbone: str
    weights: str
    """Digest of the transformer's weights; at a server nobody knows them."""
    skill: str | None
    steps: int | None
    """None where a server decides."""
    conditioning: Conditioning
    source: str
    """Where pages came from: the sprites, or a page set."""


class PageScores(_Strict):
    """One page's figures, for each arm and each baseline by name."""

    page: str
    group: str
    rule: str | None
    scores: Mapping[str, Mapping[str, float | None]]

    def value(self, arm: str, figure: str) -> float:
        """NaN where the page has no such figure."""
        found = self.scores.get(arm, {}).get(figure)
        return math.nan if found is None else found


class ShownPicture(_Strict):
    """A picture as a data URI, and its words."""

    picture: str
    words: str = ""


class Shown(_Strict):
    """A page kept with its pictures for the report."""

    page: str
    rule: str | None
    overview: str
    arm: str
    examples: tuple[ShownPicture, ...]
    given: tuple[ShownPicture, ...]
    answers: tuple[ShownPicture, ...]
    pictures: tuple[ShownPicture, ...]


_FOLDERS = ("rows", "shown")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """`settings.json`, and for each row `rows/NAME.jsonl` and `shown/NAME.jsonl`."""

    path: Path

    def begin(self, settings: Settings) -> None:
        """Write the settings, or check that they are those of the run that is there. Raises OutputError."""
        file = self.path / "settings.json"
        text = settings.model_dump_json(indent=1)
        for folder in (self.path, *(self.path / name for name in _FOLDERS)):
            remove_leftovers(folder)
        if not file.exists():
            self.check_free()
            try:
                for name in _FOLDERS:
                    (self.path / name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise OutputError(f"{self.path} cannot be made: {error.strerror}. Choose another folder.") from error
            write_atomic(file, text.encode())
            return
        there = self.settings()
        differ = [name for name in Settings.model_fields if getattr(there, name) != getattr(settings, name)]
        if differ:
            raise OutputError(
                f"{self.path} holds another run: it differs in {', '.join(differ)}. Choose another folder or remove it."
            )

    def check_free(self) -> None:
        """Raise OutputError where the folder holds other files, and no run that could go on."""
        if (self.path / "settings.json").exists():
            return
        # Empty folders are those of a run that was killed before its first file.
        if any(not path.is_dir() for path in self.path.rglob("*")):
            raise OutputError(f"{self.path} holds other files and no evaluation. Choose another folder.")

    def settings(self) -> Settings:
        """Of the run in the folder. Raises SourceError where there is none."""
        file = self.path / "settings.json"
        if not file.exists():
            raise SourceError(f"{self.path} holds no evaluation; run `triptych evaluate` with --out first.")
        try:
            return Settings.model_validate(read_json(file, error=SourceError))
        except ValidationError as error:
            raise SourceError(f"{file} cannot be read: {error}") from error

    def scores(self, row: str) -> dict[str, PageScores]:
        """Pages of a row by key, in the order they were scored; a line cut short by a crash is left out."""
        return {entry.page: entry for entry in self._lines("rows", row, PageScores)}

    def shown(self, row: str) -> list[Shown]:
        return list({(entry.page, entry.arm): entry for entry in self._lines("shown", row, Shown)}.values())

    def add(self, row: str, scores: Sequence[PageScores], shown: Sequence[Shown] = ()) -> None:
        """Append pages; the pictures first, so that a scored page is never without its picture."""
        self._append("shown", row, shown)
        self._append("rows", row, scores)

    def _lines(self, kind: str, row: str, form: type[_Form]) -> Iterator[_Form]:
        file = self.path / kind / f"{row}.jsonl"
        if not file.exists():
            return
        for _, line in text_lines(_whole_lines(file)):
            try:
                yield form.model_validate(parse_json(line))
            except (ValueError, ValidationError):
                continue

    def _append(self, kind: str, row: str, entries: Sequence[BaseModel]) -> None:
        if not entries:
            return
        file = self.path / kind / f"{row}.jsonl"
        cut = file.exists() and not file.read_bytes().endswith(b"\n")
        try:
            with file.open("a", encoding="utf-8") as stream:
                stream.write("\n" * cut + "".join(entry.model_dump_json() + "\n" for entry in entries))
        except OSError as error:
            raise OutputError(f"{file} cannot be written: {error.strerror}. Free some space and run again.") from error


def _whole_lines(file: Path) -> str:
    """The lines that were written to their ends: a crash may cut the last within a character."""
    return file.read_bytes().rpartition(b"\n")[0].decode("utf-8", errors="replace")
