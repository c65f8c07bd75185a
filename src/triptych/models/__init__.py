"""Backbones: diffusion transformers with their text encoders and codecs. The only room that knows diffusers."""
