"""The `Bus` contract: what a node needs of a middleware, and nothing of how it is done.

All node logic (robot client, policy runner, cameras, planner node, recorders) is written against it.
`hardware/dds/` speaks ROS 2's wire format without ROS, `hardware/ros/` maps to rclpy; both run
`tests/contracts/bus_suite.py`.

Types are named as ROS names them, `sensor_msgs/msg/JointState`. Messages are objects with ROS's field
names; `Bus.message` makes them. Numeric sequences and arrays may be given as lists or NumPy arrays and are
read as anything that `numpy.asarray` takes; those that were received may be read-only, so copy before
writing. Fields of type `byte` and `char` are ints. Names of topics, services and actions are relative to the
node's namespace unless they begin with "/".

Callbacks run on the bus's own threads while it spins: those of one `group` one after another, those of
different groups side by side. An error that a callback raises ends the spinning and is raised by `spin`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, runtime_checkable

Message = Any
"""An object with the fields of its ROS type."""

Reliability = Literal["reliable", "best_effort"]

ParameterValue = (
    bool | int | float | str | tuple[bool, ...] | tuple[int, ...] | tuple[float, ...] | tuple[str, ...]
)


@dataclass(frozen=True)
class QoS:
    """Quality of service of a publisher or subscription.

    Attributes:
        depth: Samples kept (KEEP_LAST).
        reliability: `reliable` waits for slow readers, `best_effort` does not.
        latched: Transient local: late subscribers get the last `depth` samples.
    """

    depth: int = 10
    reliability: Reliability = "reliable"
    latched: bool = False

    def __post_init__(self) -> None:
        """Refuse what no middleware can do."""
        if self.depth < 1:
            raise ValueError(f"QoS.depth must be at least 1, got {self.depth}")
        if self.latched and self.reliability != "reliable":
            raise ValueError("QoS: latched needs reliability 'reliable'")


RELIABLE: Final = QoS()
SENSOR: Final = QoS(depth=5, reliability="best_effort")
COMMAND: Final = QoS(depth=1)
"""Commands: only the newest counts."""
LATCHED: Final = QoS(depth=1, latched=True)
CLOCK: Final = QoS(depth=1, reliability="best_effort")


@dataclass(frozen=True)
class BusConfig:
    """How a node joins.

    Attributes:
        node_name: Name of the node, letters, digits, "_".
        namespace: Namespace, "/" or "/a/b".
        domain_id: ROS domain (ROS_DOMAIN_ID), 0 to 232.
        interface: Network interface by name or address (`lo`, `eth0`, `192.168.1.5`); "" leaves it to
            the middleware's own configuration, which a real robot should not.
        distro: ROS distribution whose message definitions are used.
        use_sim_time: Whether `Bus.now_ns` follows the topic `/clock`.
        remap: Topic, service and action names to use instead, by relative or absolute name.
        parameters: Values of parameters, by name, over the defaults that the node declares.
    """

    node_name: str = "habilis"
    namespace: str = "/"
    domain_id: int = 0
    interface: str = "lo"
    distro: Literal["humble", "jazzy", "kilted", "lyrical"] = "jazzy"
    use_sim_time: bool = False
    remap: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse names and numbers that ROS refuses."""
        if not (self.node_name.isidentifier() and self.node_name.isascii()):
            raise ValueError(f"node_name must be letters, digits and '_', got {self.node_name!r}")
        parts = [] if self.namespace == "/" else self.namespace.removeprefix("/").split("/")
        is_name = all(part.isidentifier() and part.isascii() for part in parts)
        if not self.namespace.startswith("/") or not is_name:
            raise ValueError(f"namespace must be '/' or like '/a/b', got {self.namespace!r}")
        if not 0 <= self.domain_id <= 232:
            raise ValueError(f"domain_id must be 0 to 232, got {self.domain_id}")


class BusTimeout(TimeoutError):
    """No answer in time: nobody serves the name, or who does is slow."""


class BusClosed(RuntimeError):
    """The bus was closed."""


