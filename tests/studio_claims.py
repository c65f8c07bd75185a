"""A worker without models for the tests of the queue, in a file that other processes can import."""

import random
import time
from pathlib import Path

from triptych.studio.gallery import Gallery
from triptych.studio.jobs import Jobs, Lane, State
from triptych.studio.store import Store


def worker(path: str, owner: str) -> None:
    """Publishes one picture a job and ends the job, slowly enough to be killed anywhere."""
    store = Store(Path(path))
    jobs, gallery = Jobs(store), Gallery(store)
    while (job := jobs.claim(Lane.BATCH, owner)) is not None:
        time.sleep(random.random() * 0.02)
        with store.transaction():
            if not jobs.owns(job["id"], owner):
                continue
            facts = {"seed": 0, "backbone": "p", "skills": [], "words": "", "request": {}, "size": (1, 1)}
            gallery.add(job, slot=0, variant=0, file=owner, facts=facts)
        time.sleep(random.random() * 0.01)
        jobs.finish(job["id"], owner, State.DONE, results=[1])
