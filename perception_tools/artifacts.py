"""Named artifacts: how large values travel between tools within one run.

A planner never sees arrays, it sees names (`image_1`, `mask_2`, `cloud_1`). Each artifact carries
its frame, intrinsics, stamp and provenance, and the scene *epoch* it was sensed in. When a skill
changes the scene the epoch advances, and whatever was sensed before is stale for acting on.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from perception_tools.geometry import FrameError, Intrinsics, Transform

ArtifactKind = Literal["image", "depth", "mask", "cloud", "box", "grasp"]
KINDS: tuple[str, ...] = get_args(ArtifactKind)


class ArtifactError(ValueError):
    """An artifact name is unknown, of the wrong kind, stale, or in another frame."""


@dataclass(frozen=True, eq=False)
class Artifact:
    """A large value in the run's workspace.

    Attributes:
        name: `<kind>_<n>`, unique in the run.
        kind: What `data` is: `image` uint8 (H, W, 3) · `depth` float32 [m] (H, W) · `mask` bool
            (H, W) · `cloud` dict(points (N, 3) [m], rgb (N, 3) uint8) · `box` / `grasp`: the
            dataclasses of `perception_tools/bbox_3d.py` and `grasp.py`.
        data: The value itself; treat as read-only.
        frame: Frame of the coordinates: `camera:<name>` for pixels, `world` for 3-D data.
        stamp_s: When it was sensed, on the robot's clock [s].
        epoch: Scene epoch in which it was sensed.
        intrinsics: Of the pixels it lives on (crops and zooms keep theirs), if any.
        T_world_camera: Optical pose of the camera that sensed it, if any.
        tool: Tool that made it.
        call_id: Call that made it.
        parents: Names of the artifacts it was computed from.
        label: Short human description ("red block").
        meta: Small JSON-able extras.
    """

    name: str
    kind: ArtifactKind
    data: Any
    frame: str
    stamp_s: float
    epoch: int
    intrinsics: Intrinsics | None = None
    T_world_camera: Transform | None = None
    tool: str = ""
    call_id: str = ""
    parents: tuple[str, ...] = ()
    label: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Lane:
    """Numbers of the names that one of several concurrent calls makes: every `step`-th from `next` on."""

    step: int
    next: dict[str, int]


class Workspace:
    """Thread-safe store of a run's artifacts, and the scene epoch."""

    def __init__(self) -> None:
        """Start empty, in epoch 0."""
        self._lock = threading.RLock()
        self._artifacts: dict[str, Artifact] = {}
        self._counts: dict[str, int] = dict.fromkeys(KINDS, 0)
        self._lanes: dict[str, _Lane] = {}
        self._epoch = 0
        self._epoch_reason = ""

    @property
    def epoch(self) -> int:
        """Number of times the scene was changed by the robot."""
        with self._lock:
            return self._epoch

    def advance_epoch(self, reason: str) -> None:
        """Declare that the scene changed (e.g. ``"pick moved an object at 8.2 s"``)."""
        with self._lock:
            self._epoch += 1
            self._epoch_reason = reason

    def share_names(self, call_ids: Sequence[str]) -> None:
        """Let calls that run side by side make names that do not depend on which ends first.

        Of n calls, the k-th takes every n-th number from the k-th free one on; other calls take the
        next number, as ever. Holds until the next time that this is called.
        """
        with self._lock:
            self._lanes = {
                call_id: _Lane(len(call_ids), {kind: n + 1 + k for kind, n in self._counts.items()})
                for k, call_id in enumerate(call_ids)
            }

    def put(self, kind: ArtifactKind, data: Any, **fields: Any) -> Artifact:
        """Store a value under the next free name of its kind (of its call, in `share_names`).

        `fields` are as in `Artifact`.

        `epoch` defaults to the oldest epoch among `parents`, else the current one.

        Raises:
            ArtifactError: If the kind or a parent is unknown.
        """
        with self._lock:
            if kind not in self._counts:
                raise ArtifactError(f"unknown artifact kind {kind!r}; kinds: {', '.join(KINDS)}")
            parents = [self.get(name) for name in fields.get("parents", ())]
            fields.setdefault("epoch", min([p.epoch for p in parents], default=self._epoch))
            artifact = Artifact(
                name=self._new_name(kind, fields.get("call_id")), kind=kind, data=data, **fields
            )
            self._artifacts[artifact.name] = artifact
            return artifact

    def _new_name(self, kind: str, call_id: str | None) -> str:
        lane = self._lanes.get(call_id or "")
        number, step = (self._counts[kind] + 1, 1) if lane is None else (lane.next[kind], lane.step)
        while f"{kind}_{number}" in self._artifacts:
            number += step
        if lane is not None:
            lane.next[kind] = number + step
        self._counts[kind] = max(self._counts[kind], number)
        return f"{kind}_{number}"

    def get(
        self,
        name: str,
        kind: ArtifactKind | None = None,
        *,
        fresh: bool = False,
        frame: str | None = None,
    ) -> Artifact:
        """Look an artifact up.

        Args:
            name: Its name.
            kind: Required kind, if any.
            fresh: Require that the scene has not changed since it was sensed.
            frame: Required frame, if any.

        Raises:
            ArtifactError: Unknown name (lists those of the kind), wrong kind, or stale.
            FrameError: Wrong frame.
        """
        with self._lock:
            artifact = self._artifacts.get(name)
            if artifact is None:
                known = [n for n, a in self._artifacts.items() if kind in (None, a.kind)]
                raise ArtifactError(f"no artifact {name!r}; there are: {', '.join(known) or 'none yet'}")
            if kind is not None and artifact.kind != kind:
                raise ArtifactError(f"{name!r} is a {artifact.kind}, a {kind} is needed")
            if fresh and artifact.epoch < self._epoch:
                raise ArtifactError(
                    f"{name!r} is stale (sensed at {artifact.stamp_s:.2f} s, then {self._epoch_reason}); "
                    "capture again"
                )
            if frame is not None and artifact.frame != frame:
                raise FrameError(f"{name!r} is in frame {artifact.frame!r}, {frame!r} is needed")
            return artifact

    def extract(self, names: Iterable[str]) -> Workspace:
        """Return a workspace with some of the artifacts, under the same names, in the same epoch.

        New names in it continue where this one's stand. It can be sent to another process.

        Raises:
            ArtifactError: Unknown name.
        """
        with self._lock:
            other = Workspace()
            other._artifacts = {name: self.get(name) for name in names}
            other._counts = dict(self._counts)
            other._epoch, other._epoch_reason = self._epoch, self._epoch_reason
            return other

    def __getstate__(self) -> dict[str, Any]:
        """Return everything but the lock."""
        with self._lock:
            return {key: value for key, value in self.__dict__.items() if key != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore with a lock of its own."""
        self.__dict__.update(state)
        self._lock = threading.RLock()

    def all(self, kind: ArtifactKind | None = None) -> list[Artifact]:
        """Return the artifacts (of one kind), oldest first."""
        with self._lock:
            return [a for a in self._artifacts.values() if kind in (None, a.kind)]
