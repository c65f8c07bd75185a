"""Units of `triptych batch --ray` made by workers of a Ray cluster, each of which holds an engine."""

import logging
import os
import platform
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any

import triptych as tt
from triptych.cli.making import AT_ONCE, Ended, Maker
from triptych.errors import ClusterError, OutputError, TriptychError
from triptych.events import CancelToken
from triptych.models.options import LoadOptions
from triptych.sampling.inputs import Keep
from triptych.sampling.units import Unit

__all__ = ["Cluster", "Job", "Tries", "Worker", "joined"]

_LOCAL = "local"
_STARTS = 3
"""Of a cluster of this machine alone."""
_TRIES = 3
"""Of a unit whose worker was lost each time: Ray itself would go on without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What every worker knows."""

    units: Sequence[Unit]
    """Those that read the same side by side."""
    out: Path
    keep: Keep
    options: LoadOptions | None
    folder: Path
    """The command's own: relative names in requests are relative to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A Ray cluster that this process has joined."""

    workers: int
    cores: int
    """Of each worker."""
    gpus: int
    """Of each worker: 1, or 0 on a cluster without any."""

    def made(self, job: Job) -> Iterator[tuple[Ended, str]]:
        """Each unit when it is done with, in whatever order, and the warnings on the way to it.

        Raises ClusterError where the only backbone cannot be loaded, and where workers are lost again and again.
        """
        import ray.data
        from ray.exceptions import RayError

        count = len(job.units)
        blocks = ceil(count / AT_ONCE)
        batches = ray.data.from_items(list(range(count)), override_num_blocks=blocks)
        rows = batches.map_batches(
            _Actor,
            fn_constructor_args=(ray.put(job), ray.remote(num_cpus=0)(Tries).remote()),
            batch_size=None,
            compute=ray.data.ActorPoolStrategy(size=min(self.workers, blocks), max_tasks_in_flight_per_actor=1),
            num_cpus=self.cores,
            num_gpus=self.gpus,
        )
        try:
            for row in rows.iter_rows():
                if row["hopeless"]:
                    raise ClusterError(row["failure"])
                yield Ended(unit=job.units[row["unit"]], failure=row["failure"] or None), row["remarks"]
        except RayError as error:
            raise ClusterError(
                f"Ray gave up: {str(error).strip().splitlines()[-1]} What was made is in {job.out}, and the same "
                "command goes on from there. Where memory ran out, fewer --workers need less."
            ) from error


class Tries:
    """Counts how often each unit was begun; lives through the loss of workers."""

    def __init__(self) -> None:
        self._begun: Counter[int] = Counter()

    def begin(self, numbers: list[int]) -> int:
        """How often one of them was begun before, at most."""
        before = max(self._begun[number] for number in numbers)
        if before < _TRIES:
            self._begun.update(numbers)
        return before


