"""Tests of a file in a process of its own: a backend of torch can be registered only once, and not taken back."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_on_device(file: str, marks: str, device: str) -> None:
    """Assert that the tests of `file` that have these marks pass on a device."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-m", marks, file],
        cwd=ROOT,
        env=os.environ | {"TRIPTYCH_DEVICE": device},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
