"""The `ChatModel` contract: messages with images and tool specs in, text and tool calls out."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from perception_tools.tool import ToolCall, ToolSpec

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True)
class TextContent:
    """Text of a message."""

    text: str


@dataclass(frozen=True, eq=False)
class ImageContent:
    """Image of a message: artifact name (or "") and pixels, shape (H, W, 3), uint8."""

    rgb: NDArray[np.uint8]
    name: str = ""


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: Who speaks.
        content: Text and images. A tool message's text is one JSON object, see
            `vlm_agent/rendering.py`.
        tool_calls: Calls of an assistant message.
        call_id: Call that a tool message answers.
    """

    role: Role
    content: tuple[TextContent | ImageContent, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str = ""

    @property
    def text(self) -> str:
        """All text, joined."""
        return "\n".join(c.text for c in self.content if isinstance(c, TextContent))


@dataclass(frozen=True)
class Reply:
    """A model's turn.

    Attributes:
        text: Free text (reasoning shown to the user, or the final answer without calls).
        tool_calls: Calls to make; none ends the conversation.
        usage: Token counts as the provider names them.
        finish_reason: As the provider names it.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Mapping[str, int] = field(default_factory=dict)
    finish_reason: str = ""


class ModelError(RuntimeError):
    """The model gave no usable turn.

    Args:
        message: One line that says what to do.
        kind: `unreachable`, `timeout`, `rate_limited`, `auth`, `garbage`, `too_long`, `rejected` (the
            provider refuses the request as it is) or `cancelled`; all are infrastructure, never an answer.
        retry_after_s: How long the provider asked to wait [s], if it did.
    """

    def __init__(self, message: str, *, kind: str, retry_after_s: float | None = None) -> None:
        """See the class."""
        super().__init__(message)
        self.kind = kind
        self.retry_after_s = retry_after_s


@runtime_checkable
class ChatModel(Protocol):
    """Anything that continues a conversation. Implementers run `tests/contracts/chat_model_suite.py`."""

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        ...

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Return the next assistant turn.

        Raises:
            ModelError: No usable turn.
        """
        ...


def arguments_of(call: ToolCall) -> Mapping[str, Any]:
    """Return a call's arguments, {} where they were not a JSON object."""
    return call.arguments if isinstance(call.arguments, Mapping) else {}
