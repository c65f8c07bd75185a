"""Image servers that really listen, and take what vLLM-Omni and SGLang-Diffusion take, field by field.

The tables hold facts read from these projects' sources, vLLM-Omni 0.30.0 and SGLang 0.5.23:

- vLLM-Omni: `vllm_omni/entrypoints/openai/protocol/images.py` (the class of generations) and
  `vllm_omni/entrypoints/openai/api_server.py` (the form of edits). `size` is WIDTHxHEIGHT, in edits `auto` too;
  `response_format` must be b64_json; `n` is 1 to 10, steps 1 to 200, guidance 0 to 20. `GET models` says `vllm`.
- SGLang: `python/sglang/multimodal_gen/runtime/entrypoints/openai/protocol.py` (generations), `image_api.py` (the form
  of edits) and `common_api.py` (`GET models` says `sglang`).
- OpenAI's own API: the signatures of the openai client.

All of them read the pictures of edits from files named `image` or `image[]`. These servers refuse every field that is
not in their table, which the real ones would pass over in silence.
"""

import base64
import io
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from PIL import Image

from studio_ports import free_port

STANDARD = {"model": str, "prompt": str, "n": int, "size": str, "response_format": str, "user": str}
DIFFUSION = {
    "seed": int,
    "num_inference_steps": int,
    "guidance_scale": float,
    "true_cfg_scale": float,
    "negative_prompt": str,
}
LOOKS = {"output_format": str, "background": str, "output_compression": int}
GENERATIONS = {
    "vllm": STANDARD
    | DIFFUSION
    | {
        "output_format": str,
        "output_compression": int,
        "generator_device": str,
        "lora": dict,
        "layers": int,
        "flow_shift": float,
        "extra_params": dict,
        "bot_task": str,
        "system_prompt": str,
        "use_system_prompt": str,
        "return_stage_metrics": bool,
        "vae_use_slicing": bool,
        "vae_use_tiling": bool,
    },
    "sglang": STANDARD
    | DIFFUSION
    | LOOKS
    | {
        "quality": str,
        "style": str,
        "generator_device": str,
        "output_quality": str,
        "task_type": str,
        "enhance_prompt": bool,
        "width": int,
        "height": int,
        "enable_teacache": bool,
        "max_sequence_length": int,
        "flow_shift": float,
        "enable_upscaling": bool,
        "upscaling_model_path": str,
        "upscaling_scale": int,
        "diffusers_kwargs": dict,
        "perf_dump_path": str,
        "profile": bool,
        "progressive_mode": str,
        "progressive_levels": int,
        "progressive_delta": float,
    },
    "somebody": STANDARD | LOOKS | {"quality": str, "style": str, "moderation": str, "partial_images": int},
}
EDITS = {
    "vllm": STANDARD
    | DIFFUSION
    | LOOKS
    | {
        "url": str,
        "url[]": str,
        "lora": str,
        "stream": bool,
        "guidance_scale_2": float,
        "strength": float,
        "generator_device": str,
        "layers": int,
        "resolution": int,
        "bot_task": str,
        "sys_type": str,
        "system_prompt": str,
        "return_stage_metrics": bool,
    },
    "sglang": STANDARD
    | DIFFUSION
    | LOOKS
    | {
        "url": str,
        "url[]": str,
        "enhance_prompt": bool,
        "task_type": str,
        "generator_device": str,
        "quality": str,
        "output_quality": str,
        "enable_teacache": bool,
        "enable_cache_dit": bool,
        "cache_dit_params": str,
        "enable_upscaling": bool,
        "upscaling_model_path": str,
        "upscaling_scale": int,
        "perf_dump_path": str,
        "profile": bool,
        "num_frames": int,
    },
    "somebody": STANDARD | LOOKS | {"quality": str, "input_fidelity": str, "partial_images": int},
}
RANGES = {"n": (1, 10), "num_inference_steps": (1, 200), "guidance_scale": (0, 20), "true_cfg_scale": (0, 20)}


@dataclass(kw_only=True)
class Asked:
    """One call, as it came."""

    path: str
    fields: dict[str, Any]
    images: list[Image.Image] = field(default_factory=list)
    key: str = ""


class ImageServer:
    """`owner` is what its models are owned by; `reply` may answer in place of a picture, by the number of the call."""

    def __init__(self, owner: str, *models: str, reply: Callable[[int], Response | None] = lambda _: None) -> None:
        self.owner, self.models, self.reply = owner, models or ("a-model",), reply
        self.asked: list[Asked] = []
        self.calls = 0
        app = FastAPI()
        app.get("/v1/models")(self._list)
        app.post("/v1/images/generations")(self._generate)
        app.post("/v1/images/edits")(self._edit)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/v1"
        self._server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def __enter__(self) -> "ImageServer":
        self._thread.start()
        until = time.monotonic() + 30
        while not self._server.started and time.monotonic() < until:
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)

    async def _list(self) -> Any:
        cards = [{"id": name, "object": "model", "created": 1, "owned_by": self.owner} for name in self.models]
        return {"object": "list", "data": cards}

    async def _generate(self, request: Request) -> Response:
        fields = await request.json()
        return self._answer(request, Asked(path="generations", fields=fields), GENERATIONS[self.owner])

    async def _edit(self, request: Request) -> Response:
        asked = Asked(path="edits", fields={})
        known = EDITS[self.owner]
        async with request.form() as form:
            for name, value in form.multi_items():
                if name in ("image", "image[]"):
                    asked.images.append(Image.open(io.BytesIO(await value.read())).convert("RGB"))  # pyright: ignore
                else:
                    asked.fields[name] = known.get(name, str)(value)
        if not asked.images:
            return _refused(422, "Field 'image' or 'url' is required")
        return self._answer(request, asked, known)

    def _answer(self, request: Request, asked: Asked, known: dict[str, type]) -> Response:
        self.calls += 1
        if (said := self.reply(self.calls)) is not None:
            return said
        asked.key = request.headers.get("authorization", "").removeprefix("Bearer ")
        for name, value in asked.fields.items():
            if name not in known:
                return _refused(422, f"unknown field {name}")
            if not isinstance(value, (known[name], int) if known[name] is float else known[name]):
                return _refused(422, f"{name} is {value!r}, no {known[name].__name__}")
            if name in RANGES and not RANGES[name][0] <= value <= RANGES[name][1]:
                return _refused(422, f"{name} is {value}, out of its range")
        if not asked.fields.get("prompt") or asked.fields.get("response_format", "b64_json") != "b64_json":
            return _refused(422, "no prompt, or a format that is not offered")
        self.asked.append(asked)
        width, _, height = asked.fields.get("size", "64x48").partition("x")
        return pictures((int(width), int(height)), count=asked.fields.get("n", 1), shade=asked.fields.get("seed", 0))


def pictures(size: tuple[int, int], *, count: int = 1, shade: int = 0) -> Response:
    """An answer with pictures of one colour, which the seed decides."""
    buffer = io.BytesIO()
    Image.new("RGB", size, (shade % 256, 80, 160)).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    return JSONResponse({"created": 1, "data": [{"b64_json": text, "revised_prompt": None}] * count})


def _refused(status: int, message: str) -> Response:
    return JSONResponse({"detail": message}, status_code=status)


def refusal(status: int, message: str = "no", **headers: str) -> Response:
    """An error as OpenAI's API has it."""
    return JSONResponse({"error": {"message": message, "type": "x"}}, status_code=status, headers=headers)
