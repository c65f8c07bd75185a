"""`triptych batch`: thousands of requests, each made once, on one machine or many."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

import triptych as tt
from triptych.cli import console, options
from triptych.cli.output import keep_inputs, prepare_folder, write_group
from triptych.errors import RequestError, TriptychError
from triptych.events import CancelToken, ctrl_c_cancels
from triptych.files import write_atomic
from triptych.images import png_bytes
from triptych.sampling.inputs import Keep
from triptych.sampling.request import Request
from triptych.sampling.units import Source, Unit, read_requests, shard_of, units_of

__all__ = ["add_to"]

_AT_ONCE = 8
_MOST_SHOWN = 20

_Requests = Annotated[
    Path, typer.Argument(metavar="REQUESTS", help="A .jsonl file with one request or page per line, or a page set.")
]
_Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write into; all shards share it.")]
_Shard = Annotated[str, typer.Option("--shard", metavar="i/N", help="Make the i-th of N parts, i from 1.")]
_Backbone = Annotated[
    str | None, typer.Option("--backbone", metavar="NAME", help="A backbone other than the requests'.")
]
_Seed = Annotated[int | None, typer.Option(help="Seed of every request; by default its own.")]
_NoInputs = Annotated[bool, typer.Option("--no-inputs", help="Keep no copy of the requests' pictures.")]


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command("batch", no_args_is_help=True)(batch)


def batch(
    requests: _Requests,
    out: _Out,
    shard: _Shard = "1/1",
    backbone: _Backbone = None,
    skill: options.SkillFiles = None,
    steps: options.Steps = None,
    seed: _Seed = None,
    size: Annotated[str | None, typer.Option(metavar="WxH|N", help="Size of slots that ask for none.")] = None,
    step_cache: options.StepCacheName = None,
    no_inputs: _NoInputs = False,
) -> None:
    """Make the pictures of many requests. Existing ones are not made again.

    A picture's name is the digest of all that decides it, so a run that was killed, or that is started again, makes
    only what is missing, including what failed before. Requests that read the same pictures are made one after the
    other, so that these are read once. DIR/index.jsonl (or index-i-of-N.jsonl) says which files belong to which line.

    Exit code 1 if a request failed; the others are still made.

    \b
    Examples:
      triptych batch requests.jsonl --out made
      triptych batch requests.jsonl --out made --shard 3/8
      triptych batch my-pages --out made --backbone pocket --seed 7
    """
    number, count = _parse_shard(shard)
    asked = {
        "backbone": backbone,
        "skills": options.skill_uses(skill) or None,
        "steps": steps,
        "seed": seed,
        "size_px": options.parse_size(size),
    }
    changes = {name: value for name, value in asked.items() if value is not None}
    prepare_folder(out)
    failed = _Failures()
    units = _listed(requests, changes, failed)
    mine = shard_of(units, number, count)
    failed.keep_share(number, count)
    index = "index.jsonl" if count == 1 else f"index-{number}-of-{count}.jsonl"
    write_atomic(out / index, _index(units, {unit.name for unit in mine}).encode())
    missing = [unit for unit in mine if not unit.is_made(out)]
    console.say(f"{len(mine)} results, {len(mine) - len(missing)} there already")
    keep = Keep.NOWHERE if no_inputs else Keep.BESIDE
    with console.progress("results", total=len(missing)) as bar, ctrl_c_cancels(CancelToken()) as cancel:
        for name, group in groupby(missing, key=lambda unit: unit.order[0]):
            made = _Maker(engine=_engine(name, step_cache), out=out, keep=keep, cancel=cancel, failed=failed)
            for _ in made.all(list(group)):
                bar.advance(bar.task_ids[0])
    failed.tell()
    if failed.reasons:
        raise typer.Exit(1)


def _parse_shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise typer.BadParameter(f"{text!r}: write i/N with i from 1 to N, such as 3/8.", param_hint="--shard")
    return number, count


def _engine(name: str, step_cache: str | None) -> "tt.MakesPictures":
    with console.working(f"loading {name}"):
        return options.open_engine(name, step_cache)


@dataclass(slots=True)
class _Failures:
    """What could not be made, by line, and why."""

    reasons: dict[int, str] = field(default_factory=dict)

    def keep_share(self, number: int, count: int) -> None:
        """Lines that are no requests belong to every shard alike; each is told by one."""
        lines = sorted(self.reasons)[number - 1 :: count]
        self.reasons = {line: self.reasons[line] for line in lines}

    def tell(self) -> None:
        """As a table on stderr."""
        if not self.reasons:
            return
        for line, reason in list(sorted(self.reasons.items()))[:_MOST_SHOWN]:
            console.say(f"line {line:<6} {reason}")
        more = len(self.reasons) - _MOST_SHOWN
        console.say(
            (f"and {more} more. " if more > 0 else "")
            + f"{len(self.reasons)} failed. The same command tries only these again."
        )


def _listed(path: Path, changes: dict[str, object], failed: _Failures) -> list[Unit]:
    """Every unit; lines that are no requests are failures. Raises RequestError where there is none at all."""
    sources = _pageset(path) if path.is_dir() else read_requests(path)
    units: list[Unit] = []
    with console.progress("reading", total=len(sources)) as bar:
        for source in sources:
            try:
                units += units_of(_changed(source, changes))
            except TriptychError as error:
                failed.reasons[source.line] = str(error)
            bar.advance(bar.task_ids[0])
    if not units:
        raise RequestError(f"{path} has no request that can be read: {next(iter(failed.reasons.values()))}")
    return units


def _pageset(path: Path) -> list[Source]:
    from triptych.data.pagesets import load_pageset

    pages = load_pageset(path)

    def source(index: int) -> Source:
        return Source(line=pages.lines[index][0], read=lambda: Request(page=pages[index].without_answers()))

    return [source(index) for index in range(len(pages))]


def _changed(source: Source, changes: dict[str, object]) -> Source:
    return replace(source, read=lambda: replace(source.read(), **changes))


def _index(units: Sequence[Unit], mine: set[str]) -> str:
    rows = ({"line": unit.source.line, "seed": unit.seed, "files": unit.files} for unit in units if unit.name in mine)
    return "".join(json.dumps(row) + "\n" for row in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """Makes units and writes them."""

    engine: "tt.MakesPictures"
    out: Path
    keep: Keep
    cancel: CancelToken
    failed: _Failures

    def all(self, units: list[Unit]) -> Iterator[Unit]:
        """Each unit when it is done with, made or failed."""
        for start in range(0, len(units), _AT_ONCE):
            together = units[start : start + _AT_ONCE]
            try:
                self._make(together)
            except TriptychError:
                # One of them spoils the batch: each for itself, so that the others are made.
                for unit in together:
                    self._alone(unit)
            yield from together

    def _alone(self, unit: Unit) -> None:
        if unit.is_made(self.out):
            return
        try:
            self._make([unit])
        except TriptychError as error:
            self.failed.reasons[unit.source.line] = str(error)

    def _make(self, units: list[Unit]) -> None:
        from triptych.sampling.record import kept_request, result_text

        results = self.engine.generate([unit.request for unit in units], cancel=self.cancel, on_event=console.warn)
        for unit, result in zip(units, results, strict=True):
            kept = kept_request(result.request, self.engine.card, self.keep)
            keep_inputs(self.out, kept.files, quiet=True)
            pictures = {
                file: png_bytes(image, result_text(result, number, kept))
                for number, (file, image) in enumerate(zip(unit.files, result.images, strict=True), 1)
            }
            write_group(self.out, pictures, overwrite=True)
            for file in unit.files:
                console.out(str(self.out / file))
