"""Pages made ready: on disk all of them, on the device no more bytes than allowed."""

from pathlib import Path

import torch

from triptych.models.backbone import Conditioning
from triptych.models.pocket import PocketBackbone
from triptych.page import Page
from triptych.training.cache import PageCache, _size
from triptych.training.prepare import Setting

SETTING = Setting(conditioning=Conditioning.REFERENCE)


def test_page_cache_keeps_no_more_bytes_than_allowed(pocket: PocketBackbone, pages: list[Page], tmp_path: Path) -> None:
    whole = PageCache(pocket, tmp_path / "whole")
    sizes = [_size(whole.get(page, SETTING)) for page in pages]
    assert whole._recent.held_bytes == sum(sizes)
    room = sizes[-2] + sizes[-1]
    small = PageCache(pocket, tmp_path / "small", most_bytes=room)
    first = [small.get(page, SETTING) for page in pages]
    assert (len(small._recent), small.made) == (2, len(pages))
    assert small._recent.held_bytes <= room
    # What was let go is read from disk, not encoded again.
    again = [small.get(page, SETTING) for page in pages]
    assert small.made == len(pages)
    for one, other in zip(first, again, strict=True):
        torch.testing.assert_close(one.clean, other.clean)
    assert small.get(pages[-1], SETTING) is again[-1]
