"""The serving side of actions (https://design.ros2.org/articles/actions.html): three services, two topics.

`send_goal` says whether a goal is taken, `get_result` answers when it has ended, `cancel_goal` asks to end
it; `feedback` is a topic, `status` a latched one. Goals are told apart by 16 random bytes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from hardware.bus import RELIABLE, ActionHandlers, ActionResult, GoalStatus, Message, QoS
from hardware.dds import names
from hardware.dds.node import Node
from hardware.dds.services import ServiceServer

CANCEL: Final = "action_msgs/srv/CancelGoal"
CODES: Final[dict[GoalStatus, int]] = {
    "accepted": 1,
    "executing": 2,
    "canceling": 3,
    "succeeded": 4,
    "canceled": 5,
    "aborted": 6,
}
_STATUS_QOS: Final = QoS(depth=1, latched=True)
_GOAL_GROUP: Final = "actions"
_KEEP_S: Final = 900.0
"""How long results are kept for late callers [s], rcl's default."""
_END_S: Final = 10.0
"""How long `close` waits for goals that it cancelled [s]."""


class _ServerGoal:
    """A goal, seen by who executes it; see `hardware.bus.ServerGoal`."""

    def __init__(self, server: DdsActionServer, goal_id: bytes, goal: Message, stamp_ns: int) -> None:
        self._server = server
        self._goal_id, self._goal = goal_id, goal
        self._cancel = threading.Event()
        self.stamp_ns: Final = stamp_ns
        self.status: GoalStatus = "accepted"
        self.result: Message | None = None
        self.ended_s: float | None = None
        self.waiting: list[Callable[[Message], None]] = []
        self.thread: threading.Thread | None = None
        self.done: Final = threading.Event()

    @property
    def goal(self) -> Message:
        """The goal message."""
        return self._goal

    @property
    def goal_id(self) -> bytes:
        """Its id, 16 bytes."""
        return self._goal_id

    @property
    def cancel(self) -> threading.Event:
        """Set when a cancel request was accepted, or the bus closes."""
        return self._cancel

    def feedback(self, message: Message) -> None:
        """Send feedback."""
        self._server.send_feedback(self._goal_id, message)


