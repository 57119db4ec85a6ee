"""The truth about an episode of `sim/tweezers.py`: what hangs in the tweezers, and what was moved."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from policies.world import Judgement
from sim.tweezers_scene import TweezersScene

STILL_M: Final = 0.01
"""Farther from where it lay, a thing was moved [m]."""
_IN_HAND_M: Final = 0.1  # as in the task: farther from the hand's grasp frame, the tool is lost


class Judge:
    """Judges a scene by true poses and contacts.

    Args:
        scene: The scene, as the episode begins.
        target: What is to be lifted; None if nothing may be moved.
        lifted_m: Height above where it lay from which it counts as lifted [m].
    """

    def __init__(self, scene: TweezersScene, target: str | None, lifted_m: float) -> None:
        """See the class."""
        self._scene, self._target, self._lifted_m = scene, target, lifted_m
        self._start = {t.name: scene.pose(t.name)[0] for t in scene.things}

    def judge(self, robot_facts: Mapping[str, Any] | None = None) -> Judgement:
        """Judge the present state."""
        moved = {n: float(np.linalg.norm(self._scene.pose(n)[0] - p)) for n, p in self._start.items()}
        facts: dict[str, Any] = {
            "moved_m": {n: round(m, 4) for n, m in moved.items()},
            "others_moved": sum(m > STILL_M for n, m in moved.items() if n != self._target),
            "tool_in_hand": self._is_tool_in_hand(),
            **(robot_facts or {}),
        }
        if self._target is None:
            still = max(moved.values()) <= STILL_M
            return Judgement(still, "nothing was moved" if still else "something was moved", facts)
        lifted_m = float(self._scene.pose(self._target)[0][2] - self._start[self._target][2])
        facts |= {"lifted_m": round(lifted_m, 4), "touches": sorted(self._touching())}
        return Judgement(*self._verdict(lifted_m, facts), facts)

    def _verdict(self, lifted_m: float, facts: Mapping[str, Any]) -> tuple[bool, str]:
        if not facts["tool_in_hand"]:
            return False, "the tweezers were dropped"
        if lifted_m < self._lifted_m:
            return False, f"it was lifted by {100 * lifted_m:.1f} cm, {100 * self._lifted_m:.0f} cm count"
        arms = {self._scene.tool.body, str(self._scene.tool.moving_body)}
        if set(facts["touches"]) != arms:
            return (
                False,
                f"it touches {', '.join(facts['touches']) or 'nothing'}, not both arms of the tweezers",
            )
        return True, f"it hangs in the tweezers, {100 * lifted_m:.1f} cm above where it lay"

    def _is_tool_in_hand(self) -> bool:
        data = self._scene.data
        with self._scene.lock:
            gap = data.site(self._scene.tool.site("grip")).xpos - data.site("ee").xpos
        return bool(np.linalg.norm(gap) <= _IN_HAND_M)

    def _touching(self) -> set[str]:
        """Return the bodies that the target touches."""
        model, data, found = self._scene.model, self._scene.data, set()
        with self._scene.lock:
            pairs = [tuple(model.geom_bodyid[g] for g in pair) for pair in data.contact.geom]
        target = model.body(self._target).id
        for a, b in pairs:
            if target in (a, b):
                found.add(model.body(b if a == target else a).name)
        return found
