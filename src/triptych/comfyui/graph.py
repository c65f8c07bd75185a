"""A workflow as ComfyUI reads it: nodes by number, each with its inputs."""

from dataclasses import dataclass
from typing import Any

__all__ = ["Graph", "Output"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output of a node."""

    node: str
    index: int = 0

    def at(self, index: int) -> "Output":
        """Another output of the same node."""
        return Output(node=self.node, index=index)


class Graph:
    """Nodes in the order in which they are added."""

    def __init__(self) -> None:
        self._nodes: dict[str, dict[str, Any]] = {}

    def add(self, kind: str, title: str = "", **inputs: "Output | str | int | float | bool") -> Output:
        """A node of the class `kind`; returns its first output."""
        number = str(len(self._nodes) + 1)
        self._nodes[number] = {
            "class_type": kind,
            "inputs": {
                name: [value.node, value.index] if isinstance(value, Output) else value
                for name, value in inputs.items()
            },
            "_meta": {"title": title or kind},
        }
        return Output(node=number)

    def data(self) -> dict[str, dict[str, Any]]:
        """The workflow in ComfyUI's API format, which its window opens as well."""
        return {number: dict(node) for number, node in self._nodes.items()}
