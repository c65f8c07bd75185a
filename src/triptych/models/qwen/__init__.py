"""Qwen-Image's editing checkpoints."""