class DdsActionServer:
    """Serves an action."""

    def __init__(self, node: Node, type_name: str, name: str, handlers: ActionHandlers) -> None:
        """Open it; `name` is absolute."""
        node.types.require(type_name, "action")
        self._node, self._type, self._name, self._handlers = node, type_name, name, handlers
        self._make = node.types.message_class
        self._lock = threading.RLock()
        self._goals: dict[bytes, _ServerGoal] = {}
        self._is_closed = False
        feedback, status = f"{type_name}_FeedbackMessage", "action_msgs/msg/GoalStatusArray"
        base = f"{name}/_action"
        self._feedback_codec, self._status_codec = node.codec(feedback), node.codec(status)
        self._feedback = node.writer(feedback, names.dds_topic(names.TOPIC, f"{base}/feedback"), RELIABLE)
        self._status = node.writer(status, names.dds_topic(names.TOPIC, f"{base}/status"), _STATUS_QOS)
        self._services = [
            ServiceServer(node, f"{type_name}_SendGoal", f"{base}/send_goal", self._on_goal, _GOAL_GROUP),
            ServiceServer(node, f"{type_name}_GetResult", f"{base}/get_result", self._on_result, _GOAL_GROUP),
            ServiceServer(node, CANCEL, f"{base}/cancel_goal", self._on_cancel, _GOAL_GROUP),
        ]
        self._send_status()
        node.at_close(self._end_goals)

    def close(self) -> None:
        """Cancel goals and end; idempotent."""
        with self._lock:
            if self._is_closed:
                return
        self._node.not_at_close(self._end_goals)
        self._end_goals()
        for service in self._services:
            service.close()
        self._node.close_writer(self._feedback)
        self._node.close_writer(self._status)

    def send_feedback(self, goal_id: bytes, message: Message) -> None:
        """Send feedback of a goal."""
        wrapped = self._make(self._feedback_codec.cls.TYPE)(goal_id=self._uuid(goal_id), feedback=message)
        self._feedback.write(self._feedback_codec.encode(wrapped))

    # ---- goals ------------------------------------------------------------------------------

    def _on_goal(self, request: Any, respond: Callable[[Message], None]) -> None:
        goal_id = bytes(request.goal_id.uuid)
        with self._lock:
            is_new = goal_id not in self._goals and not self._is_closed
        is_accepted = is_new and bool(self._handlers.accept(request.goal))
        stamp_ns = time.time_ns()
        goal = _ServerGoal(self, goal_id, request.goal, stamp_ns)
        if is_accepted:
            goal.thread = threading.Thread(
                target=self._execute, args=(goal,), name=f"goal-{goal_id.hex()[:8]}", daemon=True
            )
            self._node.workers.add(goal.thread)
            with self._lock:
                self._forget_old()
                self._goals[goal_id] = goal
        response = self._make(f"{self._type}_SendGoal_Response")
        respond(response(accepted=is_accepted, stamp=self._time(stamp_ns)))
        if goal.thread is not None:
            self._send_status()
            goal.thread.start()

    def _execute(self, goal: _ServerGoal) -> None:
        """Run a goal on its own thread."""
        with self._lock:
            goal.status = "canceling" if goal.cancel.is_set() else "executing"
        self._send_status()
        try:
            outcome = self._handlers.execute(goal)
            if outcome.status not in ("succeeded", "canceled", "aborted"):
                raise ValueError(f"{self._name}: execute must end a goal, returned {outcome.status!r}")
            if not self._node.is_gone:
                self._end(goal, outcome)
        except BaseException as error:
            if not self._node.is_gone:
                self._end(goal, ActionResult("aborted", None))
            self._node.fail(error)
        finally:
            goal.done.set()

    def _end(self, goal: _ServerGoal, outcome: ActionResult) -> None:
        result = outcome.result if outcome.result is not None else self._make(f"{self._type}_Result")()
        response = self._result(outcome.status, result)
        with self._lock:
            goal.status, goal.result, goal.ended_s = outcome.status, result, time.monotonic()
            waiting, goal.waiting = goal.waiting, []
        for respond in waiting:
            respond(response)
        self._send_status()

    def _on_result(self, request: Any, respond: Callable[[Message], None]) -> None:
        with self._lock:
            goal = self._goals.get(bytes(request.goal_id.uuid))
            if goal is not None and goal.ended_s is None:
                goal.waiting.append(respond)
                return
        if goal is None:
            respond(self._make(f"{self._type}_GetResult_Response")())
        else:
            respond(self._result(goal.status, goal.result))

    def _on_cancel(self, request: Any, respond: Callable[[Message], None]) -> None:
        constants = self._node.types.constants(f"{CANCEL}_Response")
        chosen = self._chosen(request.goal_info)
        agreed = [goal for goal in chosen if goal.ended_s is None and self._handlers.accept_cancel(goal)]
        with self._lock:
            canceling = [goal for goal in agreed if goal.ended_s is None]
            for goal in canceling:
                goal.status = "canceling"
            is_over = all(goal.ended_s is not None for goal in chosen)
        refusal = "ERROR_GOAL_TERMINATED" if is_over else "ERROR_REJECTED"
        code = "ERROR_NONE" if canceling else refusal if chosen else "ERROR_UNKNOWN_GOAL_ID"
        infos = [self._info(goal) for goal in canceling]
        response = self._make(f"{CANCEL}_Response")
        respond(response(return_code=constants[code], goals_canceling=infos))
        if canceling:
            self._send_status()
        for goal in canceling:
            goal.cancel.set()

    def _chosen(self, info: Any) -> list[_ServerGoal]:
        """Return the goals that a cancel request means: by id, by age, both, or (neither) all."""
        goal_id, stamp_ns = bytes(info.goal_id.uuid), info.stamp.sec * 10**9 + info.stamp.nanosec
        is_any = not any(goal_id)
        with self._lock:
            if is_any and not stamp_ns:
                return list(self._goals.values())
            return [
                goal
                for goal in self._goals.values()
                if goal.goal_id == goal_id or (stamp_ns and goal.stamp_ns <= stamp_ns)
            ]

    def _end_goals(self) -> None:
        """Cancel all goals and wait for them."""
        with self._lock:
            self._is_closed = True
            goals = [goal for goal in self._goals.values() if goal.ended_s is None]
        for goal in goals:
            goal.cancel.set()
        end_s = time.monotonic() + _END_S
        for goal in goals:
            if goal.thread is None or goal.thread is threading.current_thread():
                continue
            if goal.done.wait(max(0.0, end_s - time.monotonic())):
                goal.thread.join()
            else:
                self._node.fail(
                    RuntimeError(f"{self._name}: execute went on for {_END_S:.0f} s after it was cancelled")
                )

    def _forget_old(self) -> None:
        now_s = time.monotonic()
        self._goals = {
            goal_id: goal
            for goal_id, goal in self._goals.items()
            if goal.ended_s is None or now_s - goal.ended_s < _KEEP_S
        }

    # ---- messages ---------------------------------------------------------------------------

    def _send_status(self) -> None:
        make = self._make("action_msgs/msg/GoalStatus")
        with self._lock:
            rows = [
                make(goal_info=self._info(goal), status=CODES[goal.status]) for goal in self._goals.values()
            ]
            self._status.write(self._status_codec.encode(self._status_codec.cls(status_list=rows)))

    def _result(self, status: GoalStatus, result: Message | None) -> Message:
        return self._make(f"{self._type}_GetResult_Response")(status=CODES[status], result=result)

    def _info(self, goal: _ServerGoal) -> Message:
        info = self._make("action_msgs/msg/GoalInfo")
        return info(goal_id=self._uuid(goal.goal_id), stamp=self._time(goal.stamp_ns))

    def _uuid(self, goal_id: bytes) -> Message:
        return self._make("unique_identifier_msgs/msg/UUID")(uuid=np.frombuffer(goal_id, np.uint8))

    def _time(self, stamp_ns: int) -> Message:
        return self._make("builtin_interfaces/msg/Time")(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
