"""Putting something into a hole: which thing has one, the skill for it, and a look at what came of it."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.act import UNPLANNED
from vlm_agent.scripted.goal import Goal, Standing
from vlm_agent.scripted.hands import Hands
from vlm_agent.scripted.program import Result, Steps
from vlm_agent.scripted.run import Absent, Run, Verdict
from vlm_agent.scripted.scene import Seen, find_again, listing
from vlm_agent.scripted.tools import Reached

_TRIES = 3
_SLIM_M = 0.05  # what a peg measures across at most
_WIDE_M = 0.055  # what has a hole measures at least
_IN_M = 0.035  # what is seen this near the middle of a hole is in it
_LET_GO = ("misplaced", "dropped", "not_holding")
_SHAPES = {"round": "cylinder", "square": "box"}


class Inserter:
    """Puts pegs into holes in a run."""

    def __init__(self, run: Run, hands: Hands) -> None:
        """Work in a run, with its hands."""
        self.run, self.hands = run, hands

    def find(self, step: ast.Insert) -> Steps[tuple[Seen, list[Seen]]]:
        """Return what goes in, and what may have the hole, likeliest first.

        Raises:
            Verdict: One of them is not seen, or several things are meant.
        """
        into = None
        if step.into is not None:
            into = yield from self.hands.resolver.one(step.into)
        targets = [into] if into else self._with_holes()
        if self.run.held is not None or not step.is_peg:
            what = yield from self.hands.found(step.object, targets)
        else:
            what = yield from self._peg(step, targets)
        targets = [t for t in targets if t != what]
        if not targets:
            raise Absent(f"I see nothing that may have a hole; I see {self.run.scene.listing()}.")
        return what, targets

    def _with_holes(self) -> list[Seen]:
        """Return the blocks that are wide enough for a hole, the widest first."""
        wide = [o for o in self.run.scene.objects if not o.is_container and o.size_m[1] > _WIDE_M]
        blocks = [o for o in wide if o.shape in ("box", "object")]
        return sorted(blocks, key=lambda o: -o.size_m[1])

    def _peg(self, step: ast.Insert, targets: Sequence[Seen]) -> Steps[Seen]:
        """Return the one thing that a peg can be: slim, a box or a cylinder, as the hole is if told."""
        pool = yield from self.hands.resolver.candidates(step.object, targets)
        slim = [o for o in pool if o.shape in _SHAPES.values() and o.size_m[0] <= _SLIM_M]
        slim = [o for o in slim if not step.hole or o.shape == _SHAPES[step.hole]] or slim
        tall = [o for o in slim if o.size_m[2] > 1.3 * o.size_m[0]] or slim
        if not tall:
            raise Absent(f"I see no peg; I see {self.run.scene.listing()}.", self.run.scene.evidence)
        if len(tall) > 1:
            text = f"Which one is the peg? I see {listing(tall)}."
            raise Verdict("unclear", text, self.run.scene.evidence)
        return tall[0]

    def insert(self, step: ast.Insert) -> Steps[Reached]:
        """Pick the thing up, put it into the hole, and see it there.

        Raises:
            Verdict: There is no such hole, or it did not go in.
        """
        run = self.run
        what, targets = yield from self.find(step)
        why, target = "", targets[0]
        for attempt in range(_TRIES):
            if attempt and run.held is None:
                what = yield from self._again(what, why)
            what = yield from self.hands.take(what)
            if not attempt:
                target = yield from self._with_hole(step, what, targets)
            result = yield from run.skill(
                f"Put {what.name} into the hole of {target.name}.", "insert", into=target.box
            )
            if result.ok or result.reason in _LET_GO:
                run.held = None
                seen = yield from self._seen_in(what, target, result)
                if seen.holds:
                    return Reached(what, None, seen, _words(what, target, result))
                why = seen.why
                continue
            why = result.message or result.reason
            if result.reason == "no_hole":
                yield from self._give_up(what, "impossible", why)
            if result.reason in UNPLANNED and run.offers("regrasp"):
                yield from run.skill("Hold it in another way.", "regrasp", how="turned")
        if run.held is not None:
            yield from self._give_up(what, "failed", why)
        raise Verdict("failed", f"I tried {_TRIES} times; {why}.", run.scene.evidence)

    def _with_hole(self, step: ast.Insert, what: Seen, targets: Sequence[Seen]) -> Steps[Seen]:
        """Return which of several things has the hole: the skill, planning only, finds it in the picture.

        Raises:
            Verdict: None has.
        """
        if len(targets) == 1 and not step.hole:
            return targets[0]
        found: list[Seen] = []
        why = ""
        for target in targets:
            text = f"Has {target.name} a hole for it?"
            told = yield from self.run.skill(text, "insert", into=target.box, dry_run=True)
            is_round = told.value.get("hole_is_round")
            wanted = step.hole in ("", "round" if is_round else "square") or is_round is None
            if (told.ok or told.reason in UNPLANNED) and wanted:
                found.append(target)
            elif told.ok:
                why = f"the hole of {target.name} is {'round' if is_round else 'square'}"
            else:
                why = told.message or told.reason
        if not found:
            yield from self._give_up(what, "impossible", why or "I see no hole")
        if len(found) > 1:
            yield from self._give_up(what, "unclear", f"Into which hole? {listing(found)} have one")
        return found[0]

    def _give_up(self, what: Seen, outcome: str, why: str) -> Steps[None]:
        """Put what is held back where it stood, and end.

        Raises:
            Verdict: Always.
        """
        run = self.run
        spot = [what.center_m[0], what.center_m[1], max(0.0, what.bottom_z_m)]
        back = yield from run.skill(f"Put {what.name} back.", "place", position_m=[round(v, 4) for v in spot])
        if back.ok or back.reason in _LET_GO:
            run.held = None
        state = "I put it back" if run.held is None else "I still hold it"
        words = f"I can't put {what.name} into the hole: {why.rstrip('.')}; {state}."
        if outcome == "unclear":
            words = f"{why}; I put {what.name} back." if run.held is None else f"{why}."
        raise Verdict(outcome, words)  # pyright: ignore[reportArgumentType]

    def _again(self, what: Seen, why: str) -> Steps[Seen]:
        """Return the thing as it is seen after a failed try.

        Raises:
            Verdict: It is not seen any more.
        """
        found, _ = yield from self.hands.actor.watcher.found(what, Goal("anywhere"), why)
        return found

    def _seen_in(self, what: Seen, target: Seen, result: Result) -> Steps[Standing]:
        """Look whether the thing is where the hole is; deep in it, it may be seen as one with the block."""
        run = self.run
        if not run.is_home and run.offers("home"):
            yield from run.skill("Out of the camera's view.", "home")
        scene = yield from run.look("Is it in the hole?")
        block = find_again(target, scene.objects, target.center_m[:2])
        is_near = block is not None and block.distance_m(target.center_m) < 0.05
        middle = block.center_m if block is not None and is_near else target.center_m
        again = self.hands.actor.watcher.find(what, scene, middle[:2])
        near = [o for o in scene.objects if o.distance_m(middle) < _IN_M]
        if result.ok and near and (again is None or again in near):
            return Standing(True, scene.evidence)
        beside_cm = 0.0 if again is None else 100 * again.distance_m(middle)
        where = "I don't see it" if again is None else f"it is seen {beside_cm:.0f} cm beside"
        return Standing(False, (), f"{what.name} is not in the hole: {result.message or where}")


def _words(what: Seen, target: Seen, result: Result) -> str:
    depth_m = result.value.get("depth_m")
    deep = f", {1e3 * depth_m:.0f} mm deep" if isinstance(depth_m, float) else ""
    tries = int(result.value.get("tries") or 1)
    felt = f"; I felt for the hole {tries} times" if tries > 1 else ""
    return f"{what.name} is in the hole of {target.name}{deep}{felt}"
