import multiprocessing
import os
import random
import threading
import time

import pytest

from studio_claims import worker
from triptych.studio.errors import StudioError
from triptych.studio.jobs import LEASE_S, MOST_ATTEMPTS, MOST_WAITING, Jobs, Kind, Lane, State
from triptych.studio.store import Store

BODY = {"request": {}}


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "studio.sqlite")
    yield store
    store.close()


@pytest.fixture
def jobs(store):
    return Jobs(store)


def add(jobs, lane=Lane.BATCH):
    return jobs.add(Kind.GENERATE, BODY, lane=lane)["id"]


def test_claim_takes_the_first_of_its_lane_once(jobs):
    first, live, second = add(jobs), add(jobs, Lane.LIVE), add(jobs)
    assert [jobs.claim(Lane.BATCH, "a")["id"] for _ in range(2)] == [first, second]
    assert jobs.claim(Lane.BATCH, "a") is None
    assert jobs.claim(Lane.LIVE, "a")["id"] == live


def test_claim_from_many_threads_gives_each_job_to_one(jobs):
    wanted = {add(jobs) for _ in range(60)}
    got: list[str] = []

    def work(owner: str) -> None:
        while (job := jobs.claim(Lane.BATCH, owner)) is not None:
            got.append(job["id"])

    threads = [threading.Thread(target=work, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(wanted)


def test_finish_by_an_owner_that_lost_the_job_changes_nothing(jobs):
    job = add(jobs)
    jobs.claim(Lane.BATCH, "dead")
    assert jobs.recover() == [job]
    assert jobs.get(job)["state"] == State.INTERRUPTED
    assert not jobs.finish(job, "dead", State.DONE, results=["x"])
    assert jobs.claim(Lane.BATCH, "new")["id"] == job
    assert not jobs.finish(job, "dead", State.DONE, results=["x"])
    assert jobs.finish(job, "new", State.DONE, results=["y"])
    assert jobs.get(job)["results"] == ["y"]


def test_recover_gives_up_after_a_few_attempts(jobs):
    job = add(jobs)
    for _ in range(MOST_ATTEMPTS):
        assert jobs.claim(Lane.BATCH, "a")["id"] == job
        jobs.recover()
    ended = jobs.get(job)
    assert ended["state"] == State.FAILED and "not tried again" in ended["error"]["message"]


def test_recover_spares_a_living_owner_whose_lease_holds(jobs, monkeypatch):
    job = add(jobs)
    jobs.claim(Lane.BATCH, "a")
    assert jobs.recover(alive="a") == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + LEASE_S + 1)
    assert jobs.overdue("a")
    assert jobs.recover(alive="a") == [job]


def test_cancel_ends_a_waiting_job_and_marks_a_running_one(jobs):
    waiting, running = add(jobs), add(jobs, Lane.LIVE)
    jobs.claim(Lane.LIVE, "a")
    assert jobs.cancel(waiting)["state"] == State.CANCELLED
    assert jobs.cancel(running)["state"] == State.RUNNING
    assert jobs.cancelled("a") == [running]
    jobs.recover()
    assert jobs.get(running)["state"] == State.CANCELLED


def test_move_changes_the_order(jobs):
    first, second, third = add(jobs), add(jobs), add(jobs)
    jobs.move(third, first)
    jobs.move(first, None)
    assert [jobs.claim(Lane.BATCH, "a")["id"] for _ in range(3)] == [third, second, first]
    with pytest.raises(StudioError, match="running"):
        jobs.move(first, None)


def test_add_refuses_when_the_queue_is_full(jobs):
    for _ in range(MOST_WAITING):
        add(jobs)
    with pytest.raises(StudioError, match="cancel some") as refused:
        add(jobs)
    assert (refused.value.status, refused.value.code) == (429, "queue_full")


@pytest.mark.skipif(os.name != "posix", reason="kills with SIGKILL")
@pytest.mark.parametrize("kills", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_workers_lose_no_job_and_do_none_twice(store, jobs, tmp_path, kills, monkeypatch):
    monkeypatch.setattr("triptych.studio.jobs.MOST_ATTEMPTS", 1000)
    wanted = {add(jobs) for _ in range(min(40 + 2 * kills, MOST_WAITING))}
    spawn = multiprocessing.get_context("spawn")
    for kill in range(kills + 1):
        process = spawn.Process(target=worker, args=(str(tmp_path / "studio.sqlite"), f"owner{kill}"))
        process.start()
        until = time.monotonic() + 60
        running = "SELECT 1 FROM jobs WHERE owner = ?"
        while process.is_alive() and not store.row(running, (f"owner{kill}",)) and time.monotonic() < until:
            time.sleep(0.005)
        if kill < kills:
            time.sleep(random.random() * 0.1)
            process.kill()
        process.join(120)
        jobs.recover()
    states = {row["id"]: row["state"] for row in store.rows("SELECT id, state FROM jobs")}
    if any(state != State.DONE for state in states.values()):
        # What the last kill left.
        worker(str(tmp_path / "studio.sqlite"), "last")
    states = {row["id"]: row["state"] for row in store.rows("SELECT id, state FROM jobs")}
    assert set(states) == wanted and set(states.values()) == {State.DONE}
    pictures = [row["job"] for row in store.rows("SELECT job FROM pictures")]
    assert sorted(pictures) == sorted(wanted)
