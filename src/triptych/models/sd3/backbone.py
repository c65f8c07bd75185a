"""Stable Diffusion 3.5: text to picture, so conditions enter by repaint."""

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, SD3Transformer2DModel
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextModelWithProjection, PreTrainedTokenizerBase, T5EncoderModel

from triptych.errors import BackboneError
from triptych.models.backbone import Card, Context, Targets, Text
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
        return self._spaced(num_inference_steps=steps, mu=mu)

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`. Raises BackboneError for a canvas beyond the model's positions."""
        (grid,) = targets.grids
        most = self.transformer.config.pos_embed_max_size
        if max(grid.rows, grid.columns) > most:
            factor = self.card.factor
            raise BackboneError(
                f"the canvas is {grid.columns * factor}x{grid.rows * factor} px and {self.card.name} "
                f"has positions for {most * factor} px a side. Use smaller panels or another layout."
            )

        def one_pass(read: Context, _: bool) -> Tensor:
            velocity = self.transformer(
                hidden_states=unpack(tokens, grid),
                timestep=1000 * t,
                encoder_hidden_states=read.text.embeds,
                pooled_projections=read.text.pooled,
                return_dict=False,
            )[0]
            return pack(velocity)

        return guided(context, one_pass)
