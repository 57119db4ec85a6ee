"""Asking the model for its next turn: waits and retries by kind of failure, all bounded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from perception_tools.results import ToolSpec
from vlm_agent.answers import one_line
from vlm_agent.budget import BudgetMeter
from vlm_agent.conversation import Conversation
from vlm_agent.interrupts import CancelScope
from vlm_agent.model import ChatModel, ModelError, Reply
from vlm_agent.trace import Trace

TRANSIENT = ("rate_limited", "timeout", "unreachable")


@dataclass(frozen=True)
class Patience:
    """How often, and after what waits, a model is asked again.

    Attributes:
        retries: Further tries of a turn when the model is unreachable, slow or rate limited.
        garbage_retries: Unusable replies in a row that are answered with a correction.
        backoff_s: First wait [s]; doubles every time.
        max_backoff_s: Longest such wait [s]; a provider's own `Retry-After` may be longer.
    """

    retries: int = 4
    garbage_retries: int = 3
    backoff_s: float = 1.0
    max_backoff_s: float = 30.0


class GiveUp(Exception):
    """The model gave no usable turn within the retries; one line."""


class Asker:
    """Asks one model during one run.

    Attributes:
        seconds: Wall time spent in the model [s].
        errors: Failed requests and unusable replies by kind.
        usage: Tokens, summed.
    """

    def __init__(
        self,
        model: ChatModel,
        specs: Sequence[ToolSpec],
        conversation: Conversation,
        patience: Patience,
        meter: BudgetMeter,
        trace: Trace,
        scope: CancelScope,
    ) -> None:
        """See `vlm_agent/agent.py`, which owns all of these."""
        self._model, self._specs, self._conversation = model, specs, conversation
        self._patience, self._meter, self._trace, self._scope = patience, meter, trace, scope
        self._unusable = 0  # replies in a row
        self.seconds = 0.0
        self.errors: Counter[str] = Counter()
        self.usage: Counter[str] = Counter()

    def ask(self) -> Reply | None:
        """Return the next turn; None if it was unusable (the model was told) or the run must end.

        Raises:
            GiveUp: No usable turn within the retries.
        """
        before, attempt = self.seconds, 0
        while not self._scope.event.is_set():
            attempt += 1
            start = time.perf_counter()
            try:
                reply = self._model.complete(
                    self._conversation.view(self._meter), self._specs, self._scope.event
                )
                error = None
            except ModelError as raised:
                reply, error = Reply(finish_reason="unusable"), raised
            self.seconds += time.perf_counter() - start
            if error is not None and not self._is_over(error, attempt):
                continue
            if error is None or error.kind == "garbage":
                return self._take(reply, error, self.seconds - before, attempt)
        return None

    def _take(self, reply: Reply, error: ModelError | None, seconds: float, attempt: int) -> Reply | None:
        """Count and record a turn; None if it is unusable, which the model is told.

        Raises:
            GiveUp: Too many unusable turns in a row.
        """
        self._meter.turns += 1
        self.usage.update({k: v for k, v in reply.usage.items() if isinstance(v, int)})
        self._trace.event(
            "turn",
            turn=self._meter.turns,
            text=reply.text,
            calls=[{"id": call.id, "name": call.name} for call in reply.tool_calls],
            usage=reply.usage,
            finish_reason=reply.finish_reason,
            model_seconds=seconds,
            attempts=attempt,
        )
        if reply.tool_calls or reply.text.strip():
            self._unusable = 0
            return reply
        if error is None:
            self.errors["garbage"] += 1
        problem = "it was empty" if error is None else one_line(error)
        self._unusable += 1
        if self._unusable > self._patience.garbage_retries:
            raise GiveUp(f"{self._unusable} unusable replies of the model in a row; the last: {problem}")
        self._conversation.correct(
            f"Your last reply could not be used: {problem}. Reply with tool calls; end with finish."
        )
        return None

    def _is_over(self, error: ModelError, attempt: int) -> bool:
        """Record an error and do what helps against it; False to ask again.

        Raises:
            GiveUp: Nothing helps, or it was tried often enough.
        """
        self.errors[error.kind] += 1
        wait_s = self._wait_of(error, attempt)
        self._trace.event(
            "model_error",
            turn=self._meter.turns + 1,
            kind=error.kind,
            message=one_line(error),
            attempt=attempt,
            wait_s=wait_s,
        )
        if self._scope.event.is_set() or error.kind == "garbage":
            return True
        if error.kind == "too_long" and self._conversation.max_images > 0:
            self._conversation.max_images //= 2
            return False
        if wait_s is None:
            raise GiveUp(one_line(error))
        self._sleep(wait_s)
        return False

    def _wait_of(self, error: ModelError, attempt: int) -> float | None:
        """Return how long to wait before asking again [s]; None if asking again cannot help."""
        if error.kind not in TRANSIENT or attempt > self._patience.retries:
            return None
        wait_s = min(self._patience.backoff_s * 2 ** (attempt - 1), self._patience.max_backoff_s)
        wait_s = max(wait_s, error.retry_after_s or 0.0)
        return wait_s if wait_s < self._meter.seconds_left else None

    def _sleep(self, seconds: float) -> None:
        """Wait, but not beyond cancellation."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0 and not self._scope.event.is_set():
            time.sleep(min(left, 0.05))
