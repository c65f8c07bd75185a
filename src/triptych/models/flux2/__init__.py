"""FLUX.2: dev, klein and klein-KV."""
