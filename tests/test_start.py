"""What starting costs: which code is imported, and how torch's threads are told to wait."""

import os
import subprocess
import sys

import pytest

_HEAVY = ("diffusers", "transformers", "peft", "accelerate", "scipy", "torch._dynamo")


def _run(code: str, **environment: str) -> str:
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    done = subprocess.run([sys.executable, "-c", code], env=others | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_generate_with_the_pocket_imports_no_familys_code() -> None:
    made = _run(
        "import sys, triptych as tt\n"
        "from triptych.cli.main import app\n"
        "tt.generate(tt.load(), tt.Page(panels=(tt.slot('a red fox'),)))\n"
        f"print([name for name in {_HEAVY} if name in sys.modules])"
    )
    assert made == "[]"


@pytest.mark.parametrize(("own", "expected"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_import_tells_threads_to_wait_quietly_unless_the_user_said_otherwise(own: dict, expected: str) -> None:
    code = "import sys, triptych, os; print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    assert _run(code, **own) == f"{expected} False"
