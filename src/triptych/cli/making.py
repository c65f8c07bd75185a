"""Units of `triptych batch` made and written by one engine, in this process or in a worker of Ray."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import triptych as tt
from triptych.cli.output import keep_inputs, write_group
from triptych.errors import TriptychError
from triptych.events import CancelToken, Event, Warning
from triptych.images import png_bytes
from triptych.sampling.inputs import Keep
from triptych.sampling.units import Unit

__all__ = ["AT_ONCE", "Ended", "Maker"]

AT_ONCE = 8
"""Units of a batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A unit that is done with: its files are there, or why they are not."""

    unit: Unit
    failure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Maker:
    """Makes units and writes them."""

    engine: "tt.MakesPictures"
    out: Path
    keep: Keep
    remark: Callable[[str], None]
    """Hears warnings."""
    cancel: CancelToken

    def all(self, units: Sequence[Unit]) -> Iterator[Ended]:
        """Each unit when it is done with."""
        for start in range(0, len(units), AT_ONCE):
            together = units[start : start + AT_ONCE]
            try:
                self._make(together)
            except TriptychError:
                # One of them spoils the batch: each for itself, so that the others are made.
                for unit in together:
                    yield self._alone(unit)
            else:
                for unit in together:
                    yield Ended(unit=unit)

    def _alone(self, unit: Unit) -> Ended:
        try:
            if not unit.is_made(self.out):
                self._make([unit])
        except TriptychError as error:
            return Ended(unit=unit, failure=str(error))
        return Ended(unit=unit)

    def _make(self, units: Sequence[Unit]) -> None:
        from triptych.sampling.record import kept_request, result_text

        results = self.engine.generate([unit.request for unit in units], cancel=self.cancel, on_event=self._hear)
        for unit, result in zip(units, results, strict=True):
            kept = kept_request(result.request, self.engine.card, self.keep)
            keep_inputs(self.out, kept.files, quiet=True)
            pictures = {
                file: png_bytes(image, result_text(result, number, kept))
                for number, (file, image) in enumerate(zip(unit.files, result.images, strict=True), 1)
            }
            write_group(self.out, pictures, overwrite=True)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Warning):
            self.remark(event.text)
