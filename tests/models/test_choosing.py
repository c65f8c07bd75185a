"""How a backbone is stored and placed: what fits, and that whatever is chosen loads or is refused before it is read."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tiny_files import original_names, write_gguf, write_klein
from tiny_models import flux2_transformer
from triptych.errors import BackboneError
from triptych.models import assembly, loading
from triptych.models.catalog import CHECKPOINTS, find_checkpoint
from triptych.models.choosing import Choice, Stored, choose
from triptych.models.loading import load
from triptych.models.memory import estimate
from triptych.models.options import LoadOptions, Offload, Quantise, Training

GIB = 2**30
KLEIN = find_checkpoint("FLUX.2-klein-4B").shape
DEV = find_checkpoint("black-forest-labs/flux.2-dev").shape
PACKAGES = ("torchao", "bitsandbytes")
_FIND = importlib.util.find_spec


def chosen(shape: Any, gib: float, device: str = "cuda", **more: Any) -> Choice:
    names = {"stored", "packed_bytes"} & more.keys()
    options = LoadOptions(**{name: value for name, value in more.items() if name not in names})
    return choose("it", shape, options, free=int(gib * GIB), device=device, **{name: more[name] for name in names})


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Says which of the packages that store weights in fewer bits are there."""

    def only(*names: str) -> None:
        def find(name: str, *more: Any) -> Any:
            return (object() if name in names else None) if name in PACKAGES else _FIND(name, *more)

        monkeypatch.setattr(importlib.util, "find_spec", find)

    only(*PACKAGES)
    return only


@pytest.mark.usefixtures("installed")
def test_choose_takes_the_truest_that_fits_and_says_why() -> None:
    choices = [chosen(KLEIN, gib) for gib in (40, 14, 8)]
    assert (choices[0].quantise, choices[0].offload) == (Quantise.NONE, Offload.NONE)
    assert (choices[1].quantise, choices[1].offload) == (Quantise.NONE, Offload.PARTS)
    assert choices[2].quantise is not Quantise.NONE
    assert "GiB of 14.0 GiB free on cuda" in choices[1].reason
    assert "would need" in choices[1].reason


@pytest.mark.usefixtures("installed")
def test_choose_keeps_what_the_user_fixed() -> None:
    assert chosen(DEV, 100, quantise=Quantise.NF4).quantise is Quantise.NF4
    assert chosen(DEV, 300, offload=Offload.LAYERS).offload is Offload.LAYERS


@pytest.mark.usefixtures("installed")
def test_choose_never_takes_more_than_is_free() -> None:
    for checkpoint, gib in product(CHECKPOINTS, (6, 12, 24, 48, 80)):
        try:
            choice = chosen(checkpoint.shape, gib)
        except BackboneError:
            continue
        need = estimate(checkpoint.shape, quantise=choice.quantise, offload=choice.offload)
        assert need.peak <= gib * GIB


def test_choose_without_room_names_the_least_that_would_do() -> None:
    with pytest.raises(BackboneError, match=r"1\.0 GiB are free on cpu; even the least .* needs"):
        chosen(DEV, 1, "cpu")


def test_choose_treats_a_numbered_device_like_its_kind() -> None:
    one, other = (chosen(DEV, 40, device) for device in ("cuda", "cuda:0"))
    assert (one.quantise, one.offload) == (other.quantise, other.offload)


@pytest.mark.usefixtures("installed")
def test_choose_never_lends_blocks_of_nf4() -> None:
    with pytest.raises(BackboneError, match="even the least"):
        chosen(DEV, 4, quantise=Quantise.NF4)


def test_choose_never_lends_blocks_that_are_compiled(installed: Callable[..., None]) -> None:
    installed()
    assert chosen(KLEIN, 8).offload is Offload.LAYERS
    with pytest.raises(BackboneError, match="even the least"):
        chosen(KLEIN, 8, compile=True)


def test_choose_for_training_counts_the_step_and_lends_blocks_only_where_activations_are_computed_anew(
    installed: Callable[..., None],
) -> None:
    installed()
    light, heavy = (Training(step_bytes=gib * GIB, recomputes=True) for gib in (1, 25))
    assert [chosen(KLEIN, 40, training=work).offload for work in (None, light, heavy)] == [
        Offload.NONE,
        Offload.NONE,
        Offload.PARTS,
    ]
    assert chosen(KLEIN, 8, training=light).offload is Offload.LAYERS
    with pytest.raises(BackboneError, match="to train"):
        chosen(KLEIN, 8, training=replace(light, recomputes=False))


def test_choose_counts_a_gguf_file_as_it_is_packed(installed: Callable[..., None]) -> None:
    installed()
    packed = chosen(KLEIN, 14, stored=Stored.GGUF, packed_bytes=GIB)
    assert (packed.offload, chosen(KLEIN, 14).offload) == (Offload.NONE, Offload.PARTS)
    assert packed.reason.startswith("weights as in the file")


LOADED = {
    Stored.FOLDER: set(Quantise),
    # diffusers packs nf4 only of a folder with its own names.
    Stored.FILE: {Quantise.NONE, Quantise.INT8, Quantise.FP8},
    Stored.GGUF: {Quantise.NONE},
}
"""What the libraries can load of each."""
NEEDS = {Quantise.INT8: "torchao", Quantise.FP8: "torchao", Quantise.NF4: "bitsandbytes"}
WORKS = (None, Training(step_bytes=GIB, recomputes=True), Training(step_bytes=GIB, recomputes=False))


def loadable(stored: Stored, device: str, there: tuple[str, ...]) -> set[Quantise]:
    there = there if device == "cuda" else tuple(set(there) - {"bitsandbytes"})
    return {kind for kind in LOADED[stored] if kind not in NEEDS or NEEDS[kind] in there}


