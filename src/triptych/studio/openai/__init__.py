"""`/v1/images`: the image API that OpenAI's clients speak, over the same queue.

A page may stand in the field `page`, as page files say it, with images as data URIs: its slots come back as `data`.
Fields that are not known are named in `warnings`; nothing is guessed.
"""

from triptych.studio.openai.answer import error_data
from triptych.studio.openai.routes import router

__all__ = ["error_data", "router"]
