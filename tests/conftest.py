"""Tests of properties have no time limit for each example: a busy machine would miss it."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
