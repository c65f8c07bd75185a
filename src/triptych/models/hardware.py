"""What the machine computes fast."""

import time

import torch

__all__ = ["best_device", "bfloat16_is_fast", "native_dtype", "operations_per_second"]

_TRIAL_S = 0.1


def best_device() -> str:
    """Where a backbone is loaded unless a device is named."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def bfloat16_is_fast(device: str | torch.device = "cpu") -> bool:
    """Whether `device` multiplies bfloat16 matrices in hardware; where it does not, they are many times slower."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if kind == "cpu":
        # avx512_bf16, amx_bf16 or ARM's: the names differ, the ending does not.
        return any(has and name.endswith("bf16") for name, has in torch.cpu.get_capabilities().items())
    return True


def native_dtype(device: str | torch.device = "cpu") -> torch.dtype:
    """bfloat16 where it is fast, else float32."""
    return torch.bfloat16 if bfloat16_is_fast(device) else torch.float32


def operations_per_second(device: str | torch.device = "cpu") -> float:
    """Half the speed of large matrix products of the native type, as networks reach; measured in 0.1 s."""
    matrix = torch.randn(1024, 1024, device=device, dtype=native_dtype(device))
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < _TRIAL_S:
        float((matrix @ matrix)[0, 0])  # waits for the device
        count += 1
    return 0.5 * 2 * 1024**3 * count / (time.perf_counter() - began)
