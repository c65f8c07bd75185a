"""The exception tree: every error a user can cause is a `TriptychError` with exit code 2."""

__all__ = [
    "BackboneError",
    "Cancelled",
    "ClusterError",
    "ImageError",
    "LayoutError",
    "OutputError",
    "PageError",
    "PickError",
    "PromptError",
    "RequestError",
    "SkillError",
    "SourceError",
    "TakenError",
    "TextError",
    "TrainingError",
    "TriptychError",
]


class TriptychError(Exception):
    """Bad input or an impossible request; the message says what, which value, and what to do."""


class Cancelled(Exception):  # noqa: N818
    """The work was stopped because its cancel token was cancelled; no error, and nothing half-done is left."""


class PageError(TriptychError):
    """A page, page file or page set that cannot be used as it stands."""


class PickError(TriptychError):
    """Picks that cannot be read, recorded or exchanged."""


class LayoutError(TriptychError):
    """Panels that cannot be arranged, stitched or split as asked."""


class ImageError(TriptychError):
    """An image file that is missing, unreadable, too large or of a format that is not allowed."""


class TextError(TriptychError):
    """A text file that is missing, unreadable, or no text."""


class PromptError(TriptychError):
    """Text that does not fit a template or an encoder's limit."""


class BackboneError(TriptychError):
    """A backbone that is unknown, cannot be loaded, or cannot do what the page asks."""


class ClusterError(TriptychError):
    """A Ray cluster that cannot be joined, or whose workers cannot do their work."""


class RequestError(TriptychError):
    """A request with values that no backbone could use, or that cannot be read."""


class SourceError(TriptychError):
    """A picture source (sprites, folders) or a rule that is missing or cannot make a page."""


class SkillError(TriptychError):
    """A skill file that is missing, malformed, or made for another backbone."""


class TrainingError(TriptychError):
    """A training run that cannot start, resume or continue."""


class OutputError(TriptychError):
    """A result that cannot be written: read-only folder, full disk, refused overwrite."""


class TakenError(OutputError):
    """A name that exists already and may not be replaced."""
