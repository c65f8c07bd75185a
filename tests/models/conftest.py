from pathlib import Path

import pytest

from tiny_files import write_klein
from tiny_training import tiny_pocket
from triptych.models.pocket import PocketBackbone


@pytest.fixture
def pocket() -> PocketBackbone:
    return tiny_pocket()


@pytest.fixture(scope="module")
def klein_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small FLUX.2 klein as diffusers writes it. Nothing may be changed in it."""
    return write_klein(tmp_path_factory.mktemp("klein"), is_distilled=True)
