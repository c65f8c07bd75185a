"""diffusers' own pipelines around the parts of a backbone: what ours is compared with."""

from inspect import signature
from typing import Any

from torch import nn

from tiny_qwen import Processor, Processor21
from triptych.models.flux1.backbone import Flux1Text
from triptych.models.glm_image.reading import GlmText
from triptych.models.latent import LatentBackbone
from triptych.models.qwen.backbone import QwenEditText
from triptych.models.qwen21.backbone import Qwen21Text
from triptych.models.qwen_layered.backbone import QwenLayeredText
from triptych.models.sd3.backbone import SD3Text
from triptych.models.z_image.text import ZImageText


def stock(backbone: LatentBackbone, kind: type, **more: object) -> Any:
    """The pipeline of this kind, silent, on the same transformer, codec, text encoders and scheduler."""
    taken = signature(kind).parameters
    pipeline = kind(
        scheduler=backbone._scheduler,
        vae=backbone.codec.vae,
        transformer=backbone.transformer,
        **{name: part for name, part in text_parts(backbone.text).items() if name in taken},
        **more,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def text_parts(text: Any) -> dict[str, object]:
    match text:
        case Flux1Text():
            return {
                "text_encoder": text.clip,
                "tokenizer": text.clip_tokenizer,
                "text_encoder_2": text.t5,
                "tokenizer_2": text.t5_tokenizer,
            }
        case SD3Text():
            return {
                "text_encoder": text.clips[0],
                "tokenizer": text.clip_tokenizers[0],
                "text_encoder_2": text.clips[1],
                "tokenizer_2": text.clip_tokenizers[1],
                "text_encoder_3": text.t5,
                "tokenizer_3": text.t5_tokenizer,
            }
        case GlmText():
            return {
                "text_encoder": text.glyphs,
                "tokenizer": text.glyph_tokenizer,
                "vision_language_encoder": text.drafter,
                "processor": (text.tokenizer, text.image_processor),
            }
        case Qwen21Text():
            processor = Processor21(text.image_processor, text.tokenizer)
            return {"text_encoder": text.encoder, "processor": processor}
        case ZImageText():
            return {
                "text_encoder": text.encoder,
                "tokenizer": text.tokenizer,
                "siglip": text.eyes,
                "siglip_processor": text.image_processor,
            }
        case QwenLayeredText():
            processor = Processor(text.image_processor, text.tokenizer)
            return {"text_encoder": text.encoder, "tokenizer": text.tokenizer, "processor": processor}
        case QwenEditText():
            processor = Processor(text.image_processor, text.tokenizer)
            return {"text_encoder": text.encoder, "tokenizer": text.tokenizer, "processor": processor}
    return {"text_encoder": text.encoder, "tokenizer": text.tokenizer if hasattr(text, "tokenizer") else text.processor}


def with_token_types(encoder: nn.Module) -> None:
    """What Qwen-Image-Edit's pipeline leaves out: transformers 5 places pixels in two dimensions, as Qwen2.5-VL was
    trained, only where it is told which tokens they are."""

    def tell(module, positional, named):
        named.setdefault("mm_token_type_ids", (named["input_ids"] == module.config.image_token_id).int())
        return positional, named

    encoder.register_forward_pre_hook(tell, with_kwargs=True)
