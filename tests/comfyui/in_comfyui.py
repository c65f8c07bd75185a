"""Run a workflow in a checkout of ComfyUI: `python in_comfyui.py CHECKOUT FOLDER`, with ComfyUI's own Python.

FOLDER has `workflow.json`, `given.safetensors` (noise and encoded texts), `models`, `input`, and gets `output`.
Three things are not ComfyUI's own. The number of attention heads, which it takes for that of the full-size models, is
read off the width. Encoded texts are given, since its text encoders come in full size alone. So is the noise, which
every program draws in an order of its own.
"""

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace

checkout, folder = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
sys.path.insert(0, str(checkout))
sys.argv = ["main.py", "--cpu", "--force-fp32", "--base-directory", str(folder)]

import comfy.options  # noqa: E402

comfy.options.enable_args_parsing()

# isort: off
import utils.extra_config  # noqa: E402, F401  before nodes.py hides this package behind a module of its name
import comfy.model_detection  # noqa: E402
import comfy.sample  # noqa: E402
import execution  # noqa: E402
import nodes  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
# isort: on

HEAD = 128
GIVEN = load_file(folder / "given.safetensors")
detect = comfy.model_detection.detect_unet_config


def detected(*args, **kwargs):
    config = detect(*args, **kwargs)
    return config | {"num_heads": config["hidden_size"] // HEAD}


class GivenEncoder:
    RETURN_TYPES, FUNCTION, CATEGORY = ("CLIP",), "load", "test"

    def load(self, **_):
        return (None,)


class GivenPair(GivenEncoder):
    INPUT_TYPES = nodes.DualCLIPLoader.INPUT_TYPES


class GivenOne(GivenEncoder):
    INPUT_TYPES = nodes.CLIPLoader.INPUT_TYPES


class GivenText:
    INPUT_TYPES = nodes.CLIPTextEncode.INPUT_TYPES
    RETURN_TYPES, FUNCTION, CATEGORY = ("CONDITIONING",), "encode", "test"

    def encode(self, text, **_):
        return ([[GIVEN[f"text {text}"], {"pooled_output": GIVEN.get(f"pooled {text}")}]],)


async def main() -> int:
    await nodes.init_extra_nodes(init_custom_nodes=False, init_api_nodes=False)
    comfy.model_detection.detect_unet_config = detected
    comfy.sample.prepare_noise = lambda *_: GIVEN["noise"]
    workflow = json.loads((folder / "workflow.json").read_text())
    # As a user sees it: every class, input and value is one that ComfyUI has.
    valid, error, outputs, faults = await execution.validate_prompt("1", workflow, None)
    if not valid:
        print(json.dumps([error, faults], indent=1))
        return 1
    nodes.NODE_CLASS_MAPPINGS |= {"DualCLIPLoader": GivenPair, "CLIPLoader": GivenOne, "CLIPTextEncode": GivenText}
    server = SimpleNamespace(client_id=None, last_node_id=None, send_sync=lambda *_: None)
    executor = execution.PromptExecutor(server, cache_args={"lru": 0, "ram": 0})
    await executor.execute_async(workflow, "1", {}, outputs)
    if not executor.success:
        print(json.dumps(executor.status_messages, indent=1, default=str))
    return 0 if executor.success else 1


sys.exit(asyncio.run(main()))
