"""Qwen-Image's families at toy size with random weights, and their processor as the pipelines call it."""

from diffusers import (
    AutoencoderKLQwenImage,
    AutoencoderKLQwenImage21,
    QwenImage21Transformer2DModel,
    QwenImageTransformer2DModel,
)
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tiny_models import CHAT, VISION, WORDS, card, dynamic_scheduler, frozen, tokenizer
from triptych.models.backbone import Conditioning
from triptych.models.qwen.backbone import QwenEdit, QwenEditText
from triptych.models.qwen21.backbone import Qwen21, Qwen21Text
from triptych.models.qwen_layered.backbone import QwenLayered, QwenLayeredText


class Processor(Qwen2VLProcessor):
    """transformers' processor without its part for videos, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=CHAT):
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)


class Processor21(Qwen3VLProcessor):
    """The same for Qwen-Image 2.1."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=CHAT):
        super().__init__(image_processor, tokenizer, None, chat_template=chat_template)


def qwen_vae(colours: int = 3, channels: int = 4) -> AutoencoderKLQwenImage:
    return frozen(
        AutoencoderKLQwenImage(
            input_channels=colours,
            base_dim=8,
            z_dim=channels,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.1, -0.2, 0.3, 0.0][:channels],
            latents_std=[0.8, 1.2, 1.0, 0.9][:channels],
        )
    )


def qwen_vl() -> Qwen2_5_VLForConditionalGeneration:
    text = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [1, 1, 2]},
    }
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": 16,
        "fullatt_block_indexes": [1],
        "window_size": 56,
    }
    start, pad, end = tokenizer().convert_tokens_to_ids(list(VISION))
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=pad,
        vision_start_token_id=start,
        vision_end_token_id=end,
        video_token_id=63,
    )
    return frozen(Qwen2_5_VLForConditionalGeneration(config))


def qwen_edit(*, zero_cond_t: bool = False, seen_side_px: int | None = 64, **facts: object) -> QwenEdit:
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
        zero_cond_t=zero_cond_t,
    )
    return QwenEdit(
        card=card(Conditioning.REFERENCE, channels=16, factor=4, **facts),
        transformer=frozen(transformer),
        vae=qwen_vae(),
        text=QwenEditText(
            qwen_vl(),
            tokenizer(),
            Qwen2VLImageProcessorPil(min_pixels=784, max_pixels=78400),
            seen_side_px=seen_side_px,
            limit=110,
        ),
        scheduler=dynamic_scheduler(),
    )


def talkative(encoder: Qwen2_5_VLForConditionalGeneration) -> Qwen2_5_VLForConditionalGeneration:
    """It says each known word once at most, and ends with one of them."""
    told = set(tokenizer().convert_tokens_to_ids(list(WORDS)))
    settings = encoder.generation_config
    settings.suppress_tokens = [number for number in range(64) if number not in told]
    settings.no_repeat_ngram_size = 1
    settings.eos_token_id = tokenizer().convert_tokens_to_ids("snow")
    settings.bos_token_id = None
    return encoder


def qwen_layered(**facts: object) -> QwenLayered:
    # Not four latent channels: the pipeline takes a picture of as many colours for latents.
    transformer = QwenImageTransformer2DModel(
        in_channels=8,
        out_channels=2,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
        use_additional_t_cond=True,
        use_layer3d_rope=True,
    )
    text = QwenLayeredText(
        talkative(qwen_vl()), tokenizer(), Qwen2VLImageProcessorPil(min_pixels=784, max_pixels=78400), limit=110
    )
    # Its system message has fewer tokens in the small vocabulary.
    text.untold = 20
    return QwenLayered(
        card=card(Conditioning.REFERENCE, channels=8, factor=4, layered=True, one_area=True, **facts),
        transformer=frozen(transformer),
        vae=qwen_vae(4, 2),
        text=text,
        scheduler=dynamic_scheduler(),
    )


def qwen21_vae() -> AutoencoderKLQwenImage21:
    return frozen(
        AutoencoderKLQwenImage21(
            base_dim=8,
            decoder_base_dim=8,
            z_dim=4,
            dim_mult=[1, 1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[0.8, 1.2, 1.0, 0.9],
        )
    )


def qwen3_vl(layers: int = 3) -> Qwen3VLForConditionalGeneration:
    text = {
        "vocab_size": 64,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 8,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
    }
    vision = {
        "depth": 2,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": 16,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
    }
    start, pad, end = tokenizer().convert_tokens_to_ids(list(VISION))
    config = Qwen3VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=pad,
        vision_start_token_id=start,
        vision_end_token_id=end,
        video_token_id=63,
    )
    return frozen(Qwen3VLForConditionalGeneration(config))


def qwen21(*, sample_sigmas: list[float] | None = None, causal: bool = True, **facts: object) -> Qwen21:
    transformer = QwenImage21Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        context_in_dim=16,
        axes_dims_rope=(4, 6, 6),
        causal_condition=causal,
    )
    return Qwen21(
        card=card(Conditioning.REFERENCE, channels=16, factor=32, **facts),
        transformer=frozen(transformer),
        vae=qwen21_vae(),
        text=Qwen21Text(
            qwen3_vl(),
            tokenizer(),
            Qwen2VLImageProcessorPil(patch_size=16, min_pixels=1024, max_pixels=78400),
            limit=110,
        ),
        scheduler=dynamic_scheduler(),
        sample_sigmas=sample_sigmas,
    )
