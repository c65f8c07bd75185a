import socket

import pytest

from triptych.models.catalog import SHIPPED
from triptych.studio.errors import StudioError
from triptych.studio.serve import OFFERED, _listen


def test_listening_names_its_protocol_so_that_answers_are_sent_at_once():
    with _listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


def test_a_port_that_is_taken_is_said():
    with _listen("127.0.0.1", 0) as first, pytest.raises(StudioError, match="cannot be listened on"):
        _listen("127.0.0.1", first.getsockname()[1])


def test_models_of_the_package_are_offered_without_being_named():
    assert tuple(each.card.name for each in SHIPPED) == OFFERED
