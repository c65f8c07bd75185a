"""Every family at toy size with random weights: real architectures, real tokenizers, nothing fetched."""

from dataclasses import replace
from functools import cache

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2Transformer2DModel,
    FluxTransformer2DModel,
    SD3Transformer2DModel,
)
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5EncoderModel,
)

from triptych.models.backbone import Backbone, Card, Conditioning, Drafts, Grid
from triptych.models.flux1.backbone import Flux1, Flux1Text
from triptych.models.flux2.backbone import Flux2, MistralText, QwenText, References
from triptych.models.reading import read
from triptych.models.sd3.backbone import SD3, SD3Text
from triptych.page import Page
from triptych.sampling.encode import draft_of, encode_text
from triptych.sampling.solvers import Reached, denoise
from triptych.sampling.ways import WAYS
from triptych.sampling.ways.base import Plan, slot_noise
from triptych.sampling.working import working_page

LAYERS = (1, 2, 3)
VISION = ("<|vision_start|>", "<|image_pad|>", "<|vision_end|>")
WORDS = (
    "a",
    "the",
    "fox",
    "on",
    "beach",
    "at",
    "dusk",
    "red",
    "blue",
    "wide",
    "shot",
    "in",
    "snow",
    "[",
    "]",
    "1",
    "2",
)
CHAT = (
    "{% for m in messages %}<|im_start|> {{ m['role'] }} "
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}{{ c['text'] }}{% endfor %}"
    "{% endif %} <|im_end|> {% endfor %}{% if add_generation_prompt %}<|im_start|> assistant{% endif %}"
)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """Whole words; unknown ones become <unk>, so any prompt can be read."""
    vocabulary = [
        "<pad>",
        "<unk>",
        "<eos>",
        "<bos>",
        "<|im_start|>",
        "<|im_end|>",
        *VISION,
        "user",
        "assistant",
        "system",
        *WORDS,
        "<|video_pad|>",
    ]
    core = Tokenizer(models.WordLevel({word: index for index, word in enumerate(vocabulary)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    made = PreTrainedTokenizerFast(
        tokenizer_object=core,
        chat_template=CHAT,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<eos>",
        model_max_length=16,
    )
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>", *VISION, "<|video_pad|>"]})
    return made


def picture(seed: int, width: int = 64, height: int = 64) -> Image.Image:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 256, (height, width, 3), generator=generator, dtype=torch.uint8)
    return Image.fromarray(values.numpy())


def card(*conditionings: Conditioning, channels: int, factor: int, **changes: object) -> Card:
    facts: dict = {
        "name": "tiny",
        "family": "tiny",
        "conditionings": conditionings,
        "factor": factor,
        "channels": channels,
        "side_px": 80,
        "steps": 3,
        "guidance": None,
        "max_text_tokens": 64,
        "licence": "none",
    }
    return Card(**(facts | changes))


def frozen(module: torch.nn.Module) -> torch.nn.Module:
    """In evaluation mode, with weights large enough that every part of the network is heard in its output."""
    generator = torch.Generator().manual_seed(7)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1:
            parameter.data.normal_(0, parameter[0].numel() ** -0.5, generator=generator)
        elif name.endswith("bias"):
            parameter.data.normal_(0, 0.1, generator=generator)
    return module.eval().requires_grad_(False)


def dynamic_scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift=3.0)


def flux2_transformer(
    text_width: int = 48, *, guidance: bool = False, heads: int = 2, single_blocks: int = 2
) -> Flux2Transformer2DModel:
    return frozen(
        Flux2Transformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=single_blocks,
            attention_head_dim=16,
            num_attention_heads=heads,
            joint_attention_dim=text_width,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=guidance,
        )
    )


def flux2_vae() -> AutoencoderKLFlux2:
    vae = AutoencoderKLFlux2(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=2,
    )
    frozen(vae)
    generator = torch.Generator().manual_seed(3)
    vae.bn.running_mean.normal_(0, 0.3, generator=generator)
    vae.bn.running_var.uniform_(0.5, 2, generator=generator)
    return vae


def qwen3(layers: int = 4) -> Qwen3ForCausalLM:
    config = Qwen3Config(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    return frozen(Qwen3ForCausalLM(config))


def klein(
    references: References = References.JOINT, *, heads: int = 2, single_blocks: int = 2, **facts: object
) -> Flux2:
    text = QwenText(qwen3(), tokenizer(), limit=64, layers=LAYERS)
    ways = (Conditioning.REFERENCE, Conditioning.REPAINT)
    return Flux2(
        card=card(*ways, channels=16, factor=4, **facts),
        transformer=flux2_transformer(heads=heads, single_blocks=single_blocks),
        vae=flux2_vae(),
        text=text,
        scheduler=dynamic_scheduler(),
        references=references,
    )


def mistral(layers: int = 4) -> MistralForCausalLM:
    config = MistralConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
    )
    return frozen(MistralForCausalLM(config))


