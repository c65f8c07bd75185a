"""`triptych batch`: thousands of requests, each made once, on one machine or many."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer

from triptych.cli import console, options
from triptych.cli.making import Ended, Maker
from triptych.cli.output import prepare_folder
from triptych.errors import RequestError, TriptychError
from triptych.events import CancelToken, ctrl_c_cancels
from triptych.files import write_atomic
from triptych.sampling.inputs import Keep
from triptych.sampling.request import Request
from triptych.sampling.units import Source, Unit, read_requests, shard_of, units_of

__all__ = ["add_to"]

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
_Ray = Annotated[
    str | None,
    typer.Option(
        "--ray", metavar="ADDRESS", help="Make them on a Ray cluster: auto, head:6379, or local for this machine."
    ),
]
_Workers = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="With --ray: how many; by default one a GPU, or else one a core."),
]
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
    ray: _Ray = None,
    workers: _Workers = None,
) -> None:
    """Make the pictures of many requests. Existing ones are not made again.

    A picture's name is the digest of all that decides it, so a run that was killed, or that is started again, makes
    only what is missing, including what failed before. Requests that read the same pictures are made one after the
    other, so that these are read once. DIR/index.jsonl (or index-i-of-N.jsonl) says which files belong to which line.

    Exit code 1 if a request failed; the others are still made.

    With --ray the work is spread over a Ray cluster, whose machines share the folder that the command runs in, DIR, and
    the weights; a batch whose worker is lost is begun again by another.

    \b
    Examples:
      triptych batch requests.jsonl --out made
      triptych batch requests.jsonl --out made --shard 3/8
      triptych batch requests.jsonl --out made --ray local --workers 2
      triptych batch my-pages --out made --backbone pocket --seed 7
    """
    number, count = _parse_shard(shard)
    if workers is not None and ray is None:
        raise typer.BadParameter("workers belong to --ray.", param_hint="--workers")
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
    units = _listed(requests, changes, failed, step_cache=step_cache)
    mine = shard_of(units, number, count)
    failed.keep_share(number, count)
    index = "index.jsonl" if count == 1 else f"index-{number}-of-{count}.jsonl"
    write_atomic(out / index, _index(units, {unit.name for unit in mine}).encode())
    missing = [unit for unit in mine if not unit.is_made(out)]
    console.say(f"{len(mine)} results, {len(mine) - len(missing)} already made")
    making = _Making(out=out, keep=Keep.NOWHERE if no_inputs else Keep.BESIDE, step_cache=step_cache)
    _follow(making.here(missing) if ray is None else making.on_ray(missing, ray, workers), len(missing), out, failed)
    failed.tell()
    if failed.reasons:
        raise typer.Exit(1)


def _parse_shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    number, count = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= number <= count:
        raise typer.BadParameter(f"{text!r}: write i/N with i from 1 to N, such as 3/8.", param_hint="--shard")
    return number, count


def _follow(ended: Iterator[Ended], count: int, out: Path, failed: "_Failures") -> None:
    """Tell of each unit when it is done with."""
    # What makes them may take stdout from its libraries meanwhile.
    results = sys.stdout
    with console.progress("results", total=count) as bar:
        for each in ended:
            bar.advance(bar.task_ids[0])
            failed.take(each)
            for file in () if each.failure else each.unit.files:
                console.out(str(out / file), results)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """How units become files."""

    out: Path
    keep: Keep
    step_cache: str | None

    def here(self, units: Sequence[Unit]) -> Iterator[Ended]:
        """By this process, a backbone after the other."""
        with ctrl_c_cancels(CancelToken()) as cancel:
            is_only = len({unit.backbone for unit in units}) == 1
            for name, group in groupby(units, key=lambda unit: unit.backbone):
                try:
                    with console.working(f"loading {name}"):
                        engine = options.open_engine(name, self.step_cache)
                except TriptychError as error:
                    if is_only:
                        raise
                    yield from (Ended(unit=unit, failure=str(error)) for unit in group)
                    continue
                maker = Maker(engine=engine, out=self.out, keep=self.keep, remark=console.say, cancel=cancel)
                yield from maker.all(list(group))

    def on_ray(self, units: Sequence[Unit], address: str, workers: int | None) -> Iterator[Ended]:
        """By a cluster's workers. Ctrl-C ends them at once; what was made is whole."""
        from triptych.cli.on_ray import Job, joined

        if not units:
            return
        load = options.load_options(self.step_cache)
        job = Job(units=units, out=self.out.resolve(), keep=self.keep, options=load, folder=Path.cwd())
        said: set[str] = set()
        with joined(address, workers) as cluster:
            console.say(f"{console.counted(cluster.workers, 'worker')} of Ray")
            for ended, remarks in cluster.made(job):
                for remark in set(remarks.splitlines()) - said:
                    said.add(remark)
                    console.say(remark)
                yield ended


@dataclass(slots=True)
class _Failures:
    """What could not be made, by line, and why."""

    reasons: dict[int, str] = field(default_factory=dict)

    def keep_share(self, number: int, count: int) -> None:
        """Lines that are not requests belong to every shard alike; each is reported by one."""
        lines = sorted(self.reasons)[number - 1 :: count]
        self.reasons = {line: self.reasons[line] for line in lines}

    def take(self, ended: Ended) -> None:
        """What became of a unit."""
        if ended.failure:
            self.reasons[ended.unit.source.line] = ended.failure

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


def _listed(path: Path, changes: dict[str, object], failed: _Failures, *, step_cache: str | None) -> list[Unit]:
    """Every unit; lines that are not requests are failures. Raises RequestError where no line is one."""
    sources = _pageset(path) if path.is_dir() else read_requests(path)
    units: list[Unit] = []
    with console.progress("reading", total=len(sources)) as bar:
        for source in sources:
            try:
                units += units_of(_changed(source, changes), step_cache=step_cache)
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
