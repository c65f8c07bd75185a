"""`/v1`: the models and image API that OpenAI's clients speak, over the same queue.

A page may stand in the field `page`, as page files say it, with images as data URIs: its slots come back as `data`. Or
the field `request` has all of it: page, steps, guidance, skills, seed (docs/request.schema.json). Fields that are not
known are named in `warnings`; nothing is guessed.
"""

from triptych.studio.openai.answer import error_data
from triptych.studio.openai.routes import router

__all__ = ["error_data", "router"]
