"""Z-Image-Omni at toy size with random weights."""

from diffusers import ZImageTransformer2DModel
from transformers import Siglip2VisionConfig, Siglip2VisionModel
from transformers.models.siglip2.image_processing_pil_siglip2 import Siglip2ImageProcessorPil

from tiny_models import card, dynamic_scheduler, frozen, kl_vae, qwen3, tokenizer
from triptych.models.backbone import Conditioning
from triptych.models.z_image.backbone import ZImageOmni
from triptych.models.z_image.text import ZImageText


def siglip() -> Siglip2VisionModel:
    config = Siglip2VisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_patches=16,
        patch_size=16,
    )
    return frozen(Siglip2VisionModel(config))


def z_image_omni(**facts: object) -> ZImageOmni:
    transformer = ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        siglip_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[512, 64, 64],
    )
    return ZImageOmni(
        card=card(Conditioning.REFERENCE, channels=16, factor=4, **facts),
        transformer=frozen(transformer),
        vae=kl_vae(),
        text=ZImageText(
            qwen3(), tokenizer(), siglip(), Siglip2ImageProcessorPil(patch_size=16, max_num_patches=16), limit=64
        ),
        scheduler=dynamic_scheduler(),
    )
