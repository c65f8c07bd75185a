import pytest

from tiny_training import made_page, tiny_pocket
from triptych.models.pocket import PocketBackbone
from triptych.page import Page


@pytest.fixture
def pocket() -> PocketBackbone:
    return tiny_pocket()


@pytest.fixture
def pages() -> list[Page]:
    return [made_page(number) for number in range(4)]
