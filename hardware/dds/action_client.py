"""The asking side of actions; see `action_server.py`."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from hardware.bus import RELIABLE, ActionResult, GoalStatus, Message, MessageInfo
from hardware.dds import names
from hardware.dds.action_server import CANCEL, CODES
from hardware.dds.codec import CdrError
from hardware.dds.node import Node
from hardware.dds.services import Pending, ServiceClient

_ENDS: Final[dict[int, GoalStatus]] = {CODES[end]: end for end in ("succeeded", "canceled", "aborted")}
_FEEDBACK_GROUP: Final = "_feedback"
_POLL_S: Final = 0.005
_MAX_LISTENED: Final = 100
"""Goals of a client whose feedback is listened to: the newest."""


class _ClientGoal:
    """A goal, seen by who sent it; see `hardware.bus.GoalHandle`."""

    def __init__(self, goal_id: Message, cancel: ServiceClient, make: Any, result: Pending | None) -> None:
        self._goal_id, self._cancel, self._make, self._result = goal_id, cancel, make, result

    @property
    def is_accepted(self) -> bool:
        """Whether the server took the goal."""
        return self._result is not None

    def cancel(self, timeout_s: float) -> bool:
        """Ask to cancel; return whether the server agreed."""
        info = self._make("action_msgs/msg/GoalInfo")(goal_id=self._goal_id)
        response: Any = self._cancel.call(self._make(f"{CANCEL}_Request")(goal_info=info), timeout_s)
        return any(goal.goal_id == self._goal_id for goal in response.goals_canceling)

    def result(self, timeout_s: float) -> ActionResult:
        """Wait for the end; see `hardware.bus.GoalHandle.result`."""
        if self._result is None:
            return ActionResult("rejected", None)
        response: Any = self._result.wait(timeout_s)
        if response.status not in _ENDS:
            raise RuntimeError(
                f"the server ended the goal with status {response.status}: it does not know it"
            )
        return ActionResult(_ENDS[response.status], response.result)


class DdsActionClient:
    """Sends goals to an action."""

    def __init__(self, node: Node, type_name: str, name: str) -> None:
        """Open it; `name` is absolute.

        The feedback reader is opened first: who has met the readers of the services has met it too.
        """
        node.types.require(type_name, "action")
        self._node, self._type = node, type_name
        self._make = node.types.message_class
        self._on_feedback: dict[bytes, Callable[[Message], None]] = {}
        self.num_invalid = 0
        base = f"{name}/_action"
        feedback = f"{type_name}_FeedbackMessage"
        self._codec = node.codec(feedback)
        self._feedback = node.reader(
            feedback,
            names.dds_topic(names.TOPIC, f"{base}/feedback"),
            RELIABLE,
            self._on_sample,
            group=_FEEDBACK_GROUP,
        )
        self._send = ServiceClient(node, f"{type_name}_SendGoal", f"{base}/send_goal")
        self._get = ServiceClient(node, f"{type_name}_GetResult", f"{base}/get_result")
        self._cancel = ServiceClient(node, CANCEL, f"{base}/cancel_goal")

    def wait(self, timeout_s: float) -> bool:
        """Wait until somebody serves it; return whether."""
        end_s = time.monotonic() + timeout_s
        for client in (self._send, self._get, self._cancel):
            if not client.wait(max(0.0, end_s - time.monotonic())):
                return False
        while not self._feedback.num_matched:
            if self._node.is_closed or time.monotonic() >= end_s:
                return False
            time.sleep(_POLL_S)
        return True

    def send_goal(
        self, goal: Message, timeout_s: float, on_feedback: Callable[[Message], None] | None = None
    ) -> _ClientGoal:
        """Send a goal; see `hardware.bus.ActionClient.send_goal`."""
        goal_id = uuid.uuid4().bytes
        message = self._make("unique_identifier_msgs/msg/UUID")(uuid=np.frombuffer(goal_id, np.uint8))
        if on_feedback is not None:
            self._on_feedback[goal_id] = on_feedback
            while len(self._on_feedback) > _MAX_LISTENED:
                self._on_feedback.pop(next(iter(self._on_feedback)), None)
        request = self._make(f"{self._type}_SendGoal_Request")(goal_id=message, goal=goal)
        try:
            response: Any = self._send.call(request, timeout_s)
        except BaseException:
            self._on_feedback.pop(goal_id, None)
            raise
        result = None
        if response.accepted:
            result = self._get.send(self._make(f"{self._type}_GetResult_Request")(goal_id=message))
        return _ClientGoal(message, self._cancel, self._make, result)

    def close(self) -> None:
        """End; idempotent."""
        for client in (self._send, self._get, self._cancel):
            client.close()
        self._node.close_reader(self._feedback)

    def _on_sample(self, data: bytes, info: MessageInfo) -> None:
        try:
            message: Any = self._codec.decode(data)
        except CdrError:
            self.num_invalid += 1
            return
        callback = self._on_feedback.get(bytes(message.goal_id.uuid))
        if callback is not None:
            callback(message.feedback)
