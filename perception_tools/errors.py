"""Failures of tools, by kind. Kinds are never mixed: each is handled differently by the planner."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any


class ErrorKind(StrEnum):
    """Why a call gave no positive result. Kinds are never mixed."""

    BAD_ARGUMENTS = "bad_arguments"  # the model's fault; the message says what to fix
    NEGATIVE = "negative"  # a true answer: nothing found, no grasp
    REFUSED = "refused"  # safety or permission
    FAILED = "failed"  # executed, but the sensed outcome is wrong
    CANCELLED = "cancelled"
    INFRASTRUCTURE = "infrastructure"  # time-out, crash, out of memory


class ToolError(Exception):
    """Base of the failures that a tool may raise; `reason` is a short stable identifier.

    Args:
        message: One line for the model: what happened and what to do.
        reason: Enumerated reason, snake_case (e.g. `no_grasp`, `slipped`), stable across versions.
        evidence: Small JSON-able readings that support it.
    """

    kind = ErrorKind.INFRASTRUCTURE

    def __init__(self, message: str, *, reason: str = "", evidence: Mapping[str, Any] | None = None) -> None:
        """See the class."""
        super().__init__(message)
        self.reason = reason
        self.evidence = dict(evidence or {})


class BadArguments(ToolError):
    """The arguments are wrong; the message says what to fix."""

    kind = ErrorKind.BAD_ARGUMENTS


class Negative(ToolError):
    """A true negative answer: nothing found, no grasp, not reachable."""

    kind = ErrorKind.NEGATIVE


class Refused(ToolError):
    """Safety or permission forbids it; nothing moved."""

    kind = ErrorKind.REFUSED


class Failed(ToolError):
    """It was executed, but the sensed outcome is wrong."""

    kind = ErrorKind.FAILED


class Cancelled(ToolError):
    """It was cancelled before it ended; the robot is still."""

    kind = ErrorKind.CANCELLED


class Infrastructure(ToolError):
    """Time-out, crash, out of memory, camera unplugged: not an answer at all."""

    kind = ErrorKind.INFRASTRUCTURE
