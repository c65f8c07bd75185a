"""Out of memory: step down a ladder, tell what was done, and end in an error that says what to try."""

import gc
import logging
from collections.abc import Iterator

import torch

from triptych.errors import BackboneError
from triptych.models.backbone import Backbone, Relieves
from triptych.page import Page
from triptych.sampling.run import Finished, Step, run
from triptych.sampling.settings import Settings

__all__ = ["BatchTooLargeError", "run_relieved"]

_log = logging.getLogger(__name__)


class BatchTooLargeError(Exception):
    """Memory ran out with several pages in the batch: the mildest relief is to make fewer at once."""


def run_relieved(
    backbone: Backbone, pages: list[Page], seeds: list[int], settings: Settings
) -> Iterator[Step | Finished | str]:
    """As `run`, begun anew by a smaller way after memory ran out; what was done comes as a string.

    Raises BatchTooLargeError for more than one page, and BackboneError where nothing is left but to ask for less.
    """
    while True:
        try:
            yield from run(backbone, pages, seeds, settings)
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_exhausted(error):
                raise
            said = str(error).partition("\n")[0]
        # Outside of the handler: the error holds the frames, and the frames hold what filled the memory.
        _give_back()
        if len(pages) > 1:
            raise BatchTooLargeError
        done = backbone.relieve() if isinstance(backbone, Relieves) else None
        if done is None:
            raise BackboneError(
                f"memory ran out on {backbone.card.name} with a page of {len(pages[0].all_panels)} panels "
                f"({said}). Try fewer or smaller panels (size_px), a smaller backbone, or LoadOptions(quantise=...)."
            )
        _log.warning("memory ran out; %s, and the page is begun anew", done)
        yield done


def _is_exhausted(error: BaseException) -> bool:
    # On the CPU torch raises a bare RuntimeError, told by its allocator's name only.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def _give_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
