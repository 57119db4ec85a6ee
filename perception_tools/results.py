"""Calls and results: what a model asks for, and the parts of what it gets back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from perception_tools.artifacts import Artifact
from perception_tools.errors import ErrorKind


@dataclass(frozen=True)
class ToolSpec:
    """What a model is told of a tool; `parameters` and `returns` are JSON schemas."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    returns: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = True


@dataclass(frozen=True)
class ToolCall:
    """A model's request. `arguments` is a mapping, or the raw text where it was not a JSON object."""

    id: str
    name: str
    arguments: Mapping[str, Any] | str


@dataclass(frozen=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True)
class ValuePart:
    """A JSON-able value: the machine-readable answer."""

    value: Mapping[str, Any]


@dataclass(frozen=True)
class ImagePart:
    """An image to show to the model, by artifact name."""

    artifact: str
    caption: str = ""


@dataclass(frozen=True)
class ArtifactPart:
    """An artifact that the call made, by name."""

    artifact: str
    kind: str
    label: str = ""


Part = TextPart | ValuePart | ImagePart | ArtifactPart


@dataclass(frozen=True)
class ToolResult:
    """Answer to one call, bound to its id.

    Attributes:
        call_id: Id of the call.
        name: Name of the tool.
        parts: Text, value, images and artifacts, in order.
        error: Kind of failure, or None.
        reason: Enumerated reason of the failure, or "".
        message: One line, for the model, when `error` is set.
        seconds: Wall time of the call [s].
    """

    call_id: str
    name: str
    parts: tuple[Part, ...] = ()
    error: ErrorKind | None = None
    reason: str = ""
    message: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the call gave a positive result."""
        return self.error is None

    @property
    def value(self) -> Mapping[str, Any]:
        """The first value part ({} if there is none)."""
        return next((p.value for p in self.parts if isinstance(p, ValuePart)), {})


ValueT = TypeVar("ValueT", bound=BaseModel, covariant=True)


@dataclass(frozen=True)
class ToolOutput(Generic[ValueT]):
    """What a tool function returns when there are images to show beside the value.

    Annotate tools ``-> ToolOutput[Found]``, so that models are told the value's schema.
    """

    value: ValueT
    images: Sequence[Artifact] = ()


def rounded(values: Any, digits: int = 4) -> Any:
    """Return numbers, or an array as nested lists, rounded for models to read; -0 becomes 0."""
    if np.ndim(values) == 0:
        return round(float(values), digits) + 0.0
    return (np.round(np.asarray(values, dtype=np.float64), digits) + 0.0).tolist()
