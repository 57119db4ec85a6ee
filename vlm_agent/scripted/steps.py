"""The steps of a task: what they refer to, what must hold before anything moves, and doing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from vlm_agent.scripted import match, rows
from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.act import Actor
from vlm_agent.scripted.answers import answered, checked
from vlm_agent.scripted.goal import TOOL_RELATIONS, Goal, Standing, satisfied
from vlm_agent.scripted.hands import Hands
from vlm_agent.scripted.inserting import Inserter
from vlm_agent.scripted.instrument import OPEN_M
from vlm_agent.scripted.program import Call, Steps
from vlm_agent.scripted.push import Pusher
from vlm_agent.scripted.resolve import Resolver
from vlm_agent.scripted.run import Absent, Run, Verdict
from vlm_agent.scripted.scene import SIDE_OF, SIDES, Seen, find_again
from vlm_agent.scripted.syntax import Description, Step, Target
from vlm_agent.scripted.tools import TOOL, Reached, ToolActor

CAN_DO = "I can pick up, put, stack, swap and take out things, look at them, and answer questions about them"
_SIDES = ("left_of", "right_of", "in_front_of", "behind")
_SKILLS: Mapping[type, tuple[str, str]] = {
    ast.HandOver: ("hand_over", "Handing something over"),
    ast.Insert: ("insert", "Putting something into a hole"),
    ast.Regrasp: ("regrasp", "Holding something in another way"),
}
"""The skill that a step takes, where there is only one."""


class Doer:
    """Carries out steps in a run."""

    def __init__(self, run: Run) -> None:
        """Work in a run."""
        self.run = run
        self.resolver = Resolver(run)
        self.actor = Actor(run)
        self.tools = ToolActor(run)
        self.pusher = Pusher(run, self.actor)
        self.hands = Hands(run, self.actor, self.resolver)
        self.inserter = Inserter(run, self.hands)
        self.condition = ""
        self.reached: list[Reached] = []

    # ---- before anything moves ------------------------------------------------------------------

    def check(self, steps: Sequence[Step]) -> Steps[None]:
        """Check that the steps can be understood in this scene; nothing moves.

        The first step is resolved whole. What later steps speak of must exist by colour and shape;
        where things stand may have changed by then.

        Raises:
            Verdict: They can't.
        """
        for number, step in enumerate(steps):
            self.tools.require_tool(step)
            self._require_skill(step)
            if isinstance(step, ast.Unsupported):
                verb = step.verb
                raise Verdict("impossible", f"I can't {verb} anything; {CAN_DO}.")
            if number == 0:
                yield from self._check_first(step)
            else:
                self._check_existence(step)

    def _require_skill(self, step: Step) -> None:
        """Refuse a step whose skill is not offered.

        Raises:
            Verdict: It is not.
        """
        skill, doing = _SKILLS.get(type(step), ("", ""))
        if skill and not self.run.offers(skill):
            raise Verdict("impossible", f"{doing} needs the skill {skill!r}, and it is not among my tools.")

    def _check_first(self, step: Step) -> Steps[None]:
        if isinstance(step, ast.If):
            if isinstance(step.condition, ast.Weigh):  # only weighing tells
                yield from checked(self.run, step.condition)
                for inner in (*step.then, *step.otherwise):
                    self._check_existence(inner)
                return
            branch = step.then if (yield from self._is_true(step)) else step.otherwise
            yield from self.check(branch)
        elif isinstance(step, ast.Arrange):
            rows.ordered((yield from self._all(step.objects)), step, self.run)
        elif isinstance(step, ast.Move) and self._is_of_held(step.objects):
            yield from self._anchors(step.target)
        elif isinstance(step, ast.Move):
            bound = yield from self._bind(step)
            is_pushed = step.how == "push" and self.run.offers("push")
            for what, goal in (yield from self._to_do(bound)):
                if not is_pushed:
                    self.actor.require_graspable(what)
                if goal.relation == "inside" and what.size_m[1] > goal.anchors[0].size_m[1]:
                    raise Verdict(
                        "impossible", f"{what.name.capitalize()} does not fit {goal.words()}: it is wider."
                    )
        elif isinstance(step, (ast.Stack, ast.Swap)):
            for what in (yield from self._all(step.objects)):
                self.actor.require_graspable(what)
        elif isinstance(step, ast.PickUp):
            what = yield from self.resolver.one(step.object)
            if not self.tools.is_for(step):
                self.actor.require_graspable(what)
        elif isinstance(step, (ast.LookAt, ast.Mention)) and not step.object.landmark:
            yield from self.resolver.resolve(step.object)
        elif isinstance(step, ast.Empty):
            yield from self.resolver.one(step.container, into=True)
        elif isinstance(step, (ast.HandOver, ast.Regrasp)):
            yield from self.hands.found(step.object)
        elif isinstance(step, ast.Insert):
            yield from self.inserter.find(step)

    def _check_existence(self, step: Step) -> None:
        if isinstance(step, ast.If):
            return  # what is spoken of in a condition need not exist
        for node in ast.descendants(step):
            if isinstance(node, Description) and not (node.landmark or node.is_pronoun):
                simple = [c for c in node.constraints if isinstance(c, (ast.Colored, ast.Shaped))]
                if not match.by_attributes(self.run.scene.objects, simple):
                    raise Absent(
                        f'I see nothing that fits "{node.text}"; I see {self.run.scene.listing()}.',
                        self.run.scene.evidence,
                    )

    # ---- references of a step -------------------------------------------------------------------

    def _all(self, descriptions: Sequence[Description], exclude: Sequence[Seen] = ()) -> Steps[list[Seen]]:
        """Return the objects of coordinated descriptions, each once."""
        found: list[Seen] = []
        for what in descriptions:
            others = [*exclude, *(() if what.is_pronoun else found)]
            found += [o for o in (yield from self.resolver.resolve(what, others)) if o not in found]
        return found

    def _bind(self, step: ast.Move) -> Steps[list[tuple[Seen, Goal]]]:
        """Return the objects of a move, each with its goal."""
        anchors: list[Seen] | None = None
        if any(d.wants_many for d in step.objects):
            anchors = yield from self._anchors(step.target)
        try:
            objects = yield from self._all(step.objects, anchors or ())
        except Verdict as verdict:
            if verdict.outcome != "unclear" or anchors is not None or not step.target.anchors:
                raise
            anchors = yield from self._anchors(step.target)
            objects = yield from self._all(step.objects, anchors)
        if anchors is None:
            anchors = yield from self._anchors(step.target, objects)
        return [(what, self._goal(what, step.target, anchors)) for what in objects]

    def _anchors(self, target: Target, exclude: Sequence[Seen] = ()) -> Steps[list[Seen]]:
        into = target.relation in ("inside", "to", "on")
        found: list[Seen] = []
        for anchor in target.anchors:
            if anchor.landmark:
                continue
            if target.relation == "between" and (anchor.wants_many or len(target.anchors) == 1):
                found += yield from self.resolver.resolve(replace(anchor, determiner="all"), exclude)
            else:
                found.append((yield from self.resolver.one(anchor, exclude, into=into)))
        if target.relation == "between" and len(found) != 2:
            raise Verdict(
                "unclear", f"Between what? I found {len(found)} objects for it.", self.run.scene.evidence
            )
        return found

    def _goal(self, what: Seen, target: Target, anchors: Sequence[Seen]) -> Goal:
        """Return the goal of a target, in terms of what the tools know.

        Raises:
            Verdict: The target makes no sense here.
        """
        relation, frame = target.relation, target.frame
        landmark = next((a.landmark for a in target.anchors if a.landmark), None)
        origin = what.center_m
        if relation == "origin":
            first = next((s for s in reversed(self.run.start) if find_again(s, [what]) is not None), what)
            return Goal("origin", origin=first.center_m)
        if landmark or not anchors:
            return self._goal_at_landmark(target, landmark, origin)
        anchor = anchors[0]
        if relation in ("to", "above"):
            relation = "inside" if anchor.is_container else "on" if relation == "above" else "next_to"
        if relation == "on" and anchor.is_container:
            relation = "inside"
        if relation == "inside" and not anchor.is_container:
            raise Verdict("impossible", f"Nothing can be put into {anchor.name}: it is no container.")
        if relation == "below":
            raise Verdict("impossible", f"I can't put anything under {anchor.name}.")
        return Goal(relation, tuple(anchors), frame, distance_m=target.distance_m, origin=origin)

    def _goal_at_landmark(
        self, target: Target, landmark: str | None, origin: tuple[float, float, float]
    ) -> Goal:
        relation, frame = target.relation, target.frame
        if relation in ("anywhere", "middle"):
            return Goal(relation, origin=origin)
        if all(word in SIDES for word in relation.split()):
            return Goal("side", (), frame, relation, None, origin)
        if relation in _SIDES and landmark in (None, "table"):
            kind = "side" if landmark else "shift"
            return Goal(kind, (), frame, SIDE_OF[relation], target.distance_m, origin)
        if landmark in ("robot", "viewer") and relation in ("next_to", "in_front_of", "to"):
            return Goal("side", (), "camera", "back" if landmark == "robot" else "front", None, origin)
        where = landmark or "there"
        raise Verdict("unclear", f"I don't know where {relation.replace('_', ' ')} {where!r} would be.")

    def _to_do(self, bound: Sequence[tuple[Seen, Goal]]) -> Steps[list[tuple[Seen, Goal]]]:
        """Return what is not yet where it should be; the relations are asked for in one turn."""
        if (
            len({(goal.relation, goal.frame) for _, goal in bound}) == 1
            and bound[0][1].relation in TOOL_RELATIONS
        ):
            goal = bound[0][1]
            yield from self.run.relate([(what, g.anchors[0]) for what, g in bound], goal.relation, goal.frame)
        to_do: list[tuple[Seen, Goal]] = []
        for what, goal in bound:
            if not (yield from self._is_satisfied(what, goal)).holds:
                to_do.append((what, goal))
        return to_do

    def _is_satisfied(self, what: Seen, goal: Goal) -> Steps[Standing]:
        """Tell whether nothing need be done: it holds already, and nearby where only a side is asked for."""
        if goal.relation in ("shift", "away_from"):
            return Standing(False)
        standing = yield from satisfied(self.run, what, goal, self.run.scene)
        is_far = (
            goal.relation in _SIDES
            and what.distance_m(goal.anchors[0].center_m) > self.run.config.near_enough_m
        )
        return Standing(False) if is_far else standing

    # ---- doing ----------------------------------------------------------------------------------

    def do(self, step: Step, number: int) -> Steps[None]:
        """Carry out a step.

        Raises:
            Verdict: It could not be done.
        """
        if number and (self.run.has_moved or not self.run.is_home):
            yield from self._look_again()
        if isinstance(step, ast.Move) and step.how == "push" and self.run.offers("push"):
            yield from self._do_push(step)
        elif isinstance(step, ast.Move):
            yield from self._do_move(step)
        elif isinstance(step, ast.If):
            yield from self._do_if(step, number)
        elif isinstance(step, ast.Arrange):
            yield from self._do_row(step)
        elif isinstance(step, ast.SetOpening):
            self.reached.append((yield from self.tools.set_opening(step)))
        elif isinstance(step, ast.PickUp):
            yield from self._do_pick(step)
        elif isinstance(step, ast.Release):
            yield from self._do_release(step)
        elif isinstance(step, ast.Stack):
            yield from self._do_stack(step)
        elif isinstance(step, ast.Swap):
            yield from self._do_swap(step)
        elif isinstance(step, ast.Empty):
            yield from self._do_empty(step)
        elif isinstance(step, ast.HandOver):
            self.reached.append((yield from self.hands.hand_over(step)))
        elif isinstance(step, ast.Insert):
            self.reached.append((yield from self.inserter.insert(step)))
        elif isinstance(step, ast.Regrasp):
            self.reached.append((yield from self.hands.regrasp(step)))
        elif isinstance(step, ast.LookAt):
            yield from self._do_look(step)
        elif isinstance(step, ast.Mention):
            self.run.focus = yield from self.resolver.resolve(step.object)
        elif isinstance(step, ast.Gesture):
            yield from self._do_gesture(step)

    def _look_again(self) -> Steps[None]:
        if not self.run.is_home and self.run.held is None and self.run.offers("home"):
            yield from self.run.skill("Out of the camera's view.", "home")
        yield from self.run.look("Next step; how do things stand?")

    def _do_move(self, step: ast.Move) -> Steps[None]:
        held = self.run.held
        if held is not None and self._is_of_held(step.objects):
            anchors = yield from self._anchors(step.target)
            yield from self._bring(held, self._goal(held, step.target, anchors))
            return
        if held is not None:
            yield from self.actor.put_down(held)
            yield from self._look_again()
        bound = yield from self._bind(step)
        to_do = yield from self._to_do(bound)
        for what, goal in bound:
            if (what, goal) not in to_do:
                self._note(what, goal, (yield from self._is_satisfied(what, goal)), was_already=True)
        for k, (what, goal) in enumerate(to_do):
            if k:
                what, goal = self._again(what, goal)
            yield from self._bring(what, goal)
        self.run.focus = tuple(what for what, _ in bound)
        self.run.places = tuple(a for _, goal in bound[:1] for a in goal.anchors)

    def _is_of_held(self, objects: Sequence[Description]) -> bool:
        """Whether a description can only mean what is held: "it", or something that is not seen elsewhere."""
        held = self.run.held
        if held is None or len(objects) != 1:
            return False
        what = objects[0]
        if what.is_pronoun:
            return True
        simple = [c for c in what.constraints if isinstance(c, (ast.Colored, ast.Shaped))]
        fits = bool(match.by_attributes([held], simple)) and bool(simple)
        return fits and not match.by_attributes(self.run.scene.objects, simple)

    def _again(self, what: Seen, goal: Goal) -> tuple[Seen, Goal]:
        """Return an object and its goal as they are seen now."""
        again = find_again(what, self.run.scene.objects, what.center_m[:2])
        now = goal.seen_again(self.run.scene, (again,) if again else ())
        if again is None or now is None:
            lost = what.name if again is None else " and ".join(a.name for a in goal.anchors)
            raise Verdict(
                "failed", f"I lost {lost}; I see {self.run.scene.listing()}.", self.run.scene.evidence
            )
        return again, now

    def _bring(self, what: Seen, goal: Goal) -> Steps[None]:
        self.run.start += (what,)
        if self.run.held is None:
            self.actor.require_graspable(what)
        standing = yield from self.actor.move(what, goal)
        self._note(what, goal, standing)

    def _note(self, what: Seen, goal: Goal, standing: Standing, was_already: bool = False) -> None:
        self.reached.append(Reached(what, goal, standing, f"{what.name} is {goal.words()}", was_already))

    def _do_pick(self, step: ast.PickUp) -> Steps[None]:
        if self.run.held is not None and step.object.is_pronoun:
            return
        if self.run.held is not None:
            raise Verdict(
                "impossible",
                f"I hold {self.run.held.name} and have only one hand; say where to put it first.",
            )
        what = yield from self.resolver.one(step.object)
        self.run.start += (what,)
        if self.tools.is_for(step):
            self.reached.append((yield from self.tools.pick(what, step.tool or TOOL)))
            self.run.focus = (what,)
            return
        self.actor.require_graspable(what)
        standing = Standing(False)
        for _ in range(self.run.config.max_moves):
            self.actor.watcher.follow(what)
            prepared = yield from self.actor.prepare(what, None)
            what = yield from self.actor.pick(what, prepared.grasps)
            standing = yield from self.actor.watcher.verify_held(what)
            if standing.holds:
                break
            yield from self.actor.put_down(what)
            yield from self._look_again()
            what, _ = self._again(what, Goal("anywhere"))
        if not standing.holds:
            raise Verdict("failed", f"I can't get hold of {what.name}: {standing.why}.")
        self.run.focus = (what,)
        self.reached.append(Reached(what, None, standing, f"I hold {what.name}"))

    def _do_release(self, step: ast.Release) -> Steps[None]:
        held = self.run.held
        if held is None and self.run.in_tool is not None:
            self.reached.append((yield from self.tools.set_opening(ast.SetOpening(TOOL, OPEN_M))))
            return
        if held is None:
            raise Verdict("impossible", "I hold nothing that I could put down.", self.run.scene.evidence)
        yield from self.actor.put_down(held)
        scene = yield from self.run.look("Is it down?")
        again = find_again(held, scene.objects)
        if again is None:
            raise Verdict("failed", f"I let go of {held.name} but don't see it.", scene.evidence)
        self.reached.append(
            Reached(again, None, Standing(True, scene.evidence), f"{held.name} is back on the table")
        )

    def _do_stack(self, step: ast.Stack) -> Steps[None]:
        found = yield from self._all(step.objects)
        if len(found) < 2:
            raise Verdict(
                "unclear", "Stack what on what? I found only one object for it.", self.run.scene.evidence
            )
        order = found
        if not step.is_ordered:
            order = sorted(found, key=lambda o: (-o.size_m[0] * o.size_m[1], found.index(o)))
        for k, (below, what) in enumerate(pairwise(order)):
            goal = Goal("on", (below,))
            if k:
                what, goal = self._again(what, goal)
            yield from self._bring(what, goal)
        self.run.focus = tuple(found)

    def _do_push(self, step: ast.Move) -> Steps[None]:
        if self.run.held is not None:
            yield from self.actor.put_down(self.run.held)
            yield from self._look_again()
        bound = yield from self._bind(step)
        for k, (what, goal) in enumerate(bound):
            if k:
                what, goal = self._again(what, goal)
            self.run.start += (what,)
            standing = yield from self._is_satisfied(what, goal)
            was_already = standing.holds
            if not was_already:
                standing = yield from self.pusher.push(what, goal)
            self._note(what, goal, standing, was_already)
        self.resolver.notes += self.pusher.notes
        self.run.focus = tuple(what for what, _ in bound)
        self.run.places = tuple(a for _, goal in bound[:1] for a in goal.anchors)

    def _is_true(self, step: ast.If) -> Steps[bool]:
        """Tell whether a condition holds as things are seen now."""
        answer = yield from answered(self.run, step.condition)
        self.condition = answer
        if answer.startswith("Too close"):
            raise Verdict("unclear", f"I can't decide that condition, so nothing is moved. {answer}")
        return answer.startswith("Yes")

    def _do_if(self, step: ast.If, number: int) -> Steps[None]:
        holds = yield from self._is_true(step)
        branch = step.then if holds else step.otherwise
        why = self.condition.rstrip(".")
        self.resolver.notes.append(f"the condition {'holds' if holds else 'does not hold'}: {why}")
        for inner in branch:
            yield from self.do(inner, 1 if number or inner is not branch[0] else 0)
        if not branch:
            evidence = (*self.run.scene.evidence, *(() if self.run.has_moved else self.run.facts))
            words = f"nothing is to be done, since the condition {'holds' if holds else 'does not hold'}"
            self.reached.append(Reached(None, None, Standing(True, evidence), words))

    def _do_row(self, step: ast.Arrange) -> Steps[None]:
        if self.run.held is not None:
            yield from self.actor.put_down(self.run.held)
            yield from self._look_again()
        found = rows.ordered((yield from self._all(step.objects)), step, self.run)
        if len(found) < 2:
            raise Verdict("unclear", "A row of what? I found only one object.", self.run.scene.evidence)
        for what in found:
            self.actor.require_graspable(what)
        row = rows.plan_row(found, step.direction, self.run)
        waiting: list[tuple[Seen, Goal]] = []
        for what, goal in row.goals():
            if not (yield from self._is_satisfied(what, goal)).holds:
                waiting.append((what, goal))
        for _ in range(3 * len(found)):
            if not waiting:
                break
            waiting = yield from self._next_in_row(waiting, found)
        found = self._seen_in_row(row)
        if not rows.in_order(found, step.direction):
            raise Verdict("failed", f"The row is not in order: {rows.words(found, step.direction)}.")
        words = rows.words(found, step.direction)
        self.reached.append(Reached(None, None, Standing(True, self.run.scene.evidence), words))
        self.run.focus = found

    def _seen_in_row(self, row: rows.Row) -> tuple[Seen, ...]:
        """Return the objects of a row as they are seen in their places.

        Raises:
            Verdict: One is not seen.
        """
        scene, seen = self.run.scene, []
        for what, place in zip(row.objects, row.places, strict=True):
            again = find_again(what, scene.objects, place, seen)
            if again is None:
                raise Verdict("failed", f"I lost {what.name}; I see {scene.listing()}.", scene.evidence)
            seen.append(again)
        return tuple(seen)

    def _next_in_row(
        self, waiting: list[tuple[Seen, Goal]], row: Sequence[Seen]
    ) -> Steps[list[tuple[Seen, Goal]]]:
        """Bring the next object to its place whose place is free; else put one out of the way."""
        objects = self.run.scene.objects
        for what, goal in waiting:
            assert goal.origin is not None
            now = find_again(what, objects, what.center_m[:2]) or what
            if rows.blocker(now, goal.origin[:2], objects) is None:
                yield from self._bring(now, goal)
                return [pair for pair in waiting if pair[0] is not what]
        what, goal = waiting[0]
        assert goal.origin is not None
        other = rows.blocker(what, goal.origin[:2], objects)
        assert other is not None
        self.actor.require_graspable(other)
        yield from self.actor.move(other, Goal("anywhere"))
        moved = [(o, g) for o, g in waiting if find_again(o, [other]) is None]
        again = [pair for pair in waiting if pair not in moved]
        seen = [(find_again(o, self.run.scene.objects) or o, g) for o, g in again]
        return [*moved, *seen]

    def _do_swap(self, step: ast.Swap) -> Steps[None]:
        found = yield from self._all(step.objects)
        if len(found) != 2:
            raise Verdict("unclear", f"Swap which two? I found {len(found)}.", self.run.scene.evidence)
        a, b = found
        for what, goal in (
            (a, Goal("anywhere", origin=None)),
            (b, Goal("origin", origin=a.center_m)),
            (a, Goal("origin", origin=b.center_m)),
        ):
            if self.run.has_moved:
                what, goal = self._again(what, goal)
            self.actor.require_graspable(what)
            standing = yield from self.actor.move(what, goal)
            if goal.relation == "origin":
                self.reached.append(Reached(what, goal, standing, f"{what.name} is where the other was"))
        self.run.focus = tuple(found)

    def _do_empty(self, step: ast.Empty) -> Steps[None]:
        container = yield from self.resolver.one(step.container, into=True)
        inside = yield from self.resolver.contents(container)
        if not inside:
            words = f"{container.name} is empty"
            self.reached.append(
                Reached(container, None, Standing(True, self.run.scene.evidence), words, True)
            )
        anchors = yield from self._anchors(step.target, [container, *inside])
        for k, what in enumerate(inside):
            goal = self._goal(what, step.target, anchors)
            if k:
                what, goal = self._again(what, goal)
            yield from self._bring(what, goal)
        self.run.focus = (container,)

    def _do_look(self, step: ast.LookAt) -> Steps[None]:
        if step.object.landmark:
            words = f"I see {self.run.scene.listing()}"
            self.reached.append(Reached(None, None, Standing(True, self.run.scene.evidence), words))
            return
        what = yield from self.resolver.one(step.object)
        moved = yield from self.run.skill(f"Look at {what.name}.", "look_at", target_m=list(what.center_m))
        if not moved.ok:
            raise Verdict("failed", f"I can't look at {what.name}: {moved.message}")
        (shot,) = yield from self.run.call(
            "Take the picture.", Call("capture", {"camera": self.run.config.wrist_camera})
        )
        self.run.focus = (what,)
        evidence = (shot.call_id,) if shot.ok else ()
        self.reached.append(Reached(what, None, Standing(shot.ok, evidence), f"I look at {what.name}"))

    def _do_gesture(self, step: ast.Gesture) -> Steps[None]:
        result = yield from self.run.skill(f"{step.name.replace('_', ' ').capitalize()}.", step.name)
        if not result.ok:
            raise Verdict("failed", f"{step.name} failed: {result.message or result.reason}")
        if step.name == "open_gripper":
            self.run.held = None
        (shot,) = yield from self.run.call(
            "Look at the result.", Call("capture", {"camera": self.run.config.scene_camera})
        )
        words = {
            "home": "The arm is at home",
            "open_gripper": "The gripper is open",
            "close_gripper": "The gripper is closed",
            "stop": "The robot is stopped",
        }[step.name]
        evidence = (shot.call_id,) if shot.ok else ()
        self.reached.append(Reached(None, None, Standing(True, evidence), words))
