import pytest

import triptych as tt
from triptych.addresses import is_address, is_loopback, read_address
from triptych.errors import BackboneError


def test_address_is_server_and_model():
    address = read_address("HTTP://localhost:8000/v1/#Qwen/Qwen-Image-Edit-2511")
    assert (address.url, address.model) == ("http://localhost:8000/v1", "Qwen/Qwen-Image-Edit-2511")
    assert read_address(str(address)) == address
    assert read_address("http://h/v1").model is None


@pytest.mark.parametrize(
    ("name", "here", "sealed"),
    [
        ("http://127.0.0.1:1/v1", True, True),
        ("http://[::1]:1/v1", True, True),
        ("http://localhost/v1", True, True),
        ("http://10.0.0.2/v1", False, False),
        ("https://api.openai.com/v1", False, True),
        ("http://localhost.example.com/v1", False, False),
    ],
)
def test_address_knows_who_can_read_what_is_sent(name, here, sealed):
    address = read_address(name)
    assert (address.is_here, address.is_sealed) == (here, sealed)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("http://me:hunter2@host/v1#m", "name or password"),
        ("http://hunter2@host/v1", "name or password"),
        ("https://host/v1?key=hunter2#m", "query"),
        ("http:///v1", "no host"),
        ("http://host:99999/v1", "cannot be read"),
    ],
)
def test_address_that_may_not_be_written_down_is_refused_without_its_secret(name, said):
    with pytest.raises(BackboneError, match=said) as refused:
        tt.Request(page=tt.Page(panels=(tt.slot("a"),)), backbone=name)
    assert "hunter2" not in str(refused.value)


def test_names_of_backbones_are_no_addresses():
    assert not any(map(is_address, ("pocket", "owner/name", "./file.safetensors", "https.safetensors")))
    assert is_loopback("::1") and not is_loopback("0.0.0.0")
