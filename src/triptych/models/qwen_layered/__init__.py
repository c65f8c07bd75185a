"""Qwen-Image-Layered."""