@runtime_checkable
class Publisher(Protocol):
    """Sends messages of one type on one topic."""

    @property
    def topic(self) -> str:
        """Absolute name."""
        ...

    @property
    def num_subscribers(self) -> int:
        """Subscriptions matched now."""
        ...

    def publish(self, message: Message) -> None:
        """Send; callable from any thread.

        Raises:
            ValueError: The message is of another type, or a field does not fit its type; nothing is sent.
            BusClosed: The bus was closed.
        """
        ...

    def close(self) -> None:
        """End; idempotent."""
        ...


@dataclass(frozen=True)
class MessageInfo:
    """What is known of a received message besides its content.

    Attributes:
        received_s: When it was taken, on `time.monotonic` [s]. Never jumps, so ages are measured by it.
        source_ns: When it was sent, on the sender's system clock [ns]; 0 if unknown.
        publisher: Identity of who sent it: equal for messages of one publisher, else different.
    """

    received_s: float
    source_ns: int
    publisher: str


@runtime_checkable
class Subscription(Protocol):
    """Receives messages of one type from one topic."""

    @property
    def topic(self) -> str:
        """Absolute name."""
        ...

    @property
    def num_publishers(self) -> int:
        """Publishers matched now."""
        ...

    @property
    def num_invalid(self) -> int:
        """Samples that could not be read and were dropped; counted, never silent."""
        ...

    def close(self) -> None:
        """End; idempotent."""
        ...


@runtime_checkable
class Client(Protocol):
    """Calls a service."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until somebody serves it; return whether."""
        ...

    def call(self, request: Message, timeout_s: float) -> Message:
        """Return the response.

        Callable from any thread but those of this bus's own group.

        Raises:
            BusTimeout: No response within `timeout_s` [s].
            BusClosed: The bus was closed meanwhile.
        """
        ...

    def close(self) -> None:
        """End; idempotent."""
        ...


@runtime_checkable
class Handle(Protocol):
    """Something that can be ended: a service, a timer, an action server."""

    def close(self) -> None:
        """End; idempotent."""
        ...


GoalStatus = Literal["accepted", "executing", "canceling", "succeeded", "canceled", "aborted", "rejected"]


@dataclass(frozen=True)
class ActionResult:
    """How a goal of an action ended.

    Attributes:
        status: `succeeded`, `canceled`, `aborted` or `rejected`.
        result: The result message; None if rejected.
    """

    status: GoalStatus
    result: Message | None


@runtime_checkable
class GoalHandle(Protocol):
    """A goal, seen by who sent it."""

    @property
    def is_accepted(self) -> bool:
        """Whether the server took the goal."""
        ...

    def cancel(self, timeout_s: float) -> bool:
        """Ask to cancel; return whether the server agreed.

        Raises:
            BusTimeout: No answer in time.
        """
        ...

    def result(self, timeout_s: float) -> ActionResult:
        """Wait for the end.

        Raises:
            BusTimeout: It has not ended within `timeout_s` [s].
        """
        ...


@runtime_checkable
class ActionClient(Protocol):
    """Sends goals to an action."""

    def wait(self, timeout_s: float) -> bool:
        """Wait until somebody serves it; return whether."""
        ...

    def send_goal(
        self, goal: Message, timeout_s: float, on_feedback: Callable[[Message], None] | None = None
    ) -> GoalHandle:
        """Send a goal and return its handle once the server has accepted or rejected it.

        Raises:
            BusTimeout: No answer in time.
        """
        ...

    def close(self) -> None:
        """End; idempotent."""
        ...


@runtime_checkable
class ServerGoal(Protocol):
    """A goal, seen by who executes it."""

    @property
    def goal(self) -> Message:
        """The goal message."""
        ...

    @property
    def goal_id(self) -> bytes:
        """Its id, 16 bytes."""
        ...

    @property
    def cancel(self) -> threading.Event:
        """Set when a cancel request was accepted, or the bus closes."""
        ...

    def feedback(self, message: Message) -> None:
        """Send feedback."""
        ...


