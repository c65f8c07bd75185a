"""Stable Diffusion 3.5: text to picture, so conditions enter by repaint."""

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerBase, T5EncoderModel

from triptych.errors import BackboneError
from triptych.models.backbone import Card, Sequences, Text
from triptych.models.codecs import KLCodec, pack, unpack
from triptych.models.latent import LatentBackbone, guided, linear_mu
from triptych.models.text import read_beginnings, read_with_t5
from triptych.prompts import Prompt

__all__ = ["SD3", "SD3Text"]


class SD3Text:
    """Two CLIPs read the first 77 tokens, T5 the whole prompt; only T5's limit is an error."""

    def __init__(
        self,
        *,
        clips: tuple[CLIPTextModelWithProjection, CLIPTextModelWithProjection],
        clip_tokenizers: tuple[PreTrainedTokenizerBase, PreTrainedTokenizerBase],
        t5: T5EncoderModel,
        t5_tokenizer: PreTrainedTokenizerBase,
        limit: int = 256,
        clip_limit: int = 77,
    ) -> None:
        self.clips, self.clip_tokenizers, self.clip_limit = clips, clip_tokenizers, clip_limit
        self.t5, self.t5_tokenizer, self.limit = t5, t5_tokenizer, limit

    def encode(
        self, prompts: Sequence[Prompt]
    ) -> tuple[Float[Tensor, "batch length width"], Float[Tensor, "batch pooled"]]:
        """The CLIPs side by side and widened to T5, then T5; and the CLIPs' summaries."""
        whole = read_with_t5(prompts, self.t5, self.t5_tokenizer, self.limit)
        read = [
            read_beginnings(prompts, clip, tokenizer, self.clip_limit, states=True)
            for clip, tokenizer in zip(self.clips, self.clip_tokenizers, strict=True)
        ]
        sequences = [output.hidden_states[-2] for output in read]
        summaries = [output.text_embeds for output in read]
        both = torch.cat(sequences, dim=-1)
        both = functional.pad(both, (0, whole.shape[-1] - both.shape[-1]))
        return torch.cat((both, whole), dim=1), torch.cat(summaries, dim=-1)


class SD3(LatentBackbone):
    """A Stable Diffusion 3.5 checkpoint."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: SD3Transformer2DModel,
        vae: AutoencoderKL,
        text: SD3Text,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=KLCodec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:  # noqa: ARG002
        """Text has no positions here; `frames` is not used."""
        embeds, pooled = self.text.encode(prompts)
        return Text(
            embeds=embeds.to(self.device, self.dtype),
            positions=torch.zeros(embeds.shape[1], 2),
            pooled=pooled.to(self.device, self.dtype),
        )

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        config = self._scheduler.config
        mu = linear_mu(tokens, config) if config.use_dynamic_shifting else None
        # Not from evenly spaced noise levels: SD3 spaces its timesteps, whose last is just above 0.
        self._scheduler.set_timesteps(num_inference_steps=steps, mu=mu)
        return tuple(self._scheduler.sigmas.tolist())

    def velocity_field(self, sequences: Sequences) -> "_Field":
        """Nothing is kept between calls. Raises BackboneError for a canvas beyond the model's positions."""
        return _Field(self, sequences)


class _Field:
    def __init__(self, backbone: SD3, sequences: Sequences) -> None:
        (self._grid,) = sequences.targets
        most = backbone.transformer.config.pos_embed_max_size
        if max(self._grid.rows, self._grid.columns) > most:
            factor = backbone.card.factor
            raise BackboneError(
                f"the canvas is {self._grid.columns * factor}x{self._grid.rows * factor} px and {backbone.card.name} "
                f"has positions for {most * factor} px a side. Use smaller panels or another layout."
            )
        self._backbone, self._sequences = backbone, sequences

    def __call__(
        self, tokens: Float[Tensor, "batch target channels"], t: float
    ) -> Float[Tensor, "batch target channels"]:
        return guided(self._sequences, lambda text: self._pass(tokens, t, text))

    def _pass(self, tokens: Tensor, t: float, text: Text) -> Tensor:
        velocity = self._backbone.transformer(
            hidden_states=unpack(tokens, self._grid),
            timestep=torch.full((tokens.shape[0],), 1000 * t, device=tokens.device),
            encoder_hidden_states=text.embeds,
            pooled_projections=text.pooled,
            return_dict=False,
        )[0]
        return pack(velocity)
