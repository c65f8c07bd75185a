import httpx
import pytest

from studio_served import Served
from triptych.studio.app import create_app
from triptych.studio.studio import Studio


@pytest.fixture(scope="session")
def served(tmp_path_factory):
    studio = Served(tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()


@pytest.fixture
def quiet(tmp_path):
    """A studio without a worker, and a client of its app that needs no port."""
    studio = Studio(tmp_path / "data")
    transport = httpx.ASGITransport(app=create_app(studio), raise_app_exceptions=False)
    yield studio, transport
    studio.store.close()
