"""Jobs of the workshop: drawers, levers, wiping, pouring, hooks, and what has to be looked for.

A sentence is one of these by its shape, and only where the skill that it takes is offered; all others are
read as ever.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from vlm_agent.scripted.act import UNPLANNED, Actor
from vlm_agent.scripted.program import Call, Result, Steps
from vlm_agent.scripted.run import Run, Verdict
from vlm_agent.scripted.scene import Seen, read_objects

_COLOR: Final = "red|orange|yellow|green|blue|purple|pink|brown|white|gr[ae]y|black"
_LENGTH = re.compile(r"(?:by|about|for) (?P<n>\d+(?:\.\d+)?) ?(?P<unit>mm|cm|m)\b")
_ANGLE = re.compile(r"(?:by|about|for) (?P<n>\d+(?:\.\d+)?) ?(?:degrees?|deg|°)")
_UNITS = {"mm": 1e-3, "cm": 1e-2, "m": 1.0}
_OPEN_M: Final = 0.12
_TURN_RAD: Final = 0.8
_NEAR_X_M: Final = 0.6
_WALL_M: Final = 0.03
_STAIN_MARGIN_M: Final = 0.02
_SEEN_M: Final = 0.04  # a handle seen this far from where the hand left it was not moved by the hand


@dataclass(frozen=True)
class Job:
    """A job: the skill that it takes, and the words of the sentence."""

    skill: str
    words: Mapping[str, str]
    text: str


_JOBS: Final = (
    ("open_drawer", r"(?P<way>open|close|shut|push|pull)\b.*\bdrawer\b(?! and)"),
    ("turn", r"(?:turn|rotate|twist|swing)\b.*\b(?:lever|handle|faucet|tap|knob)\b"),
    ("wipe", r"(?:wipe|clean|remove|rub|scrub)\b.*\b(?:table|stains?|dirt|spots?|marks?)\b"),
    ("pour", r"(?:pour|empty|tip)\b.*\b(?:into|in)\b(?P<into>.*\b(?:bowl|dish|tray|mug|cup)\b)"),
    ("use_tool", r".*\b(?:hook|stick)\b"),
    ("explore", r"(?:find|look for|search for|pick up|grab|lift)\b (?P<what>.*)"),
)


def read_job(text: str, run: Run) -> Job | None:
    """Return the job of a sentence for whose skill there is permission, None if it is none."""
    sentence = " ".join(text.lower().strip(" .!").split())
    for skill, pattern in _JOBS:
        found = re.match(rf"(?:please |now |can you |could you )*{pattern}", sentence)
        if found and run.offers(skill):
            return Job(skill, {k: v for k, v in found.groupdict().items() if v}, sentence)
    return None


def do_job(run: Run, job: Job) -> Steps[None]:
    """Carry out a job and conclude.

    Raises:
        Verdict: Always: how it ended.
    """
    doers: dict[str, Callable[[Run, Job], Steps[str]]] = {
        "open_drawer": _drawer,
        "turn": _turn,
        "wipe": _wipe,
        "pour": _pour,
        "use_tool": _hook,
        "explore": _find,
    }
    summary = yield from doers[job.skill](run, job)
    raise Verdict("done", summary, run.scene.evidence)


# ---- what they share ----------------------------------------------------------------------------


def _see(run: Run, text: str, query: str) -> Steps[tuple[Seen, ...]]:
    """Take a picture and detect what words describe; becomes the latest look."""
    if not run.is_home and run.held is None and run.offers("home"):
        yield from run.skill("Out of the camera's view.", "home")
    (shot,) = yield from run.call(text, Call("capture", {"camera": run.config.scene_camera}))
    if not shot.ok:
        raise Verdict("failed", f"I can't see: {shot.message or 'no picture'}")
    image = str(shot.value.get("image"))
    (found,) = yield from run.call(f"Where is the {query}?", Call("detect", {"image": image, "query": query}))
    return read_objects(found.value) if found.ok else ()


def _one(run: Run, text: str, query: str) -> Steps[Seen]:
    """Return what words describe best.

    Raises:
        Verdict: It is not seen.
    """
    seen = yield from _see(run, text, query)
    if not seen:
        raise Verdict("impossible", f"I see no {query}.")
    return seen[0]


def _act(run: Run, text: str, name: str, **arguments: object) -> Steps[Result]:
    """Call a skill that must succeed.

    Raises:
        Verdict: It did not.
    """
    result = yield from run.skill(text, name, **arguments)
    if not result.ok:
        outcome = "impossible" if result.error in ("negative", "refused") else "failed"
        raise Verdict(outcome, result.message or f"{name} failed ({result.reason})")
    return result


def _pick(run: Run, what: Seen) -> Steps[Seen]:
    """Pick a thing up, whatever it takes."""
    (grasps,) = yield from run.call(f"How can I hold {what.name}?", Call("grasp", {"mask": what.mask}))
    return (yield from Actor(run).pick(what, grasps))


def _grasp(run: Run, name: str, mask: str, *, by_wall: bool) -> Steps[None]:
    """Pick up what a mask shows, without looking again; by its wall, if it is to be poured from.

    Raises:
        Verdict: It can't be held.
    """
    (grasps,) = yield from run.call(f"How can I hold {name}?", Call("grasp", {"mask": mask}))
    found = [c for c in grasps.value.get("candidates") or () if isinstance(c, Mapping)]
    if by_wall:
        found = [c for c in found if float(c.get("width_m") or 1.0) < _WALL_M]
    last: Result | None = None
    for k, candidate in enumerate(found[: 2 * run.config.max_candidates]):
        arguments = {"grasp": grasps.value.get("grasp"), "index": int(candidate.get("index", k))}
        last = yield from run.skill(f"Pick up {name}.", "pick", **arguments)
        if last.ok:
            return
        if last.reason not in UNPLANNED:
            break
    raise Verdict("failed", (last.message if last else grasps.message) or f"I can't hold {name}.")


def _put_back(run: Run, what: Seen) -> Steps[None]:
    """Put what is held down where it stood; it stays held if there is no way."""
    spot = [what.center_m[0], what.center_m[1], max(0.0, what.bottom_z_m)]
    placed = yield from run.skill(f"Put {what.name} back.", "place", position_m=[round(v, 4) for v in spot])
    if placed.ok:
        run.held = None


def _conclude(run: Run, query: str = "") -> Steps[tuple[Seen, ...]]:
    """Look once more, for the evidence; return what is seen of what words describe.

    What a job is about need not be an object on the table (a drawer, a lever): it is asked for by name, since
    a picture alone shows nothing.
    """
    scene = yield from run.look("How does it look now?")
    if not query:
        return scene.objects
    call = Call("detect", {"image": scene.image, "query": query})
    (found,) = yield from run.call(f"Where is the {query} now?", call)
    if found.ok:
        run.scene = replace(scene, evidence=(*scene.evidence, found.call_id))
    return read_objects(found.value) if found.ok else ()


def _color(text: str, noun: str) -> str:
    """Return the colour that is said before a noun, with a space after it, "" if none is."""
    found = re.search(rf"\b(?P<color>{_COLOR})\b(?: \w+)? (?:{noun})\b", text)
    return f"{found['color']} " if found else ""


# ---- the jobs -----------------------------------------------------------------------------------


def _drawer(run: Run, job: Job) -> Steps[str]:
    query = f"{_color(job.text, 'handle')}handle"
    handles = yield from _see(run, "Find the drawer's handle.", query)
    length = _LENGTH.search(job.text)
    far = float(length["n"]) * _UNITS[length["unit"]] if length else _OPEN_M
    sign = -1.0 if job.words.get("way") in ("close", "shut", "push") else 1.0
    result = yield from _first_that_goes(run, query, handles, "open_drawer", distance_m=round(sign * far, 4))
    moved_m = float(result.value.get("moved_m") or 0.0)
    now = yield from _conclude(run, query)
    off_m = min((abs(b.distance_m(a.center_m) - moved_m) for a in handles for b in now), default=0.0)
    if off_m > _SEEN_M:
        text = (
            f"The hand went {100 * moved_m:.0f} cm, but the handle is seen {100 * off_m:.0f} cm from there."
        )
        raise Verdict("failed", text, run.scene.evidence)
    return f"The drawer moved {100 * moved_m:.0f} cm."


def _first_that_goes(
    run: Run, query: str, handles: Sequence[Seen], skill: str, **arguments: object
) -> Steps[Result]:
    """Move the first handle that the hand gets to.

    Raises:
        Verdict: There is none, or it would not move.
    """
    result: Result | None = None
    for handle in handles[:3]:
        result = yield from run.skill(
            f"Grip {handle.name} and move it.", skill, handle=handle.box, **arguments
        )
        if result.ok:
            return result
        if result.reason not in UNPLANNED:
            raise Verdict("failed", result.message or f"{skill} failed ({result.reason})")
    raise Verdict("impossible", result.message if result else f"I see no {query}.")


def _turn(run: Run, job: Job) -> Steps[str]:
    """Turn a lever; which way has to be said."""
    way = re.search(r"\b(?P<counter>counter|anti)?-?clockwise\b|\b(?P<left>left)\b|\bright\b", job.text)
    if way is None:
        raise Verdict("unclear", "Which way shall I turn it: clockwise or counterclockwise?")
    sign = 1.0 if way["counter"] or way["left"] else -1.0
    angle = _ANGLE.search(job.text)
    far = math.radians(float(angle["n"])) if angle else _TURN_RAD
    query = f"{_color(job.text, 'lever|handle|knob')}lever"
    levers = yield from _see(run, "Find the lever.", query)
    result = yield from _first_that_goes(run, query, levers, "turn", angle_rad=round(sign * far, 4))
    yield from _conclude(run, query)
    return f"The lever turned {math.degrees(abs(float(result.value.get('turned_rad') or 0.0))):.0f} degrees."


def _wipe(run: Run, job: Job) -> Steps[str]:
    stains = yield from _see(run, "Where is the table stained?", "stain")
    if not stains:
        raise Verdict("impossible", "I see no stain on the table.")
    sponge = yield from _one(run, "Find the sponge.", "yellow box")
    sponge = yield from _pick(run, sponge)
    low = [min(s.center_m[k] for s in stains) - _STAIN_MARGIN_M for k in range(2)]
    high = [max(s.center_m[k] for s in stains) + _STAIN_MARGIN_M for k in range(2)]
    region = [[round(v, 4) for v in corner] for corner in (low, high)]
    result = yield from _act(run, "Wipe over the stains.", "wipe", region=region)
    yield from _put_back(run, sponge)
    yield from _conclude(run)
    before = float(result.value.get("before_cm2") or 0.0)
    return f"I wiped {before:.0f} cm^2 of stains off; {result.value.get('after_cm2')} cm^2 are seen now."


def _pour(run: Run, job: Job) -> Steps[str]:
    into = job.words.get("into", "bowl")
    noun = re.findall(r"bowl|dish|tray|mug|cup", into)[-1]
    source = job.text[: job.text.rfind(into)]
    mug = yield from _one(run, "Find the mug.", f"{_color(source, 'mug|cup')}mug")
    yield from _grasp(run, mug.name, mug.mask, by_wall=True)
    run.held = mug
    bowl = yield from _one(run, "Where is it to go?", f"{_color(into, noun)}{noun}")
    result = yield from _act(run, f"Pour it into {bowl.name}.", "pour", into=bowl.box)
    yield from _put_back(run, mug)
    yield from _conclude(run)
    return f"I poured {1e3 * float(result.value.get('poured_kg') or 0.0):.0f} g into {bowl.name}."


def _hook(run: Run, job: Job) -> Steps[str]:
    """Pull what is named with the longest flat thing that lies there."""
    what = f"{_color(job.text, 'can|cylinder|block|box|ball|mug|bowl')}" + next(
        iter(re.findall(r"can|cylinder|block|box|ball|mug|bowl", job.text)), "object"
    )
    thing = yield from _one(run, "Find what is out of reach.", what)
    seen = yield from _see(run, "Find the hook.", "object")
    near = [o for o in seen if o.center_m[0] > 0.25 and o.size_m[2] < 0.04 and o.box != thing.box]
    hook = max(near, key=lambda o: o.size_m[0], default=None)
    if hook is None or hook.size_m[0] < 0.2:
        raise Verdict("impossible", "I see no hook.", run.scene.evidence)
    again = min(seen, key=lambda o: o.distance_m(thing.center_m[:2]))
    to_m = [_NEAR_X_M, round(again.center_m[1], 4)]
    result = yield from _act(
        run, f"Pull {again.name} closer.", "use_tool", tool=hook.box, object=again.box, to_m=to_m
    )
    yield from _conclude(run)
    x, y, _ = result.value.get("position_m") or (0.0, 0.0, 0.0)
    return f"I pulled {again.name} to x = {x:.2f} m, y = {y:.2f} m."


def _find(run: Run, job: Job) -> Steps[str]:
    """Look for a thing, where the scene camera does not see it, and pick it up."""
    what = re.sub(r"\b(?:and|then)\b.*", "", job.words.get("what", "")).strip()
    what = re.sub(r"^(?:the|a|an) ", "", what)
    found = yield from run.skill(f"Look for the {what}.", "explore", query=what)
    if not found.ok:
        outcome = "impossible" if found.error in ("negative", "bad_arguments") else "failed"
        raise Verdict(outcome, found.message)
    seen = found.value.get("found") or {}
    yield from _grasp(run, f"the {what}", str(seen.get("mask")), by_wall=False)
    (felt,) = yield from run.call("Do I hold it?", Call("feel", {}))
    yield from run.look("How does it look now?")
    run.scene = type(run.scene)(run.scene.image, run.scene.objects, (felt.call_id, *run.scene.evidence))
    return f"I found the {what} and hold it up."