class Worker:
    """Makes batches of units; holds the engine of the last."""

    def __init__(self, job: Job, begin: Callable[[list[int]], int]) -> None:
        """`begin` is that of the cluster's `Tries`."""
        self._job, self._begin = job, begin
        self._name: str | None = None
        self._engine: tt.MakesPictures | None = None

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        numbers = [int(number) for number in batch["item"]]
        rows: list[dict[str, Any]] = []
        for name, group in groupby(numbers, key=lambda number: self._job.units[number].backbone):
            rows += self._rows(name, list(group))
        return {column: [row[column] for row in rows] for column in rows[0]}

    def _rows(self, name: str, numbers: list[int]) -> list[dict[str, Any]]:
        """One for each unit."""
        remarks: list[str] = []
        hopeless, failures = False, {}
        try:
            maker = self._maker(name, remarks)
        except TriptychError as error:
            # Requests for another backbone may well be made.
            hopeless = isinstance(error, OutputError) or len({unit.backbone for unit in self._job.units}) == 1
            failures = dict.fromkeys(numbers, f"{platform.node()}: {error}")
        else:
            failures = self._failures(maker, numbers)
        return [
            {
                "unit": number,
                "failure": failures.get(number, ""),
                "hopeless": hopeless,
                "remarks": "\n".join(remarks) if number == numbers[0] else "",
            }
            for number in numbers
        ]

    def _failures(self, maker: Maker, numbers: list[int]) -> dict[int, str]:
        """Make units, and tell what could not be."""
        # A batch whose worker was lost comes again; what was made of it is not made twice.
        missing = [number for number in numbers if not self._job.units[number].is_made(self._job.out)]
        if not missing:
            return {}
        if self._begin(missing) == 0:
            ended = maker.all([self._job.units[number] for number in missing])
            return {number: one.failure for number, one in zip(missing, ended, strict=True) if one.failure}
        failures: dict[int, str] = {}
        for number in missing:
            # One of them may be what a worker cannot bear: each for itself, so that the others are made.
            if self._begin([number]) >= _TRIES:
                failures[number] = f"its worker was lost {_TRIES} times. Where memory ran out, ask for a smaller size."
                continue
            (one,) = maker.all([self._job.units[number]])
            if one.failure:
                failures[number] = one.failure
        return failures

    def _maker(self, name: str, remarks: list[str]) -> Maker:
        if self._engine is None or name != self._name:
            for folder in (self._job.folder, self._job.out):
                if not folder.is_dir():
                    raise OutputError(f"{folder} is not there. Share it with every machine of the cluster.")
            os.chdir(self._job.folder)
            if self._engine is not None:
                self._engine.release()
                self._engine = None
            self._name, self._engine = name, tt.open_engine(name, self._job.options)
        return Maker(
            engine=self._engine, out=self._job.out, keep=self._job.keep, remark=remarks.append, cancel=CancelToken()
        )


class _Actor(Worker):
    """A worker within Ray, where what it is given are references."""

    def __init__(self, job: Any, tries: Any) -> None:
        import ray

        super().__init__(ray.get(job), lambda numbers: ray.get(tries.begin.remote(numbers)))


@contextmanager
def joined(address: str, workers: int | None) -> Iterator[Cluster]:
    """The cluster at `address`, or for `local` one of this machine alone, which ends with the `with`.

    Without `workers` there is one a GPU; on a cluster without any, one a core. Raises ClusterError.
    """
    _join(address, max(os.cpu_count() or 1, workers or 1) if address == _LOCAL else None)
    import ray

    try:
        _be_quiet()
        # Ray tells of lost workers on stdout, where only results belong.
        with redirect_stdout(sys.stderr):
            yield _sized(ray.cluster_resources(), workers)
    finally:
        ray.shutdown()


def _join(address: str, cores: int | None) -> None:
    """Join a cluster, or with `cores` begin one. Raises ClusterError."""
    # Ray tells its makers how it is used, unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    begins = {"num_cpus": cores, "include_dashboard": False} if cores else {}
    for left in reversed(range(_STARTS if cores else 1)):
        try:
            ray.init(address, **begins, logging_level=logging.ERROR, log_to_driver=False)
            return
        # It raises plain ones too: where a start takes more than the half minute that it waits, as on a busy machine.
        except Exception as error:
            ray.shutdown()
            if not left:
                raise ClusterError(
                    f"no Ray cluster was joined at {address!r}: {error} Name a running one's address, such as auto or "
                    f"head:6379, or {_LOCAL} for this machine alone."
                ) from error


def _sized(resources: Mapping[str, float], workers: int | None) -> Cluster:
    gpus, cores = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    count = workers or gpus or max(cores, 1)
    if gpus:
        return Cluster(workers=min(count, gpus), cores=1, gpus=1)
    return Cluster(workers=count, cores=max(cores // count, 1), gpus=0)


def _be_quiet() -> None:
    """The bar is ours."""
    from ray.data import DataContext

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