anywhere = pytest.mark.parametrize(
    ("device", "there"), [*product(("cpu", "cuda"), [(), ("torchao",), ("bitsandbytes",), PACKAGES])]
)


@anywhere
@pytest.mark.parametrize("stored", Stored)
def test_choose_gives_what_can_be_loaded_or_refuses(
    stored: Stored, device: str, there: tuple[str, ...], installed: Callable[..., None]
) -> None:
    installed(*there)
    could, found = loadable(stored, device, there), set()
    packed = GIB if stored is Stored.GGUF else None
    for quantise, offload, work, compiled, gib in product(
        (None, *Quantise), (None, *Offload), WORKS, (False, True), (2, 7, 9.5, 16, 200)
    ):
        asked = {"quantise": quantise, "offload": offload, "training": work, "compile": compiled}
        try:
            choice = chosen(KLEIN, gib, device, stored=stored, packed_bytes=packed, **asked)
        except BackboneError:
            # What is open is refused only where memory lacks.
            assert gib < 200 or quantise or offload
            continue
        assert quantise in (None, choice.quantise) and offload in (None, choice.offload)
        assert choice.quantise in could
        assert device == "cuda" or choice.offload is Offload.NONE
        assert choice.offload is not Offload.LAYERS or not (compiled or choice.quantise is Quantise.NF4)
        found.add(choice.quantise)
    assert found == could, "everything that can be loaded can be had"


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Small weights under the name of a checkpoint whose sizes are known."""
    pytest.importorskip("gguf")
    room, weights = tmp_path_factory.mktemp("sources"), original_names(flux2_transformer().state_dict())
    folder, foreign = (write_klein(room / name / "FLUX.2-klein-4B", is_distilled=True) for name in ("one", "other"))
    save_file(weights, foreign / "transformer" / "diffusion_pytorch_model.safetensors")
    save_file(weights, room / "klein.safetensors")
    write_gguf(room / "klein.gguf", weights)
    files = {"file": f"{room / 'klein.safetensors'}@{folder}", "gguf": f"{room / 'klein.gguf'}@{folder}"}
    return {"folder": str(folder), "authors' names": str(foreign), **files}


SOURCES = {"folder": Stored.FOLDER, "authors' names": Stored.FILE, "file": Stored.FILE, "gguf": Stored.GGUF}


class ReadError(Exception):
    """Weights would be read now."""

    def __init__(self, options: LoadOptions) -> None:
        self.options = options


@anywhere
@pytest.mark.parametrize("source", SOURCES)
def test_load_chooses_by_what_it_was_given_before_weights_are_read(
    source: str,
    device: str,
    there: tuple[str, ...],
    sources: dict[str, str],
    installed: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop(_: str, __: Any, settled: LoadOptions, *, transformer_file: Path | None) -> None:  # noqa: ARG001
        raise ReadError(settled)

    installed(*there)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(assembly, "load_parts", stop)
    could = loadable(SOURCES[source], device, there)
    monkeypatch.setattr(loading, "free_bytes", lambda _: int(10.5 * GIB))
    for quantise, work in product((None, *Quantise), WORKS[:2]):
        options = LoadOptions(device=device, dtype=torch.bfloat16, quantise=quantise, training=work)
        refused = quantise is not None and quantise not in could
        with pytest.raises(BackboneError if refused else (ReadError, BackboneError)) as reached:
            load(sources[source], options)
        if isinstance(reached.value, ReadError):
            assert reached.value.options.quantise in could
            assert reached.value.options.training == work
        else:
            assert refused or "GiB are free" in str(reached.value)


@pytest.mark.parametrize("kind", SOURCES)
@pytest.mark.parametrize("gib", [16, 60])
def test_what_is_chosen_on_the_cpu_loads(
    kind: str, gib: float, sources: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torchao")
    monkeypatch.setattr(loading, "free_bytes", lambda _: gib * GIB)
    options = LoadOptions(device="cpu", dtype=torch.float32)
    if kind == "gguf" and gib < 20:
        # Its text encoder is read whole.
        with pytest.raises(BackboneError, match=r"even the least \(weights as in the file, offload none\) needs"):
            load(sources[kind], options)
        return
    weight = load(sources[kind], options).transformer.transformer_blocks[0].attn.to_q.weight
    assert "Int8" in type(weight).__name__ or gib > 20 or kind == "gguf"
    assert (type(weight) is torch.nn.Parameter) == (gib > 20 and kind != "gguf")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("folder", {"quantise": Quantise.NF4}, r"nf4 weights need a CUDA device, and this is 'cpu'. Choose int8"),
        ("folder", {"offload": Offload.PARTS}, r"offload 'parts' moves weights to main memory, but .* 'cpu'"),
        ("file", {"quantise": Quantise.NF4}, r"klein\.safetensors: diffusers packs nf4 only of folders .* Choose int8"),
        ("authors' names", {"quantise": Quantise.NF4}, r"FLUX\.2-klein-4B: diffusers packs nf4 only of folders"),
        ("gguf", {"quantise": Quantise.INT8}, r"klein\.gguf: a GGUF file holds quantised weights already"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(
    kind: str, options: dict[str, Any], said: str, sources: dict[str, str]
) -> None:
    with pytest.raises(BackboneError, match=said):
        load(sources[kind], LoadOptions(device="cpu", **options))


def test_nf4_of_a_name_on_the_hub_is_refused_before_the_hub_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> None:
        raise AssertionError("the Hub was asked")

    monkeypatch.setattr(loading, "_fetch_index", ask)
    with pytest.raises(BackboneError, match=r"FLUX\.2-klein-4B: nf4 weights need a CUDA device"):
        load("FLUX.2-klein-4B", LoadOptions(device="cpu", quantise=Quantise.NF4))
