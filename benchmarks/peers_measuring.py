"""What the benchmarks share: peak memory of a piece of work, and pages of the docs that a benchmark writes."""

import ctypes
import gc
import platform
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

__all__ = ["machine", "peak_bytes", "write_page"]

BEGIN, END = "<!-- measured by benchmarks/{} -->", "<!-- end of what is measured -->"


def peak_bytes(work: Callable[[], object]) -> int:
    """Most resident memory during `work` over what was resident before it; Linux only."""
    gc.collect()
    # What the allocator holds back would be used again unseen.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    work()
    return _status("VmHWM") - before


def _status(key: str) -> int:
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def machine() -> str:
    """Where the figures are from, in a few words."""
    names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return (
        f"{names[0] if names else platform.machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    )


def write_page(path: Path, script: str, lines: Iterable[str]) -> None:
    """Put the lines between the marks of `script` in a page of the docs, whose other words stay."""
    text, begin = path.read_text(encoding="utf-8"), BEGIN.format(script)
    head, rest = text.split(begin)
    _, tail = rest.split(END, 1)
    path.write_text(f"{head}{begin}\n\n" + "\n".join(lines) + f"\n\n{END}{tail}", encoding="utf-8")
