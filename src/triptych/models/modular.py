"""The index of a modular pipeline (`modular_model_index.json`), read as that of a plain one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from triptych.errors import BackboneError

__all__ = ["INDEX", "MODULAR_INDEX", "Home", "home_of", "plain_index"]

INDEX = "model_index.json"
MODULAR_INDEX = "modular_model_index.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Where a part is loaded from: a folder or a name on the Hub."""

    source: str
    subfolder: str
    revision: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """For `from_pretrained`, beside the source."""
        return {"subfolder": self.subfolder} | ({"revision": self.revision} if self.revision else {})


def plain_index(index: Mapping[str, Any]) -> dict[str, Any]:
    """Parts as `[library, class, home]`, where a modular pipeline says for each how it is to be loaded.

    What the pipeline makes by itself is not in its index, and what it has no weights of is left out.
    """
    plain: dict[str, Any] = {}
    for name, entry in index.items():
        if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[2], dict)):
            plain[name] = entry
            continue
        library, class_name, told = entry
        if library is None or class_name is None:
            library, class_name = told.get("type_hint") or (None, None)
        source = told.get("pretrained_model_name_or_path")
        if source is not None and library is not None:
            home = Home(source=source, subfolder=told.get("subfolder") or "", revision=told.get("revision"))
            plain[name] = [library, class_name, home]
    return plain


def home_of(source: str, name: str, entry: list[Any]) -> Home:
    """Where the part of an index is: of a folder, in the folder, whatever place its index was first written for.

    Raises BackboneError for a part that a folder's index has elsewhere: nothing is fetched for a folder.
    """
    told = entry[2] if len(entry) > 2 else Home(source=source, subfolder=name)
    folder = Path(source).expanduser()
    if not folder.is_dir() or told.source == source:
        return told
    here = folder / (told.subfolder or name)
    if not here.is_dir():
        raise BackboneError(
            f"{source} has no folder {here.name}: its index says that the part {name!r} is at {told.source}. Fetch it "
            f"into {here}."
        )
    return Home(source=source, subfolder=here.name)
