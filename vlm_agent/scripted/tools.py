"""Acting with the tool in the hand: pick, look whether it worked, open and close."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.goal import Goal, Standing
from vlm_agent.scripted.program import Call, Result, Steps
from vlm_agent.scripted.run import Run, Verdict
from vlm_agent.scripted.scene import Seen
from vlm_agent.scripted.watch import Watcher

TOOL = "tweezers"
"""What is taken where no tool is named and the hand is for no other."""

_TRIES = 4
_HOPELESS = ("too_wide", "unreachable", "refused")
_STILL_M = 0.03
_IN_THE_AIR_M = 0.03


@dataclass(frozen=True)
class Reached:
    """A goal that was reached for an object, and how."""

    what: Seen | None
    goal: Goal | None
    standing: Standing
    words: str
    was_already: bool = False


class ToolActor:
    """Picks with a tool, and opens it, in a run."""

    def __init__(self, run: Run) -> None:
        """Act in a run."""
        self.run = run
        self.watcher = Watcher(run)

    def is_for(self, step: ast.PickUp) -> bool:
        """Whether a step is done with the tool: it names one, or nothing else can pick."""
        return bool(step.tool) or (self.run.offers("pick_with_tool") and not self.run.offers("pick"))

    def require_tool(self, step: ast.Step) -> None:
        """Refuse a step with a tool where the hand holds none.

        Raises:
            Verdict: No skill for it is offered.
        """
        tool = step.tool if isinstance(step, ast.PickUp | ast.SetOpening) else ""
        skill = "pick_with_tool" if isinstance(step, ast.PickUp) else "set_tool_opening"
        if tool and not self.run.offers(skill):
            raise Verdict("impossible", f"I have no {tool} in my hand: {skill!r} is not among my tools.")

    def pick(self, what: Seen, tool: str) -> Steps[Reached]:
        """Pick an object up with a tool, and see that it has left the table.

        Raises:
            Verdict: It could not be done.
        """
        run = self.run
        why = ""
        for attempt in range(_TRIES):
            if attempt:
                what = yield from self._find_after(what, why)
            self.watcher.follow(what)
            text = f"Pick up {what.name} with the {tool}."
            result = yield from run.skill(text, "pick_with_tool", tool=tool, object=what.box)
            if result.ok:
                standing = yield from self._verify(what)
                if standing.holds:
                    run.in_tool = what
                    return Reached(what, None, standing, f"{what.name} hangs in the {tool}")
                why = standing.why
                yield from run.skill("Open them again.", "set_tool_opening", width_m=0.02)
                continue
            why = result.message or result.reason
            if result.reason == "dropped":
                raise Verdict("failed", f"I lost the {tool}: {why}.")
            if result.reason in _HOPELESS or result.error in ("bad_arguments", "refused"):
                raise Verdict(
                    "impossible", f"I can't pick up {what.name} with the {tool}: {why}.", run.scene.evidence
                )
        raise Verdict("failed", f"I tried {_TRIES} times; {why}.")

    def set_opening(self, step: ast.SetOpening) -> Steps[Reached]:
        """Bring the tool's tips to an opening, or change it.

        Raises:
            Verdict: It could not be done.
        """
        run = self.run
        width_m = step.width_m
        if width_m is None:
            now = yield from self._opening(0.0, dry_run=True)
            width_m = max(0.0, float(now.value.get("opening_m") or 0.0) + (step.change_m or 0.0))
        result = yield from self._opening(round(width_m, 4), dry_run=False)
        if not result.ok:
            outcome = "impossible" if result.reason in _HOPELESS else "failed"
            raise Verdict(
                outcome, f"I can't bring the {step.tool} to {1e3 * width_m:.1f} mm: {result.message}."
            )
        if result.value.get("released"):
            run.in_tool = None
        (shot,) = yield from run.call(
            "Look at the result.", Call("capture", {"camera": run.config.scene_camera})
        )
        opening_mm = 1e3 * float(result.value.get("opening_m") or 0.0)
        words = f"the tips of the {step.tool} are {opening_mm:.1f} mm apart"
        if result.value.get("holding"):
            words += ", something is between them"
        evidence = (shot.call_id,) if shot.ok else ()
        return Reached(None, None, Standing(True, evidence), words)

    def _opening(self, width_m: float, *, dry_run: bool) -> Steps[Result]:
        text = "How far open are they?" if dry_run else f"Bring the tips to {1e3 * width_m:.1f} mm."
        result = yield from self.run.skill(text, "set_tool_opening", width_m=width_m, dry_run=dry_run)
        if dry_run and not result.ok:
            raise Verdict("failed", f"I can't tell how far the tool is open: {result.message}")
        return result

    def _verify(self, what: Seen) -> Steps[Standing]:
        """Look whether an object has left the table; what hangs in the tips is hidden, or in the air."""
        scene = yield from self.run.look("Has it left the table?")
        again = self.watcher.find(what, scene, what.center_m[:2])
        # What hangs in the air is described as if it reached down to the table.
        if again is None or again.top_z_m > what.top_z_m + _IN_THE_AIR_M:
            return Standing(True, scene.evidence)
        far = again.distance_m(what.center_m)
        where = "where it was" if far < _STILL_M else f"{100 * far:.0f} cm from where it was"
        return Standing(False, scene.evidence, f"{what.name} still lies {where}")

    def _find_after(self, what: Seen, why: str) -> Steps[Seen]:
        """Look for an object after a failed pick.

        Raises:
            Verdict: It is not seen any more.
        """
        run = self.run
        if run.offers("home"):
            yield from run.skill("That failed; up, out of the view.", "home")
        scene = yield from run.look(f"That did not work: {why}. Where is it now?")
        again = self.watcher.find(what, scene, what.center_m[:2])
        if again is None:
            raise Verdict("failed", f"I lost {what.name}: I see {scene.listing()}.", scene.evidence)
        return again