def dev() -> Flux2:
    """FLUX.2-dev: Mistral reads, and guidance is distilled."""
    return Flux2(
        card=card(Conditioning.REFERENCE, channels=16, factor=4, guidance=3.5),
        transformer=flux2_transformer(guidance=True),
        vae=flux2_vae(),
        text=MistralText(mistral(), tokenizer(), limit=64, layers=LAYERS),
        scheduler=dynamic_scheduler(),
    )


def kl_vae(latent_channels: int = 4) -> AutoencoderKL:
    """As FLUX.1's and SD3's, its posterior so narrow that a sample is the mode: the pipelines draw, we do not."""
    vae = AutoencoderKL(
        block_out_channels=(4, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=latent_channels,
        norm_num_groups=2,
        scaling_factor=0.36,
        shift_factor=0.12,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    frozen(vae)
    vae.encoder.conv_out.weight[latent_channels:] = 0
    vae.encoder.conv_out.bias[latent_channels:] = -60
    return vae


def t5(width: int = 16) -> T5EncoderModel:
    return frozen(T5EncoderModel(T5Config(vocab_size=64, d_model=width, d_kv=8, d_ff=32, num_layers=2, num_heads=2)))


def clip(**more: int) -> CLIPTextModel:
    return frozen(CLIPTextModel(clip_config(**more)))


def clip_config(**more: int) -> CLIPTextConfig:
    return CLIPTextConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        max_position_embeddings=77,
        eos_token_id=2,
        **more,
    )


def flux1(
    kind: type[Flux1], way: Conditioning = Conditioning.REPAINT, *, guidance_embeds: bool = True, dynamic: bool = True
) -> Flux1:
    extra = 16 + 4 * 2 * 2 if way is Conditioning.FILL else 0
    transformer = FluxTransformer2DModel(
        in_channels=16 + extra,
        out_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=16,
        guidance_embeds=guidance_embeds,
        axes_dims_rope=(4, 6, 6),
    )
    return kind(
        card=card(way, channels=16, factor=4, guidance=3.5 if guidance_embeds else None),
        transformer=frozen(transformer),
        vae=kl_vae(),
        text=Flux1Text(
            clip=clip(), clip_tokenizer=tokenizer(), t5=t5(), t5_tokenizer=tokenizer(), limit=64, clip_limit=16
        ),
        scheduler=dynamic_scheduler() if dynamic else FlowMatchEulerDiscreteScheduler(shift=1.0),
    )


@torch.no_grad()
def filled(
    backbone: Backbone, page: Page, conditioning: Conditioning, *, steps: int = 3, guidance: float | None = None
) -> list[Tensor]:
    """What `generate` computes, before it becomes 8-bit pictures: each target that is shown, in [0, 1]."""
    working = working_page(page, backbone.card)
    plan = WAYS[conditioning].plan(backbone, [working], [0])
    last = solved(backbone, working, plan, steps=steps, guidance=guidance)
    grids = plan.targets.grids
    parts = last.tokens.split([grid.tokens for grid in grids], dim=1)
    shown = sorted({cut.target for cut in plan.cuts})
    return [backbone.decode_images(parts[target], grids[target]) / 2 + 0.5 for target in shown]


def solved(backbone: Backbone, page: Page, plan: Plan, *, steps: int = 3, guidance: float | None = None) -> Reached:
    """The end of a working page."""
    negative = encode_text(backbone, [page], negative=True) if backbone.card.negative is not None else None
    context = read(backbone, encode_text(backbone, [page]), plan.conditions, guidance=guidance, negative=negative)
    if isinstance(backbone, Drafts):
        context = replace(context, draft=draft_of(backbone, [page], plan.targets.grids, plan.seeds))
    *_, last = denoise(
        lambda tokens, t, toward: backbone.velocity(
            tokens,
            torch.full((len(tokens),), t, device=tokens.device),
            context,
            replace(plan.targets, toward=torch.full((len(tokens),), toward, device=tokens.device)),
        ),
        plan,
        backbone.schedule(steps, plan.tokens),
    )
    return last


def start(backbone: Backbone, width: int, height: int) -> tuple[Tensor, Grid]:
    """The tokens that slot 0 of seed 0 starts from."""
    factor = backbone.card.factor
    grid = Grid(frame=0, rows=height // factor, columns=width // factor)
    return slot_noise(0, 0, grid, backbone.card.channels)[None], grid


def sd3(**facts: object) -> SD3:
    transformer = SD3Transformer2DModel(
        sample_size=32,
        in_channels=16,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=40,
        caption_projection_dim=32,
        pooled_projection_dim=32,
        out_channels=16,
        pos_embed_max_size=40,
        qk_norm="rms_norm",
    )
    clips = tuple(frozen(CLIPTextModelWithProjection(clip_config(projection_dim=16))) for _ in range(2))
    return SD3(
        card=card(Conditioning.REPAINT, channels=64, factor=4, **facts),
        transformer=frozen(transformer),
        vae=kl_vae(latent_channels=16),
        text=SD3Text(
            clips=clips,
            clip_tokenizers=(tokenizer(), tokenizer()),
            t5=t5(40),
            t5_tokenizer=tokenizer(),
            limit=64,
            clip_limit=16,
        ),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    """Equal as the promise to users says."""
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=0)
