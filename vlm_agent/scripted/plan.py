"""The whole program: understand, look, choose the reading that fits the scene, act, verify, finish."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.answers import answered, checked
from vlm_agent.scripted.dialogue import Pending, completed
from vlm_agent.scripted.families.forms import in_form, split_form
from vlm_agent.scripted.families.spatial import read_spatial, reworded
from vlm_agent.scripted.goal import satisfied
from vlm_agent.scripted.parse import NotUnderstood, Parsed, parse
from vlm_agent.scripted.program import Call, Program, Steps, Turn
from vlm_agent.scripted.run import Absent, PlanConfig, Run, Verdict
from vlm_agent.scripted.scene import find_again
from vlm_agent.scripted.show import say
from vlm_agent.scripted.spatial_answers import answer_spatial
from vlm_agent.scripted.steps import CAN_DO, Doer, Reached
from vlm_agent.scripted.syntax import IT, Move, PickUp, Reading, Release, Step, Task
from vlm_agent.scripted.workshop import do_job, read_job

DEFAULT = PlanConfig()
FINISH = "finish"
MAX_SUMMARY = 1500
MAX_READINGS = 6


def program(instruction: str, tools: Collection[str], config: PlanConfig = DEFAULT) -> Program:
    """Return the program of an instruction; it yields turns and ends after `finish`.

    Args:
        instruction: The user's words.
        tools: Names of the tools offered.
        config: Settings.
    """
    yield from part_of(Run(tools, config), instruction)


def part_of(run: Run, instruction: str) -> Program:
    """Return the program of an instruction in a conversation: the run remembers what was before.

    Args:
        run: What is remembered, and will be.
        instruction: The user's words, or the answer to the question that the part before ended with.
    """
    try:
        yield from _carry_out(run, instruction)
        verdict = Verdict("failed", "I don't know how that ended.")
    except Verdict as end:
        verdict = end
    yield from _finish(run, verdict)


def _finish(run: Run, verdict: Verdict) -> Program:
    """Finish; if the evidence is refused, say so and finish without it."""
    summary = verdict.summary[:MAX_SUMMARY]
    if FINISH not in run.tools:
        yield Turn(f"{verdict.outcome}: {summary}", ())
        return
    evidence = list(verdict.evidence) if verdict.outcome in ("done", "answered") else []
    arguments = {"outcome": verdict.outcome, "summary": summary, "evidence": evidence}
    (result,) = yield Turn(summary, (Call(FINISH, arguments),))
    if not result.ok:
        outcome = "failed" if verdict.outcome in ("done", "answered") else verdict.outcome
        arguments = {
            "outcome": outcome,
            "summary": f"{summary} ({result.message})"[:MAX_SUMMARY],
            "evidence": [],
        }
        yield Turn("That verdict was refused.", (Call(FINISH, arguments),))


def _carry_out(run: Run, instruction: str) -> Steps[None]:
    """Do all; ends with a verdict, whatever happens."""
    job = read_job(instruction, run)
    if job is not None:
        yield from do_job(run, job)
    instruction, form = split_form(instruction)
    asked = read_spatial(instruction)
    if asked is not None:
        yield from answer_spatial(run, asked, form)
    parsed, said = _understood(run, reworded(instruction))
    readings = tuple(_merged(r) for r in parsed.readings[:MAX_READINGS])
    run.pending = Pending(said)
    _refuse_at_once(readings[0])
    run.facts.clear()
    run.relations.clear()
    if not run.is_home and run.offers("home"):
        yield from run.skill("Out of the camera's view.", "home")
    run.before = run.scene
    run.known += tuple(o for o in run.before.objects if o not in run.known)
    yield from run.look(_introduction(parsed, readings))
    run.pending = None
    try:
        reading = yield from _chosen(run, readings)
    except Verdict as verdict:
        if verdict.outcome == "unclear" and verdict.about is not None:
            run.pending = Pending(said, readings[0], verdict.about)
        raise
    if isinstance(reading, Task):
        yield from _do(run, reading)
    else:
        answer = yield from answered(run, reading)
        evidence = [*(r.call_id for r in run.relations.values() if r.ok), *run.facts]
        raise Verdict("answered", in_form(answer, form), (*run.scene.evidence, *evidence))


def _understood(run: Run, instruction: str) -> tuple[Parsed, str]:
    """Return the reading of what was said, as an answer if a question was asked before, and the whole of it.

    Raises:
        Verdict: It is not understood.
    """
    pending, run.pending = run.pending, None
    if isinstance(pending, Pending):
        answered = completed(pending, instruction)
        if answered is not None:
            return answered, f"{pending.text} {instruction}"
    try:
        return parse(instruction), instruction
    except NotUnderstood as error:
        raise Verdict("unclear", str(error)) from error


def _introduction(parsed: Parsed, readings: Sequence[Reading]) -> str:
    notes = f" ({'; '.join(parsed.notes)})" if parsed.notes else ""
    more = f" (or: {say(readings[1])})" if len(readings) > 1 else ""
    return f"I read this as: {say(readings[0])}{more}{notes}. First, look."


def _refuse_at_once(reading: Reading) -> None:
    """Refuse what needs no look.

    Raises:
        Verdict: The instruction asks for nothing, or for what no skill does.
    """
    if not isinstance(reading, Task):
        return
    for step in reading.steps:
        if isinstance(step, ast.Unclear):
            raise Verdict("unclear", step.question)
        if isinstance(step, ast.Unsupported):
            raise Verdict("impossible", f"I can't {step.verb} anything; {CAN_DO}.")
    if all(isinstance(step, ast.Forbid) for step in reading.steps):
        raise Verdict("unclear", "That says what not to do; nothing is moved. Say what to do instead.")


# ---- readings -----------------------------------------------------------------------------------


def _merged(reading: Reading) -> Reading:
    """Join "pick up X and put it there" to one move, and turn "find X" into a question.

    A prohibition beside a step ("but don't touch the mug") is dropped: nothing else is moved anyway.
    """
    if not isinstance(reading, Task):
        return reading
    steps: list[Step] = []
    for step in reading.steps:
        before = steps[-1] if steps else None
        if isinstance(step, Release) and isinstance(before, Move) and step.object in (IT, *before.objects):
            continue  # "put it there and let go"
        if isinstance(before, Release) and isinstance(step, Move) and step.objects == (IT,):
            steps[-1] = replace(step, objects=(before.object,))  # "put it down and make sure it is ..."
            continue
        if isinstance(step, ast.Forbid) and len(reading.steps) > 1:
            continue
        if isinstance(before, PickUp):
            joined = _joined(before, step)
            if joined is not None:
                steps[-1] = joined
                continue
        steps.append(step)
    if all(isinstance(step, ast.Mention) for step in steps) and steps:
        last = steps[-1]
        return ast.Where(last.object) if isinstance(last, ast.Mention) else reading
    return Task(tuple(steps))


def _joined(picked: PickUp, step: Step) -> Step | None:
    if picked.tool:
        return None
    again = (IT, picked.object, ast.Description("them"))
    if isinstance(step, Move) and len(step.objects) == 1 and step.objects[0] in again:
        return replace(step, objects=(picked.object,))
    if isinstance(step, PickUp) and step.object in again:
        return picked
    if isinstance(step, Release) and step.object in again:
        return Move((picked.object,), ast.Target("anywhere"))
    return None


def _chosen(run: Run, readings: Sequence[Reading]) -> Steps[Reading]:
    """Return the first reading that makes sense in the scene; look twice before saying that nothing does.

    Raises:
        Verdict: None does; of the most likely one.
    """
    for has_looked_again in (False, True):
        first: Verdict | None = None
        for reading in readings:
            memory = run.mentioned, run.focus
            try:
                if isinstance(reading, Task):
                    yield from Doer(run).check(reading.steps)
                else:
                    yield from checked(run, reading)
                return reading
            except Verdict as verdict:
                first = first or verdict
            finally:
                run.mentioned, run.focus = memory
        assert first is not None
        if has_looked_again or not isinstance(first, Absent):
            raise first
        yield from run.look("I don't see all that this speaks of; look again to be sure.")
    raise AssertionError("unreachable")


# ---- doing --------------------------------------------------------------------------------------


def _do(run: Run, task: Task) -> Steps[None]:
    """Carry out a task and conclude.

    Raises:
        Verdict: Always: how it ended.
    """
    doer = Doer(run)
    for number, step in enumerate(task.steps):
        yield from doer.do(step, number)
    if not doer.reached:
        raise Verdict("unclear", "There is nothing to do in that.", run.scene.evidence)
    evidence = yield from _still_standing(run, doer.reached)
    already = all(r.was_already for r in doer.reached)
    words = "; ".join(dict.fromkeys(r.words for r in doer.reached))
    notes = "".join(f" ({note})" for note in dict.fromkeys(doer.resolver.notes))
    summary = f"{words[0].upper()}{words[1:]}{' already; nothing had to move' if already else ''}{notes}."
    raise Verdict("done", summary, evidence)


def _still_standing(run: Run, reached: Sequence[Reached]) -> Steps[tuple[str, ...]]:
    """Return evidence that the last goal holds and that earlier ones, where they are still seen, do too.

    Raises:
        Verdict: An earlier goal was undone by what came after it.
    """
    evidence = list(reached[-1].standing.evidence)
    moved_later: list[str] = []
    for item in reversed(reached[:-1]):
        later = {r.what.label for r in reached[reached.index(item) + 1 :] if r.what is not None}
        if item.goal is None or item.what is None or item.what.label in later:
            continue
        if any(a.label in later for a in item.goal.anchors) or item.goal.relation in ("shift", "away_from"):
            continue
        again = find_again(item.what, run.scene.objects)
        goal = item.goal.seen_again(run.scene, (again,) if again else ())
        if again is None or goal is None:
            continue  # hidden by now: it was seen to hold when it was done
        standing = yield from satisfied(run, again, goal, run.scene)
        if not standing.holds:
            moved_later.append(item.words)
        evidence += standing.evidence
    if moved_later:
        raise Verdict("failed", f"This was undone again: {'; '.join(moved_later)}.", run.scene.evidence)
    return tuple(evidence)
