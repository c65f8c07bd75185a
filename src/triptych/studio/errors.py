"""What the studio answers when a request cannot be served: a status, a code for programs and words for people."""

from triptych.errors import TriptychError

__all__ = ["StudioError", "gone", "not_found"]


class StudioError(TriptychError):
    """A request that the studio refuses; `where` names the part of the request or of the page."""

    def __init__(self, message: str, *, code: str, status: int = 400, where: str | None = None) -> None:
        super().__init__(message)
        self.code, self.status, self.where = code, status, where

    def data(self) -> dict[str, object]:
        """The body of the answer."""
        return {"error": {"code": self.code, "message": str(self), "where": self.where}}


def not_found(what: str, name: str) -> StudioError:
    """There is no such thing."""
    return StudioError(f"there is no {what} {name[:80]!r}; it may have been deleted.", code="not_found", status=404)


def gone(message: str) -> StudioError:
    """It was there, and is not in a state for what was asked."""
    return StudioError(message, code="conflict", status=409)
