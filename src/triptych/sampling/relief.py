"""Out of memory: step down a ladder, say what was done, and end in an error that says what to try."""

import gc
import logging
from collections.abc import Iterator, Sequence

import torch

from triptych.errors import BackboneError
from triptych.events import CancelToken, Done, Phase, Preview, Step, Warning
from triptych.models.backbone import Backbone, Relieves
from triptych.sampling.batch import run
from triptych.sampling.lanes import Worn
from triptych.sampling.request import Request
from triptych.sampling.result import Result

__all__ = ["BatchTooLargeError", "run_relieved"]

_SAID = (
    "DefaultCPUAllocator",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDA error: out of memory",
    "CUDA driver error: out of memory",
    "MPS backend out of memory",
)
"""In a bare RuntimeError: torch's allocator on the CPU, NVIDIA's libraries, the driver itself, and Apple's."""
_log = logging.getLogger(__name__)


class BatchTooLargeError(Exception):
    """Memory ran out with several pages in the batch: the mildest relief is to make fewer at once."""


def run_relieved(
    backbone: Backbone, requests: Sequence[Request], worn: Worn | None, cancel: CancelToken
) -> Iterator[Phase | Step | Preview | Warning | Done[tuple[Result, ...]]]:
    """As `run`, started again with less memory when memory runs out; what was done comes as a warning.

    The mildest relief, to drop what was kept of earlier requests, is not reported.

    Raises BatchTooLargeError for more than one page, and BackboneError where nothing is left but to ask for less.
    """
    can_forget = backbone.shared.holds
    while True:
        try:
            yield from run(backbone, requests, worn, cancel)
            return
        except (RuntimeError, MemoryError) as error:
            if not _is_exhausted(error):
                raise
            said = str(error).partition("\n")[0]
        # Outside of the handler: the error holds the frames, and the frames hold what filled the memory.
        with backbone.shared.lock:
            backbone.shared.forget()
            _give_back()
            if can_forget:
                can_forget = False
                continue
            if len(requests) > 1:
                raise BatchTooLargeError
            done = _relieve(backbone)
        if done is None:
            raise BackboneError(
                f"memory ran out on {backbone.card.name} with a page of {len(requests[0].page.all_panels)} panels "
                f"({said}). Try fewer or smaller panels (size_px), a smaller backbone, or LoadOptions(quantise=...)."
            )
        _log.warning("memory ran out; %s, and the page is made again", done)
        yield Warning(text=done)


def _relieve(backbone: object) -> str | None:
    return backbone.relieve() if isinstance(backbone, Relieves) else None


def _is_exhausted(error: BaseException) -> bool:
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(said in str(error) for said in _SAID)


def _give_back() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
