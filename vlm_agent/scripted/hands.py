"""Handing over, and holding in another way: the skill, then a look at what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_agent.scripted import match
from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.act import UNPLANNED, Actor
from vlm_agent.scripted.goal import Standing
from vlm_agent.scripted.program import Result, Steps
from vlm_agent.scripted.resolve import Resolver
from vlm_agent.scripted.run import Run, Verdict
from vlm_agent.scripted.scene import Scene, Seen
from vlm_agent.scripted.syntax import Description
from vlm_agent.scripted.tools import Reached

OUT_M = ((0.56, 0.0, 0.36), (0.5, 0.0, 0.4), (0.54, 0.14, 0.36), (0.54, -0.14, 0.36), (0.45, 0.0, 0.35))
"""Where the hand holds something out, towards the viewer, in world [m]; the first that can be reached."""
_LET_GO = ("dropped", "misplaced", "not_holding")
_IN_THE_AIR_M = 0.03


class Hands:
    """Takes things, hands them over and regrasps them in a run."""

    def __init__(self, run: Run, actor: Actor, resolver: Resolver) -> None:
        """Work in a run, with its actor and its resolver."""
        self.run, self.actor, self.resolver = run, actor, resolver

    # ---- what is in the hand --------------------------------------------------------------------

    def means_held(self, what: Description) -> bool:
        """Whether a description means what is held: "it", or something that is not seen elsewhere."""
        held = self.run.held
        if held is None:
            return False
        simple = [c for c in what.constraints if isinstance(c, (ast.Colored, ast.Shaped))]
        fits = bool(match.by_attributes([held], simple)) and bool(simple)
        return what.is_pronoun or (fits and not match.by_attributes(self.run.scene.objects, simple))

    def require_free(self, what: Description) -> None:
        """Refuse to take something while another thing is held.

        Raises:
            Verdict: Something else is held.
        """
        held = self.run.held
        if held is not None and not self.means_held(what):
            raise Verdict(
                "impossible", f"I hold {held.name} and have only one hand; say where to put it first."
            )

    def found(self, what: Description, exclude: Sequence[Seen] = ()) -> Steps[Seen]:
        """Return the one thing that is meant, which can be held.

        Raises:
            Verdict: It is none or several, it is too big, or something else is held.
        """
        self.require_free(what)
        if self.run.held is not None:
            return self.run.held
        seen = yield from self.resolver.one(what, exclude)
        self.actor.require_graspable(seen)
        return seen

    def take(self, seen: Seen) -> Steps[Seen]:
        """Pick a thing up, unless it is held already; return it as it was seen last before.

        Raises:
            Verdict: It can't be picked.
        """
        self.actor.watcher.follow(seen)
        if self.run.held is None:
            self.run.start += (seen,)
            prepared = yield from self.actor.prepare(seen, None)
            seen = yield from self.actor.pick(seen, prepared.grasps)
        self.run.focus = (seen,)
        return seen

    # ---- handing over ---------------------------------------------------------------------------

    def hand_over(self, step: ast.HandOver) -> Steps[Reached]:
        """Hold something out until a person pulls, let go, and look that it does not lie on the table.

        Raises:
            Verdict: Nobody took it, or it could not be done.
        """
        run = self.run
        what = yield from self.take((yield from self.found(step.object)))
        result = yield from self._hold_out(what)
        if result.reason == "not_taken":
            raise Verdict("failed", f"I held {what.name} out, but {result.message}.")
        if not result.ok and result.reason not in _LET_GO:
            raise Verdict(
                "failed", f"I can't hold {what.name} out: {result.message or result.reason}; I still hold it."
            )
        run.held = None
        scene = yield from self._look_away("Was it taken?")
        lying = self._lying(what, scene)
        if not result.ok or lying is not None:
            why = result.message or "it stands on the table"
            raise Verdict("failed", f"I let go of {what.name}, but it was not taken: {why}.", scene.evidence)
        pull_n = float(result.value.get("pull_n") or 0.0)
        words = f"{what.name} was taken: I felt a pull of {pull_n:.0f} N, let go, and it is not on the table"
        return Reached(what, None, Standing(True, scene.evidence), words)

    def _hold_out(self, what: Seen) -> Steps[Result]:
        """Hold out what is held, where the arm gets to."""
        result = Result("", False)
        for to_m in OUT_M:
            text = (
                f"Hold {what.name} out; let go when it is pulled."
                if not result.reason
                else f"Not there ({result.reason})."
            )
            result = yield from self.run.skill(text, "hand_over", to_m=list(to_m))
            if result.ok or result.reason not in UNPLANNED:
                break
        return result

    def _lying(self, what: Seen, scene: Scene) -> Seen | None:
        """Return the thing where it stands on the table still; what is held in the air is seen higher."""
        again = self.actor.watcher.find(what, scene)
        return again if again is not None and again.top_z_m < what.top_z_m + _IN_THE_AIR_M else None

    def _look_away(self, text: str) -> Steps[Scene]:
        """Look with the arm out of the way."""
        if not self.run.is_home and self.run.offers("home"):
            yield from self.run.skill("Out of the camera's view.", "home")
        return (yield from self.run.look_surely(text))

    # ---- another grip ---------------------------------------------------------------------------

    def regrasp(self, step: ast.Regrasp) -> Steps[Reached]:
        """Put down what is held and take it in another way, and see that it has left the table.

        Raises:
            Verdict: Nothing is held, or it could not be done.
        """
        run = self.run
        what = yield from self.take((yield from self.found(step.object)))
        result = yield from run.skill(f"Take {what.name} in another way.", "regrasp", how=step.how)
        if not result.ok:
            is_held = result.reason in (*UNPLANNED, "refused")
            run.held = what if is_held else None
            state = "I hold it as before" if is_held else "it is put down"
            outcome = "impossible" if result.error == "negative" else "failed"
            raise Verdict(outcome, f"I can't hold {what.name} differently: {result.message}; {state}.")
        run.held = what
        standing = yield from self.actor.watcher.verify_held(what)
        if not standing.holds:
            raise Verdict("failed", f"I can't get hold of {what.name}: {standing.why}.")
        turned = result.value.get("turned_rad")
        how = f", the fingers turned by {57.2958 * turned:.0f} degrees" if isinstance(turned, float) else ""
        return Reached(what, None, standing, f"I hold {what.name} in another way{how}")
