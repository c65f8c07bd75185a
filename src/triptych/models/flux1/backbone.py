"""FLUX.1-dev and schnell: text to picture, so conditions enter by repaint."""

from collections.abc import Sequence

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel
from jaxtyping import Float
from torch import Tensor
from transformers import CLIPTextModel, PreTrainedTokenizerBase, T5EncoderModel

from triptych.models.backbone import Card, Conditions, Context, Targets, Text
from triptych.models.codecs import KLCodec
from triptych.models.latent import LatentBackbone, all_positions, distilled_guidance, linear_mu
from triptych.models.text import read_beginnings, read_with_t5
from triptych.prompts import Prompt

__all__ = ["Flux1", "Flux1Text"]


class Flux1Text:
    """T5 reads the whole prompt. CLIP gives one summarising vector, of the first 77 tokens: long prompts are expected
    to be longer than that, so only T5's limit is an error."""

    def __init__(
        self,
        *,
        clip: CLIPTextModel,
        clip_tokenizer: PreTrainedTokenizerBase,
        t5: T5EncoderModel,
        t5_tokenizer: PreTrainedTokenizerBase,
        limit: int = 512,
        clip_limit: int = 77,
    ) -> None:
        self.clip, self.clip_tokenizer, self.clip_limit = clip, clip_tokenizer, clip_limit
        self.t5, self.t5_tokenizer, self.limit = t5, t5_tokenizer, limit

    def encode(
        self, prompts: Sequence[Prompt]
    ) -> tuple[Float[Tensor, "batch length width"], Float[Tensor, "batch pooled"]]:
        """T5's sequence, padded to the limit, and CLIP's vector. Raises PromptError for a prompt above T5's limit."""
        long = read_with_t5(prompts, self.t5, self.t5_tokenizer, self.limit)
        return long, read_beginnings(prompts, self.clip, self.clip_tokenizer, self.clip_limit).pooler_output


class Flux1(LatentBackbone):
    """A FLUX.1 transformer; its kin differ in how references are placed and in the channels they add."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: FluxTransformer2DModel,
        vae: AutoencoderKL,
        text: Flux1Text,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=KLCodec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts(self, prompts: Sequence[Prompt], frames: Sequence[int]) -> Text:  # noqa: ARG002
        """One sequence a page at the origin, as FLUX.1 was trained; `frames` is not used."""
        embeds, pooled = self.text.encode(prompts)
        return Text(
            embeds=embeds.to(self.device, self.dtype),
            positions=torch.zeros(embeds.shape[1], 3, device=self.device),
            pooled=pooled.to(self.device, self.dtype),
        )

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        config = self._scheduler.config
        return self._levels(steps, mu=linear_mu(tokens, config) if config.use_dynamic_shifting else None)

    def places(
        self, targets: Targets, conditions: Conditions | None
    ) -> tuple[Float[Tensor, "target 3"], Float[Tensor, "reference 3"]]:
        """Positions of targets and conditions. Canvases lie at frame 0, where text-to-picture models look."""
        assert conditions is None, "a text-to-picture model takes conditions on its canvas"
        return all_positions(targets.grids, axes=3), torch.zeros(0, 3)

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`."""
        text, inputs = context.text, tokens
        if targets.extra is not None:
            inputs = torch.cat((inputs, targets.extra.to(inputs)), dim=2)
        if context.conditions is not None:
            inputs = torch.cat((inputs, context.conditions.tokens), dim=1)
        with self.step_cache(context):
            velocity = self.transformer(
                hidden_states=inputs,
                timestep=t,
                guidance=distilled_guidance(self, context.guidance, len(tokens)),
                pooled_projections=text.pooled,
                encoder_hidden_states=text.embeds,
                txt_ids=text.positions,
                img_ids=torch.cat(self.places(targets, context.conditions)).to(self.device),
                return_dict=False,
            )[0]
        return velocity[:, : tokens.shape[1]]
