"""What a server's model reads of a page: its words, with pictures called as the model's family calls them."""

from triptych.errors import PromptError
from triptych.models.catalog import find_family
from triptych.models.family import PICTURE_NAME
from triptych.naming import named_prompt
from triptych.page import Page

__all__ = ["server_prompt"]


def server_prompt(page: Page, family: str) -> str:
    """The words of a page of one slot, with the pictures called as the family calls them (`named_prompt`).

    Raises PromptError where nothing is said.
    """
    record = find_family(family)
    text = named_prompt(page, record.picture_name if record else PICTURE_NAME).text
    if not text.strip():
        raise PromptError("the page has no words, and image servers need some. Give the slot an instruction.")
    return text
