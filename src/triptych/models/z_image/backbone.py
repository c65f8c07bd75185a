"""Z-Image-Omni: conditions by reference, as the codec and as SigLIP 2 see them, between pieces of the prompt."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, ZImageTransformer2DModel
from jaxtyping import Float
from PIL.Image import Image
from torch import Tensor

from triptych.models.backbone import Card, Context, Grid, Targets, Text
from triptych.models.codecs import KLCodec, pack, unpack
from triptych.models.latent import SeeingBackbone, guided, linear_mu
from triptych.models.side_by_side import SideBySide
from triptych.models.z_image.text import ZImageText, as_text, pieces_of, sights_of
from triptych.prompts import Prompt

__all__ = ["ZImageOmni"]


class ZImageOmni(SeeingBackbone):
    """A checkpoint of Z-Image-Omni."""

    def __init__(
        self,
        *,
        card: Card,
        transformer: ZImageTransformer2DModel,
        vae: AutoencoderKL,
        text: ZImageText,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__(card=card, transformer=transformer, codec=KLCodec(vae), scheduler=scheduler)
        self.text = text

    def encode_prompts_with_images(
        self,
        prompts: Sequence[Prompt],
        frames: Sequence[int],  # noqa: ARG002
        images: Sequence[Sequence[Image]],
    ) -> Text:
        """Words in pieces, and what is seen; the transformer places pictures between the pieces itself."""
        read = [self.text.encode(prompt, seen) for prompt, seen in zip(prompts, images, strict=True)]
        return as_text(read, self.device, self.dtype)

    def schedule(self, steps: int, tokens: int) -> tuple[float, ...]:
        return self._levels(steps, mu=linear_mu(tokens, self._scheduler.config))

    def velocity(
        self,
        tokens: Float[Tensor, "batch target channels"],
        t: Float[Tensor, " batch"],
        context: Context,
        targets: Targets,
    ) -> Float[Tensor, "batch target channels"]:
        """As in `Backbone`. Raises BackboneError for slots of different heights."""
        slots = SideBySide(targets.grids, self.card)
        wide = slots.join(tokens)
        if context.guidance is not None:
            # Its own scale counts from 0, where nothing but the prompt is followed.
            context = replace(context, guidance=1 + context.guidance)
        return slots.part(guided(context, lambda read, _: self._pass(wide, t, read, slots.wide)))

    def _pass(self, tokens: Tensor, t: Tensor, context: Context, wide: Grid) -> Tensor:
        batch = len(tokens)
        given: list[tuple[Tensor, ...]] = [()] * batch
        if context.conditions is not None:
            grids = context.conditions.grids
            parts = context.conditions.tokens.split([grid.tokens for grid in grids], dim=1)
            latents = [_frames(part, grid) for part, grid in zip(parts, grids, strict=True)]
            given = list(zip(*latents, strict=True))
        made = _frames(tokens, wide)
        sights = [sights_of(context.text, row) for row in range(batch)]
        velocity = self.transformer(
            x=[[*own, made[row]] for row, own in enumerate(given)],
            t=1 - t,
            cap_feats=[pieces_of(context.text, row) for row in range(batch)],
            siglip_feats=[[*seen, None] if seen else None for seen in sights],
            image_noise_mask=[[0] * len(own) + [1] for own in given],
            return_dict=False,
        )[0]
        return pack(-torch.stack(velocity)[:, :, 0])


def _frames(tokens: Float[Tensor, "batch tokens packed"], grid: Grid) -> Float[Tensor, "batch channels 1 height width"]:
    return unpack(tokens, grid)[:, :, None]
