import pytest

from tiny_training import tiny_pocket
from triptych.models.pocket import PocketBackbone


@pytest.fixture
def pocket() -> PocketBackbone:
    return tiny_pocket()
