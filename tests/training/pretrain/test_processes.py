"""Pretraining over two processes: the weights of one process that sees the batches of both."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from triptych.data.mixture import Entry, Mixture, Words
from triptych.data.rules import RULES
from triptych.data.sources import ShapeSource
from triptych.events import CancelToken
from triptych.models.pocket.codec import PocketCodec
from triptych.models.pocket.text import train_tokenizer
from triptych.training.checkpoint import newest_checkpoint
from triptych.training.claim import CHECKPOINTS
from triptych.training.pretrain.batches import collate
from triptych.training.pretrain.loop import _channel_weights, _core, _prepared, pretrain
from triptych.training.pretrain.objective import page_loss
from triptych.training.pretrain.recipe import EntryRecipe, PretrainRecipe, Sizes
from triptych.training.recipe import Precision
from triptych.training.running import accelerator_on
from triptych.training.variants import item_seed

ROOT = Path(__file__).parents[3]
STEPS, PROCESSES = 3, 2


def mixture() -> Mixture:
    entries = (
        Entry(name="words", rules=(RULES["mirror"],)),
        Entry(name="bare", rules=(RULES["mirror"],), shots=(1,), words=Words.NONE),
    )
    return Mixture(entries=entries, source=ShapeSource(), seed=4, load=12)


def recipe() -> PretrainRecipe:
    return PretrainRecipe(
        steps=STEPS,
        warmup=2,
        sizes=Sizes(width=64, double_blocks=1, single_blocks=1, vocabulary=400),
        mixture=(EntryRecipe(name="words", rules=("mirror",), weight=1),),
    )


def pretrain_in_one_of_several(folder: str, codec: str) -> None:
    """What each process runs; in float32, since a processor that is fast at bfloat16 would round its sums."""
    torch.set_num_threads(1)
    pretrain(
        recipe(),
        mixture(),
        {},
        Path(folder),
        codec=Path(codec),
        workers=0,
        compiled=False,
        device="cpu",
        precision=Precision.FP32,
    )


def weights_of_one_process(codec: Path) -> dict[str, torch.Tensor]:
    """The same steps on the batches of both processes, one after the other."""
    accelerator, _ = accelerator_on("cpu")
    tokenizer = train_tokenizer(["mirror it"], size=400)
    network = _prepared(recipe(), mixture(), tokenizer, codec=codec, start=None)
    core, seed = _core(network, recipe(), accelerator, codec.parent), recipe().seed
    weights = _channel_weights(network)

    def losses(step: int):
        for process in range(PROCESSES):
            batch = collate(mixture().batch(step * PROCESSES + process), tokenizer, factor=16)
            generator = torch.Generator().manual_seed(item_seed(seed, "noise", step, process))
            yield page_loss(network, batch, recipe(), weights, generator).loss / PROCESSES

    for _ in replace(core, losses=losses).run(CancelToken()):
        pass
    return {name: value.detach().clone() for name, value in core.state.parameters.items()}


@pytest.mark.slow
def test_pretrain_in_two_processes_ends_in_the_weights_of_one_that_sees_both_batches(tmp_path: Path) -> None:
    torch.manual_seed(0)
    codec, folder = tmp_path / "codec.safetensors", tmp_path / "two"
    save_file(PocketCodec(channels=16).state_dict(), codec)
    folder.mkdir()
    # The run's own vocabulary, which it would learn from pages.
    (folder / "tokenizer.json").write_text(train_tokenizer(["mirror it"], size=400).to_str())
    script = tmp_path / "run.py"
    call = f"pretrain_in_one_of_several({str(folder)!r}, {str(codec)!r})"
    script.write_text(
        f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\nfrom test_processes import *\n{call}\n"
    )
    paths = os.pathsep.join(map(str, (ROOT / "src", ROOT / "tests")))
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node",
            str(PROCESSES),
            script,
        ],
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    checkpoint, _ = newest_checkpoint(folder / CHECKPOINTS)
    assert checkpoint is not None
    two, one = checkpoint.part("weights"), weights_of_one_process(codec)
    assert checkpoint.step == STEPS
    assert two.keys() == one.keys()
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=1e-5, rtol=1e-3, msg=name)
