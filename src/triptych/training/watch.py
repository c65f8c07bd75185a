"""What is shown of a run: progress, held-out loss, a growing contact sheet, warnings, and a summary at the end."""

import importlib.util
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from triptych.errors import ImageError
from triptych.events import CancelToken, Event, Step, Warning
from triptych.files import write_atomic
from triptych.images import load_image, opaque, png_bytes
from triptych.models.backbone import Backbone
from triptych.page import Page
from triptych.sampling import generate
from triptych.skill import Skill
from triptych.training.measure import copies
from triptych.training.recipe import Recipe
from triptych.training.summary import summary_text, write_plot
from triptych.training.trend import Trend

__all__ = ["Watcher", "newest_samples"]

_THUMB_PX = 128
_NAME_PX = 72


class Watcher:
    """Writes `log.jsonl`, `contact-sheet.png`, `summary.md` and `loss.png` into the run's folder; only on one process.

    TensorBoard gets the same numbers where it is installed, and trackio too.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, on_event: Callable[[Event[Skill]], None], *, is_main: bool
    ) -> None:
        self._folder, self._recipe, self._on_event, self._is_main = folder, recipe, on_event, is_main
        self._last = Step(step=0, steps=recipe.steps)
        self._trackers = _trackers(folder) if is_main else []
        self._trend = Trend()
        self._is_full = False
        self.steps = recipe.steps
        """Of the whole run, which may be longer than the recipe says."""

    def begin(self) -> None:
        """Forget a run that was killed before its first checkpoint."""
        if self._is_main:
            for name in ("log.jsonl", "contact-sheet.png"):
                (self._folder / name).unlink(missing_ok=True)

    def step(self, step: int, loss: float, *, learning_rate: float, seconds_per_step: float) -> None:
        measures = {**self._last.measures, "loss": loss, "learning_rate": learning_rate}
        left = (self.steps - step) * seconds_per_step
        self._last = Step(step=step, steps=self.steps, measures=measures, seconds_left=left)
        self._log(
            {"step": step, "loss": loss, "learning_rate": learning_rate, "seconds_per_step": round(seconds_per_step, 4)}
        )
        self._tell(self._last)
        if said := self._trend.loss(step, loss):
            self.note(said)

    def held_out(self, step: int, loss: float) -> None:
        self._last = replace(self._last, measures={**self._last.measures, "held_out_loss": loss})
        self._log({"step": step, "held_out_loss": loss})
        self._tell(self._last)
        if said := self._trend.held_out(step, loss):
            self.note(said)

    def measured(self, step: int, measures: Mapping[str, float]) -> None:
        """Report what else was measured at a step."""
        self._last = replace(self._last, measures={**self._last.measures, **measures})
        self._log({"step": step, **measures})
        self._tell(self._last)

    def remark(self, text: str) -> None:
        """Note in the log, and so in the summary, what was to be seen before the first step."""
        self._log({"step": 0, "note": text})

    def note(self, text: str) -> None:
        self._log({"step": self._last.step, "note": text})
        self._tell(Warning(text=text))

    def sample(
        self, step: int, backbone: Backbone, pages: Sequence[Page], training: Sequence[Page], cancel: CancelToken
    ) -> None:
        """One more row of the contact sheet, its pages and seeds always the same; warns of copies.

        Where weights are spread over processes, all of them draw, and one shows.
        """
        shown = list(pages[: self._recipe.watch.samples])
        if not shown:
            return
        for seed in self._recipe.watch.seeds:
            results = generate(
                backbone,
                [_asked(page) for page in shown],
                seed=seed,
                conditioning=self._recipe.conditioning,
                cancel=cancel,
            )
            pictures = [image for result in results for image in result.images]
            if not self._is_main:
                continue
            self._grow(step, pictures, heading=shown)
            for page, result in zip(shown, results, strict=True):
                for what in copies(page, result.images, training):
                    self.note(f"step {step}, page {page.page_id!r}: {what}.")

    def summarise(self, skill: Skill) -> None:
        """Write `summary.md` and `loss.png`."""
        rows = self.rows()
        write_plot(rows, self._folder / "loss.png")
        write_atomic(self._folder / "summary.md", summary_text(skill, rows).encode())

    def rows(self) -> list[dict[str, Any]]:
        """The log so far, in the order of steps; what a killed run had done beyond its last checkpoint appears once."""
        rows: dict[tuple[object, ...], dict[str, Any]] = {}
        path = self._folder / "log.jsonl"
        for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else ():
            try:
                row = json.loads(line)
            except ValueError:
                # A killed run leaves its last line unfinished.
                continue
            rows[(row["step"], *row.keys(), row.get("note"))] = row
        return sorted(rows.values(), key=lambda row: row["step"])

    def _log(self, row: dict[str, Any]) -> None:
        if not self._is_main:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            # A full disk must not end hours of training; it may have room again at the next checkpoint.
            if not self._is_full:
                said = f"log.jsonl cannot be written: {error.strerror or error}. Training continues without it."
                self._tell(Warning(text=said))
            self._is_full = True
        for track in self._trackers:
            track(row)

    def _tell(self, event: Event[Skill]) -> None:
        if self._is_main:
            self._on_event(event)

    def _grow(self, step: int, pictures: Sequence[Image.Image], *, heading: Sequence[Page]) -> None:
        path = self._folder / "contact-sheet.png"
        rows: list[Image.Image] = []
        if path.exists():
            try:
                rows.append(load_image(path))
            except ImageError as error:
                self.note(f"step {step}: a new contact sheet is started: {error}")
        if not rows:
            rows.append(_row("given", [panel.picture for page in heading for panel in page.conditions]))
            rows.append(_row("right", [panel.answer for page in heading for panel in page.slots]))
        rows.append(_row(f"step {step}", list(pictures)))
        sheet = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
        top = 0
        for row in rows:
            sheet.paste(row, (0, top))
            top += row.height
        write_atomic(path, png_bytes(sheet, {"Description": f"last row: step {step}"}))


def newest_samples(sheet: Path) -> tuple[Image.Image, ...]:
    """What the last row of a contact sheet shows; nothing where there is no such row. Raises ImageError."""
    if not sheet.is_file():
        return ()
    image = load_image(sheet)
    if image.height <= 2 * _THUMB_PX:  # what is given, what is right, and no sample yet
        return ()
    top, white = image.height - _THUMB_PX, ((255, 255),) * 3
    cells = [
        image.crop((left, top, left + _THUMB_PX, image.height)) for left in range(_NAME_PX, image.width, _THUMB_PX)
    ]
    return tuple(cell for cell in cells if cell.getextrema() != white)


def _asked(page: Page) -> Page:
    """The page without answers, its slots as large as these were."""
    sizes = [slot.answer.size if slot.answer else None for slot in page.slots]
    queue = iter(sizes)
    panels = tuple(
        replace(panel, answer=None, size_px=panel.size_px or next(queue)) if panel.is_slot else panel
        for panel in page.panels
    )
    return replace(page, panels=panels)


def _row(name: str, pictures: Sequence[Image.Image | None]) -> Image.Image:
    strip = Image.new("RGB", (_NAME_PX + _THUMB_PX * max(1, len(pictures)), _THUMB_PX), "white")
    ImageDraw.Draw(strip).text((6, _THUMB_PX // 2), name, fill="black", anchor="lm")
    for column, picture in enumerate(pictures):
        if picture is not None:
            thumb = opaque(picture).copy()
            thumb.thumbnail((_THUMB_PX, _THUMB_PX))
            strip.paste(thumb, (_NAME_PX + column * _THUMB_PX, 0))
    return strip


def _trackers(folder: Path) -> list[Callable[[dict[str, Any]], None]]:
    trackers: list[Callable[[dict[str, Any]], None]] = []
    if importlib.util.find_spec("tensorboard"):
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(folder / "tensorboard"))

        def to_tensorboard(row: dict[str, Any]) -> None:
            for name, value in row.items():
                if _is_number(name, value):
                    writer.add_scalar(name, value, row["step"])

        trackers.append(to_tensorboard)
    if importlib.util.find_spec("trackio"):
        import trackio  # pyright: ignore[reportMissingImports]

        trackio.init(project="triptych", name=folder.stem, embed=False)
        trackers.append(lambda row: trackio.log({k: v for k, v in row.items() if _is_number(k, v)}, step=row["step"]))
    return trackers


def _is_number(key: str, value: object) -> bool:
    return key != "step" and isinstance(value, float)
