"""A person is asked before the robot moves: always, before the first motion of an instruction, or never.

Nobody to ask means no: without a terminal a motion that needs a yes is refused.
"""

from __future__ import annotations

import select
import sys
import threading
from collections.abc import Callable
from typing import Any, Literal, TextIO, get_args

from perception_tools.errors import Refused
from perception_tools.results import ToolCall

Mode = Literal["always", "first", "never"]
Ask = Callable[[str, threading.Event], bool]
"""Shows a line and returns whether the person said yes; False once the event is set."""

YES = ("y", "yes")
POLL_S = 0.05


def mode_of(setting: str | None, is_real: bool) -> Mode:
    """Return how often to ask; None asks before the first motion of a real robot, never in simulation.

    Raises:
        ValueError: No such setting.
    """
    if setting is None:
        return "first" if is_real else "never"
    if setting not in get_args(Mode):
        raise ValueError(f"skills.confirm is {setting!r}; use always, first or never")
    return setting  # type: ignore[return-value]


class Confirmation:
    """Asks before skills run; one per session, `renew` begins an instruction.

    Args:
        mode: When to ask.
        ask: How; None: there is nobody, so all that would need a yes is refused.

    Attributes:
        plan: What the planner says of its present turn, shown with the question.
    """

    def __init__(self, mode: Mode = "never", ask: Ask | None = None) -> None:
        """See the class."""
        self.mode: Mode = mode
        self.plan = ""
        self._ask = ask
        self._answer: bool | None = None

    def renew(self) -> None:
        """Forget what was agreed to."""
        self._answer = None

    @property
    def rule(self) -> str:
        """What the planner is told; "" if nobody is asked."""
        if self.mode == "never":
            return ""
        when = "every motion" if self.mode == "always" else "the first motion"
        return (
            f"A person is asked before {when}; what they decline, or what nobody is there to agree to, is "
            "refused and must not be tried again: finish and say so."
        )

    def require(self, call: ToolCall, line: str, cancel: threading.Event) -> None:
        """Return if the robot may move for a call.

        Args:
            call: The call, valid and permitted.
            line: The call as one line.
            cancel: Ends the waiting.

        Raises:
            Refused: The person said no, or there is nobody to ask. The words are for people too; what a
                model has to make of them is said by `rule`.
        """
        if self.mode == "never" or (self.mode == "first" and self._answer):
            return
        if self._ask is None:
            raise Refused(
                f"{call.name} moves the robot, which a person must confirm, and there is no terminal to ask "
                "at (skills.confirm=never asks nobody)",
                reason="not_confirmed",
            )
        if self.mode == "first" and self._answer is False:
            raise Refused("the person declined to let the robot move", reason="declined")
        more = "; it may go on moving for this instruction" if self.mode == "first" else ""
        plan = f"{self.plan} " if self.plan else ""
        self._answer = self._ask(f"{plan}The robot would move: {line}{more}. Go ahead? [y/N] ", cancel)
        if not self._answer:
            raise Refused(f"the person declined {line}", reason="declined")


class Terminal:
    """Lines that a person types, or that come through a pipe; waiting for one can be cancelled.

    Args:
        lines: Where they come from.
        out: Where questions are shown.
    """

    def __init__(self, lines: TextIO | None = None, out: TextIO | None = None) -> None:
        """See the class."""
        self._lines = sys.stdin if lines is None else lines
        self._out = sys.stderr if out is None else out

    @property
    def is_person(self) -> bool:
        """Whether somebody sits there."""
        return self._lines.isatty()

    def ask(self, question: str, cancel: threading.Event) -> bool:
        """Show a question and return whether the answer is yes; no answer is no."""
        answer = self.line(question, cancel)
        return answer is not None and answer.strip().lower() in YES

    def line(self, prompt: str = "", cancel: threading.Event | None = None) -> str | None:
        """Return the next line without its end; None at the end of input, or once `cancel` is set."""
        if self.is_person and cancel is None and self._lines is sys.stdin:
            return _typed(prompt)
        if prompt:
            self._out.write(prompt)
            self._out.flush()
        if self.is_person and cancel is not None:
            while not select.select([self._lines], [], [], POLL_S)[0]:
                if cancel.is_set():
                    self._out.write("\n")
                    return None
        line = self._lines.readline()
        return line.rstrip("\r\n") if line else None


def _typed(prompt: str) -> str | None:
    """Return a line that can be edited as it is typed, None at the end of input."""
    try:
        import readline  # noqa: F401  (input() uses it)
    except ImportError:
        pass  # not on every platform; lines can then not be edited
    try:
        return input(prompt)
    except EOFError:
        return None


def terminal_ask(terminal: Any = None) -> Ask | None:
    """Return how to ask at the terminal, None if nobody sits there."""
    terminal = terminal or Terminal()
    return terminal.ask if terminal.is_person else None
