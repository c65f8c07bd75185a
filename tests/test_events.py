"""One token stops work from any thread, and Ctrl-C is one way to cancel it."""

import os
import signal
import threading

import pytest
from PIL import Image

from triptych.errors import Cancelled
from triptych.events import CancelToken, Preview, ctrl_c_cancels


def test_cancel_token_cancelled_in_another_thread_stops_the_work():
    token = CancelToken()
    token.check()
    threading.Timer(0.02, token.cancel).start()
    assert token.wait(5.0)
    with pytest.raises(Cancelled):
        token.check()


def test_cancel_token_wait_that_times_out_is_not_cancelled():
    token = CancelToken()
    assert not token.wait(0.001)
    assert not token.is_cancelled


def test_ctrl_c_cancels_once_and_stops_at_the_second():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ctrl_c_cancels(CancelToken()) as token:
        os.kill(os.getpid(), signal.SIGINT)
        assert token.is_cancelled
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_cancels_off_the_main_thread_leaves_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with ctrl_c_cancels(CancelToken()) as token:
            seen.append((signal.getsignal(signal.SIGINT), token.is_cancelled))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


def test_preview_images_are_decoded_only_when_asked_for():
    pictures, decoded = ((Image.new("RGB", (2, 2)),),), []
    preview = Preview(step=1, steps=2, decode=lambda: decoded.append(1) or pictures)
    assert decoded == []
    assert preview.images is pictures[0]
    assert decoded == [1]
