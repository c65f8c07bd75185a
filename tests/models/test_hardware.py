"""What the machine is said to compute fast."""

import pytest
import torch

from triptych.models.hardware import bfloat16_is_fast, native_dtype, operations_per_second


@pytest.mark.parametrize("capability", ["avx512_bf16", "amx_bf16"])
def test_native_dtype_follows_the_processors_instructions(monkeypatch: pytest.MonkeyPatch, capability: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, capability: True})
    assert native_dtype("cpu") == torch.bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": True, capability: False})
    assert native_dtype("cpu") == torch.float32
    assert not bfloat16_is_fast(torch.device("cpu"))


def test_operations_per_second_on_this_processor_is_above_a_pocket_calculators() -> None:
    assert operations_per_second() > 1e8
