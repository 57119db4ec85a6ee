"""Planners that do not look: constants, the first option, a seeded guess; and one that just calls a tool.

A score means something beside these. They are chat models like any other: `model=always_yes`,
`model=always_no`, `model=first_choice`, `model=random_choice`, `model=center`, `model=direct`.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perception_tools.results import ToolCall, ToolSpec
from vlm_agent.model import ImageContent, Message, Reply

_ONE_OF = re.compile(r"one of: ([^.\n]+)\.?\s*$")
_OPTION = re.compile(r"\(([A-Ha-h])\)|^([A-H])[.)]\s", re.MULTILINE)


def options_in(prompt: str) -> list[str]:
    """Return the letters that a prompt offers, in order; [] if it offers none."""
    found = [(a or b).upper() for a, b in _OPTION.findall(prompt)]
    return list(dict.fromkeys(found))


def words_in(prompt: str) -> list[str]:
    """Return the words that a prompt's end offers, "Answer with one of: a, b."; [] if it offers none."""
    found = _ONE_OF.search(prompt)
    return [word.strip() for word in found[1].split(",")] if found else []


def _question(messages: Sequence[Message]) -> str:
    return next((m.text for m in messages if m.role == "user"), "")


class Constant:
    """Says the same whatever is asked."""

    is_blind = True
    is_free = True

    def __init__(self, text: str, name: str) -> None:
        """Say `text`."""
        self._text, self._name = text, name

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        return self._name

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], cancel: threading.Event | None = None
    ) -> Reply:
        """Return the constant."""
        return Reply(self._text, finish_reason="stop")


class Guess:
    """Takes one of the options that the prompt offers, yes or no where it offers none.

    Args:
        seed: Of the guesses, which depend on it, the question and the repetition alone; None takes the first
            option.
        repetition: Number of the repetition: each draws anew.
    """

    is_blind = True
    is_free = True

    def __init__(self, seed: int | None = None, repetition: int = 0) -> None:
        """See the class."""
        self.seed, self._repetition = seed, repetition

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        return "first_choice" if self.seed is None else f"random_choice:{self.seed}"

    def redrawn(self, repetition: int) -> Guess:
        """Return the same guesser for another repetition."""
        return Guess(self.seed, repetition)

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], cancel: threading.Event | None = None
    ) -> Reply:
        """Return an option."""
        prompt = _question(messages)
        letters = options_in(prompt)
        listed = [f"({letter})" for letter in letters] or words_in(prompt) or ["yes", "no"]
        if self.seed is None:
            return Reply(listed[0], finish_reason="stop")
        drawn = f"{self.seed}|{self._repetition}" if self._repetition else f"{self.seed}"
        digest = hashlib.sha256(f"{drawn}|{prompt}".encode())
        for picture in (c for m in messages for c in m.content if isinstance(c, ImageContent)):
            digest.update(picture.rgb.tobytes())
        number = int.from_bytes(digest.digest()[:8], "big")
        return Reply(listed[number % len(listed)], finish_reason="stop")


@dataclass(frozen=True)
class DirectConfig:
    """Settings of the baseline that calls one tool.

    Attributes:
        tool: Which.
        arguments: Its arguments; "{question}" stands for the question.
    """

    tool: str = "point"
    arguments: Mapping[str, Any] = field(default_factory=lambda: {"image": "image_1", "query": "{question}"})


class Direct:
    """Hands the question to one tool and says what it returns: what does the planner add to its tools?"""

    def __init__(self, config: DirectConfig = DirectConfig()) -> None:
        """See the class."""
        self.config = config

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        return f"direct:{self.config.tool}"

    def complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], cancel: threading.Event | None = None
    ) -> Reply:
        """Call the tool; then finish with what it returned."""
        answered = [m for m in messages if m.role == "tool"]
        if not answered:
            question = _question(messages)
            filled = {
                k: v.replace("{question}", question) if isinstance(v, str) else v
                for k, v in self.config.arguments.items()
            }
            return Reply(tool_calls=(ToolCall("direct_1", self.config.tool, filled),))
        result = json.loads(answered[0].text)
        shown = [c for m in messages for c in m.content if isinstance(c, ImageContent)]
        size = shown[0].rgb.shape if shown else (1, 1, 3)
        if not result["ok"]:
            return _finish("failed", f"{result['error']}: {result['message']}", ())
        return _finish("answered", in_words(result["value"], size), (answered[0].call_id,))


def _finish(outcome: str, summary: str, evidence: Sequence[str]) -> Reply:
    arguments = {"outcome": outcome, "summary": summary[:2000], "evidence": list(evidence)}
    return Reply(tool_calls=(ToolCall("direct_2", "finish", arguments),))


def in_words(value: Mapping[str, Any], shape: Sequence[int]) -> str:
    """Say what a tool returned: yes or no, points in 0..1, a number, else the value as JSON."""
    if isinstance(value.get("holds"), bool):
        return "yes" if value["holds"] else "no"
    spots = value.get("points") or value.get("spots") or []
    pixels = [p["uv_px"] for p in spots if isinstance(p, Mapping) and "uv_px" in p]
    if pixels:
        height, width = shape[:2]
        return "[" + ", ".join(f"({u / width:.4f}, {v / height:.4f})" for u, v in pixels) + "]"
    return json.dumps(dict(value), ensure_ascii=False)
