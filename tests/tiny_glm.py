"""GLM-Image at toy size with random weights. Its codec and its language model keep their factors: 8 and 32 px."""

from functools import cache

from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, GlmImageTransformer2DModel
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import (
    ByT5Tokenizer,
    GlmImageConfig,
    GlmImageForConditionalGeneration,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)
from transformers.models.glm_image.image_processing_pil_glm_image import GlmImageImageProcessorPil

from tiny_models import WORDS, card, frozen
from triptych.models.backbone import Conditioning
from triptych.models.glm_image.backbone import GlmImage
from triptych.models.glm_image.reading import GlmText

CODES = 32
_MARKS = ("<|begin|>", "<|end|>", "<|image|>", "<|sop|>", "<|eop|>", "<pad>", "<unk>")
_CHAT = (
    "{% for m in messages %}{% for c in m['content'] %}{% if c['type'] == 'image' %}<|begin|> <|image|> <|end|>"
    "{% else %} {{ c['text'] }}{% endif %}{% endfor %}{% endfor %}"
)


@cache
def glm_tokenizer() -> PreTrainedTokenizerFast:
    numbers = [str(number) for number in range(20) if str(number) not in WORDS]
    vocabulary = [*(f"<v{number}>" for number in range(CODES)), *_MARKS, *WORDS, *numbers]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=_CHAT,
        bos_token="<|begin|>",
        pad_token="<pad>",
        unk_token="<unk>",
        extra_special_tokens={"image_token": "<|image|>", "grid_bos_token": "<|sop|>", "grid_eos_token": "<|eop|>"},
    )
    made.add_special_tokens({"additional_special_tokens": ["<|end|>"]})
    return made


def drafter() -> GlmImageForConditionalGeneration:
    begin, end, image, pad = glm_tokenizer().convert_tokens_to_ids(["<|begin|>", "<|end|>", "<|image|>", "<pad>"])
    config = GlmImageConfig(
        text_config={
            "vocab_size": 128,
            "hidden_size": 16,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "vision_vocab_size": CODES,
            "pad_token_id": pad,
            "eos_token_id": end,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]},
        },
        vision_config={"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 32, "image_size": 64},
        vq_config={"embed_dim": 8, "num_embeddings": CODES, "latent_channels": 16},
        image_token_id=image,
        image_start_token_id=begin,
        image_end_token_id=end,
    )
    return frozen(GlmImageForConditionalGeneration(config))


def glm_vae() -> AutoencoderKL:
    return frozen(
        AutoencoderKL(
            block_out_channels=(4, 4, 4, 4),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=2,
            latents_mean=[0.1, -0.2, 0.3, 0.0],
            latents_std=[0.8, 1.2, 1.0, 0.9],
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
    )


def glm_image(**facts: object) -> GlmImage:
    transformer = GlmImageTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        text_embed_dim=16,
        time_embed_dim=32,
        condition_dim=8,
        prior_vq_quantizer_codebook_size=CODES,
    )
    glyphs = T5Config(vocab_size=384, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    eyes = {"patch_size": 16, "temporal_patch_size": 1, "merge_size": 1}
    return GlmImage(
        card=card(
            Conditioning.REFERENCE,
            channels=64,
            factor=32,
            **{"guidance": 1.5, "negative": "", "picture_name": "image {number}", "side_px": 96, **facts},
        ),
        transformer=frozen(transformer),
        vae=glm_vae(),
        text=GlmText(
            drafter=drafter(),
            processor=(glm_tokenizer(), GlmImageImageProcessorPil(**eyes)),
            glyphs=frozen(T5EncoderModel(glyphs)),
            glyph_tokenizer=ByT5Tokenizer(),
            limit=64,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(
            use_dynamic_shifting=True, base_shift=0.25, max_shift=0.75, time_shift_type="linear"
        ),
    )
