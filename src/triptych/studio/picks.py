"""Picks from the studio: what is favoured, kept on the page, chosen or rejected tells how people like results."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from triptych.errors import TriptychError
from triptych.picks import LEAST_PICKS, Shown, Verdict, add_picks, load_picks, picks_path
from triptych.sampling.request import Request
from triptych.studio.errors import StudioError
from triptych.studio.files import FileStore
from triptych.studio.gallery import Gallery
from triptych.studio.pages import asked
from triptych.studio.requests import request_of
from triptych.studio.shelf import Shelf

__all__ = ["Picks"]

_log = logging.getLogger(__name__)


class Picks:
    """Writes `picks.jsonl` into the data folder, where `triptych picks` reads it."""

    def __init__(self, root: Path, gallery: Gallery, files: FileStore, shelf: Shelf) -> None:
        self.root, self._gallery, self._files, self._shelf = root, gallery, files, shelf

    def note(self, picture: str, verdict: Verdict | None = None) -> bool:
        """Record what is said of a picture's result, and of every other that its request gave; whether it could be.

        `verdict` is that of this picture, by default what its marks say. Others have what theirs say; those without
        marks were rolled away.
        """
        try:
            shown = self._shown(self._gallery.get(picture), verdict)
            add_picks(self.root, shown, made_by="triptych studio")
        except TriptychError as error:
            # The mark itself is kept; a picture that it was made from may be gone.
            _log.warning("what was said of picture %s is not recorded as a pick: %s", picture, error)
            return False
        return True

    @property
    def size_bytes(self) -> int:
        """Of the file so far, which only grows."""
        path = picks_path(self.root)
        return path.stat().st_size if path.is_file() else 0

    def too_few(self) -> str | None:
        """Why the picks are too few to learn from; None where they may be enough."""
        picks = load_picks(self.root) if self.size_bytes else ()
        count = sum(bool(pick.kept or pick.rejected) for pick in picks)
        if count >= LEAST_PICKS:
            return None
        return (
            f"there are {count} picks; it takes {LEAST_PICKS}, each of another page or setting. Mark favourites and "
            "rejects in the gallery, or keep pictures on the page."
        )

    def _shown(self, picture: Mapping[str, Any], verdict: Verdict | None) -> list[Shown]:
        results: dict[tuple[str, int], list[dict[str, Any]]] = {}
        for other in self._gallery.alike(picture["id"]):
            results.setdefault((other["job"], other["variant"]), []).append(other)
        own = picture["job"], picture["variant"]
        places = sorted(part["slot"] for part in results[own])
        shown = []
        for key, parts in results.items():
            parts.sort(key=lambda part: part["slot"])
            # A live job may have been replaced before all its slots were there.
            if [part["slot"] for part in parts] == places:
                said = verdict if key == own and verdict else _said(parts)
                images = tuple(self._files.read(part["file"]) for part in parts)
                shown.append(Shown(request=self._request(parts[0], places), images=images, verdict=said))
        return shown

    def _request(self, part: Mapping[str, Any], places: list[int]) -> Request:
        """The request of a picture, of the slots that were filled, its skills by the names in their files."""
        request = request_of(part["request"], self._files.read)
        page, _ = asked(request.page, places)
        skills = tuple(replace(use, name=self._skill_name(use.name)) for use in request.skills)
        return replace(request, page=page, seed=part["seed"], number=1, skills=skills)

    def _skill_name(self, skill: str) -> str:
        """What the file of a skill of the shelf calls it."""
        try:
            return str(self._shelf.card(skill).get("name", skill))
        except StudioError:
            return skill


def _said(parts: list[dict[str, Any]]) -> Verdict:
    if any(part["rejected"] for part in parts):
        return Verdict.REJECTED
    return Verdict.KEPT if any(part["favourite"] for part in parts) else Verdict.UNSEEN