@dataclass(frozen=True)
class ActionHandlers:
    """What a server does.

    Attributes:
        accept: Whether to take a goal; called before anything moves.
        execute: Runs the goal on a thread of its own and returns how it ended.
        accept_cancel: Whether a goal may be cancelled.
    """

    accept: Callable[[Message], bool]
    execute: Callable[[ServerGoal], ActionResult]
    accept_cancel: Callable[[ServerGoal], bool] = lambda goal: True


@dataclass(frozen=True)
class ParameterSpec:
    """A parameter that a node declares.

    Attributes:
        default: Default; its type is the parameter's type.
        description: One line.
        minimum: Lowest number, if any.
        maximum: Highest number, if any.
        read_only: Whether it is fixed after the start.
    """

    default: ParameterValue
    description: str
    minimum: float | None = None
    maximum: float | None = None
    read_only: bool = True


@runtime_checkable
class Bus(Protocol):
    """A node on a middleware. Implementers run `tests/contracts/bus_suite.py`."""

    @property
    def config(self) -> BusConfig:
        """How it joined."""
        ...

    # ---- messages and time --------------------------------------------------------------------

    def message(self, type_name: str, /, **fields: Any) -> Message:
        """Make a message; fields not given have ROS's defaults.

        Nested messages may be given as messages or as dicts of their fields; lists of them likewise.
        For a service use `std_srvs/srv/Trigger_Request`, for an action
        `control_msgs/action/FollowJointTrajectory_Goal` (`_Result`, `_Feedback`).

        Raises:
            ValueError: No such type (lists near ones) or field.
        """
        ...

    def constants(self, type_name: str) -> Mapping[str, Any]:
        """Return the constants that a type defines."""
        ...

    def serialize(self, type_name: str, message: Message) -> bytes | bytearray:
        """Return a message as CDR, little endian, with its header of 4 bytes: what bags hold.

        Raises:
            ValueError: The message is of another type, or a field does not fit its type.
        """
        ...

    def now_ns(self) -> int:
        """Return ROS time [ns]: the system's, or that of `/clock` with `use_sim_time` (0 before any)."""
        ...

    # ---- topics -------------------------------------------------------------------------------

    def publisher(self, type_name: str, topic: str, qos: QoS = RELIABLE) -> Publisher:
        """Open a publisher."""
        ...

    def subscribe(
        self,
        type_name: str,
        topic: str,
        callback: Callable[[Message, MessageInfo], None],
        qos: QoS = RELIABLE,
        *,
        group: str = "default",
    ) -> Subscription:
        """Open a subscription."""
        ...

    # ---- services and actions -----------------------------------------------------------------

    def service(
        self, type_name: str, name: str, handler: Callable[[Message], Message], *, group: str = "services"
    ) -> Handle:
        """Serve: `handler` gets the request and returns the response."""
        ...

    def client(self, type_name: str, name: str) -> Client:
        """Open a client of a service."""
        ...

    def action_server(self, type_name: str, name: str, handlers: ActionHandlers) -> Handle:
        """Serve an action."""
        ...

    def action_client(self, type_name: str, name: str) -> ActionClient:
        """Open a client of an action."""
        ...

    # ---- parameters, timers, graph ------------------------------------------------------------

    def declare(self, parameters: Mapping[str, ParameterSpec]) -> Mapping[str, ParameterValue]:
        """Declare parameters; return their values: the configuration's, else the defaults.

        Raises:
            ValueError: A configured value is of another type, out of range, or of a parameter that nobody
                declares (checked when the bus starts to spin).
        """
        ...

    def timer(self, period_s: float, callback: Callable[[], None], *, group: str = "default") -> Handle:
        """Call back every `period_s` [s] of `time.monotonic`; late calls are skipped, not made up for."""
        ...

    def node_names(self) -> Sequence[str]:
        """Return the absolute names of all nodes known now, this one included."""
        ...

    # ---- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to spin on background threads; what callbacks raise is raised by `spin` and `close`."""
        ...

    def spin(self, timeout_s: float | None = None) -> None:
        """Start if need be and block until `close`, an error, or `timeout_s` [s].

        Raises:
            Exception: What a callback raised.
        """
        ...

    def close(self) -> None:
        """End everything that was opened here; idempotent; callable from any thread."""
        ...
