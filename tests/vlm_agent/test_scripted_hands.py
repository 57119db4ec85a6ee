"""Handing over, holes, weights, other grips, what is hidden, what changed, on a symbolic table."""

import math
from dataclasses import replace

import pytest

from perception_tools.results import ToolSpec
from tests.vlm_agent.symbolic_table import Failure, SymbolicTable, Thing, ball, block, bowl, drive, mug
from tests.vlm_agent.test_scripted_families import talk
from vlm_agent.bench.tabletop_answers import is_right
from vlm_agent.scripted.gauge import Length
from vlm_agent.scripted.model import ScriptedModel
from vlm_agent.scripted.parse import parse
from vlm_agent.scripted.show import show

READ = [
    ("hand me the red block", "handover the(red box)"),
    ("could you please pass me the largest block?", "handover the(box sizeest)"),
    ("pick up the red block and hand it to me", "handover the(red box)"),
    ("take the ball out of the bowl and give it to me", "handover the(sphere [inside the(bowl)])"),
    ("hand me the ball and the mug", "handover the(sphere); handover the(mug)"),
    ("put the ball in the bowl, then give me the mug",
     "move the(sphere) inside the(bowl); handover the(mug)"),
    ("can I have it?", "handover it"),
    ("give me the height of the mug", "ask height the(mug)"),
    ("I want the ball in the bowl", "move the(sphere) inside the(bowl)"),
    ("put the peg in the hole", "insert peg the() into hole"),
    ("insert the red box into the square hole", "insert the(red box) into square hole"),
    ("the red cylinder goes into the hole of the blue rectangular block",
     "insert the(red cylinder) into hole of the(blue box box)"),
    ("put the red cylinder into the round socket", "insert the(red cylinder) into round hole"),
    ("put the round peg into the blue socket", "insert the(cylinder) into hole of the(blue box)"),
    ("can you fit the red box into the hole in the blue block?",
     "insert the(red box) into hole of the(blue box)"),
    ("insert the red block in the bowl", "move the(red box) inside the(bowl)"),
    ("how heavy is the mug?", "weigh the(mug)"),
    ("which is lighter, the mug or the ball?", "weigh which lighter the(mug) & the(sphere)"),
    ("is it true that the mug weighs more than the ball?", "weigh is the(mug) & the(sphere)"),
    ("how much heavier is the mug than the ball?", "weigh by the(mug) & the(sphere)"),
    ("does the mug weigh more than 0.1 kg?", "weigh over the(mug) 0.1 kg"),
    ("grasp it differently", "regrasp it turned"),
    ("take it by the other end", "regrasp it turned"),
    ("hold it closer to the middle", "regrasp it centred"),
    ("pick up the block in the middle", "pickup the(box middleest)"),
    ("can you see the mug?", "seen the(mug)"),
    ("is the ball hidden behind the mug?", "hidden the(sphere) by the(mug)"),
    ("what hides the ball?", "hider the(sphere)"),
    ("what is the biggest block", "which (sizeest box)"),
    ("what has changed since the last picture?", "changed"),
    ("has the mug moved?", "changed the(mug)"),
    ("can you see the whole mug?", "whole the(mug)"),
    ("what do the mug and the ball weigh together?", "weigh sum the(mug) & the(sphere)"),
    ("which block is heavier?", "weigh which all(box)"),
    ("if the mug is heavier than the ball, put the ball in the bowl",
     "if <weigh is the(mug) & the(sphere)> then move the(sphere) inside the(bowl) else nothing"),
    ("hand it to me when you are ready", "handover it"),
    ("use the red peg to fill the hole", "insert peg the(red) into hole"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_is_read(text, expected):
    assert show(parse(text).readings[0]) == expected


# ---- a table with more skills -------------------------------------------------------------------

MORE = ("hand_over", "insert", "weigh", "regrasp")
LOOKS = ("feel", "count", "occlusion", "compare_images", "fits")
MASSES = {"mug": 0.18, "box": 0.06, "sphere": 0.05, "cylinder": 0.04}


class HandTable(SymbolicTable):
    """A symbolic table with a person, a socket, a scale, and pictures that are compared.

    Attributes:
        person: Whether somebody takes what is held out.
        socket: Label of what has a hole, and whether that is round.
        margin_m: What `fits` measures.
        hider: What `occlusion` says: who hides, and how much.
    """

    def __init__(self, *things, person=True, socket=("blue box", False), without=(), **failures):
        super().__init__(*things, **failures)
        self.person, self.socket, self.margin_m = person, socket, 0.02
        self.hider: tuple[str, float] | None = None
        self.without, self.taken = without, None
        self.stamps: dict[str, list] = {}

    def specs(self, without=()):
        names = [n for n in (*LOOKS, *MORE) if n not in (*self.without, *without)]
        more = [ToolSpec(n, n, {"type": "object"}, read_only=n in LOOKS) for n in names]
        return [*super().specs(without), *more]

    def capture(self, camera="scene", fail=""):
        shot = super().capture(camera, fail)
        self.stamps[shot["image"]] = [replace(t) for t in self.things if t is not self.held]
        return shot

    def _holding(self):
        if self.held is None:
            raise Failure("not_holding")
        return self.held

    def hand_over(self, to_m, timeout_s=20.0, fail=""):
        thing = self._holding()
        if fail:
            raise Failure(fail)
        if not self.person:
            raise Failure("not_taken", f"nobody pulled at the {thing.label} for 20 s; it is still held")
        self.things.remove(thing)
        self.held, self.taken = None, thing
        self.epoch += 1
        return {"label": thing.label, "released": True, "pull_n": 5.0, "position_m": to_m}

    def insert(self, into, dry_run=False, fail=""):
        thing, block_ = self._holding(), self.boxes[into]
        label, is_round = self.socket
        if block_.label != label or thing.size[0] > 0.05:
            raise Failure("no_hole", f"there is no hole in the {block_.label}")
        if fail:
            raise Failure(fail, "felt the rim 37 times; it is still held")
        value = {"hole_is_round": is_round, "hole_width_m": 0.04, "depth_m": None, "tries": 0}
        if dry_run:
            return value
        self.held = None
        self.epoch += 1
        thing.x, thing.y, thing.z = block_.x, block_.y, 0.01
        return value | {"depth_m": 0.035, "tries": 1, "homed": True}

    def regrasp(self, how="turned", fail=""):
        self._holding()
        if fail:
            raise Failure(fail, "no other grasp")
        self.epoch += 1
        return {"held": True, "turned_rad": math.pi / 2}

    def weigh(self, lift_m=0.04, fail=""):
        if fail:
            raise Failure(fail, "this robot has no force sensor; it can't weigh")
        mass = 0.0 if self.held is None else MASSES[self.held.shape]
        return {"mass_kg": mass, "sigma_kg": 0.0045, "is_zeroed": True}

    def feel(self, fail=""):
        return {"stamp_s": 0.0, "tactile": [], "wrenches": [], "sound_j": None, "temperatures": []}

    def count(self, image, query="object", fail=""):
        return {"count": len(self.stamps[image]), "low": 0, "high": 9, "confidence": 0.9}

    def fits(self, box, into, fail=""):
        return {"fits": self.margin_m > 0, "margin_m": self.margin_m, "sigma_m": 0.001}

    def occlusion(self, box, image, fail=""):
        share = 0.0 if self.hider is None else self.hider[1]
        boxes = {t.label: name for name, t in self.boxes.items()}
        rows = (
            []
            if self.hider is None
            else [{"box": boxes[self.hider[0]], "label": self.hider[0], "share": share}]
        )
        return {"hidden": share, "hidden_sigma": 0.02, "in_view": 1.0, "hidden_by": rows, "hides": []}

    def compare_images(self, before, after, fail=""):
        old, new = (self.stamps[name] for name in (before, after))
        changes = []
        for kind, here, there in (("gone", old, new), ("appeared", new, old)):
            for t in here:
                if not any(t.label == o.label and t.distance(o.x, o.y) < 0.01 for o in there):
                    changes.append(
                        {"kind": kind, "center_m": [t.x, t.y, 0.02], "words": f"something {t.color}"}
                    )
        return {"changes": changes, "moved": [], "is_same": not changes}


def scene():
    return (
        block("red", 0.50, -0.20, 0.04),
        replace(block("blue", 0.42, 0.16), size=(0.09, 0.09, 0.045)),
        ball("green", 0.62, -0.10),
        mug("black", 0.60, 0.06),
    )  # fmt: skip


def run(instruction, *, things=None, **settings):
    return drive(ScriptedModel(), instruction, HandTable(*(things or scene()), **settings))


# ---- handing over -------------------------------------------------------------------------------


def test_what_is_asked_for_is_handed_over():
    ended = run("pass the red block to me")
    assert ended.outcome == "done" and "pull of 5 N" in ended.summary
    assert ended.table.taken.label == "red box"
    assert ended.table.motions()[:1] == ["pick"] and ended.evidence


def test_nobody_there_is_no_success():
    ended = run("hand me the red block", person=False)
    assert ended.outcome == "failed" and "nobody pulled" in ended.summary
    assert ended.table.held.label == "red box"


def test_where_the_arm_does_not_get_it_is_held_out_elsewhere():
    ended = run("hand me the red block", hand_over=["unreachable", ""])
    places = [a["to_m"] for n, a, _ in ended.table.calls if n == "hand_over"]
    assert ended.outcome == "done" and len(places) == 2 and places[0] != places[1]


@pytest.mark.parametrize(
    ("text", "skill"),
    [("hand me the ball", "hand_over"), ("put the red block in the hole", "insert"),
     ("weigh the ball", "weigh"), ("regrasp the ball", "regrasp")],
)  # fmt: skip
def test_without_the_skill_it_is_refused_by_name(text, skill):
    ended = run(text, without=(skill,))
    assert ended.outcome == "impossible" and f"'{skill}'" in ended.summary and not ended.table.motions()


def test_the_last_thing_on_the_table_is_counted_as_gone():
    only = (block("red", 0.5, -0.2, 0.04),)
    ended = run("hand me the red block", things=only)
    assert ended.outcome == "done" and any(n == "count" for n, _, _ in ended.table.calls)


# ---- holes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["put the red block in the hole", "insert the red box into the blue block",
                                  "put the peg in the hole"])  # fmt: skip
def test_a_peg_goes_into_the_hole(text):
    ended = run(text)
    red = next(t for t in ended.table.things if t.label == "red box")
    assert ended.outcome == "done" and "35 mm deep" in ended.summary
    assert (red.x, red.y) == pytest.approx((0.42, 0.16))


def test_of_two_blocks_the_one_with_the_hole_is_found():
    other = replace(block("yellow", 0.40, -0.05), size=(0.1, 0.1, 0.045))
    ended = run("put the red block in the hole", things=(*scene(), other))
    assert ended.outcome == "done" and "the blue box" in ended.summary


def test_without_a_hole_it_is_put_back_and_said():
    ended = run("insert the red box into the blue block", socket=("none", False))
    red = next(t for t in ended.table.things if t.label == "red box")
    assert ended.outcome == "impossible" and "no hole" in ended.summary
    assert (red.x, red.y) == pytest.approx((0.50, -0.20), abs=0.01) and ended.table.held is None


def test_a_hole_of_the_other_shape_is_told():
    ended = run("put the red block in the round hole")
    assert ended.outcome == "impossible" and "square" in ended.summary and ended.table.held is None


def test_what_jams_is_tried_again():
    ended = run("put the red block in the hole", insert=["jammed", ""])
    assert ended.outcome == "done"
    ended = run("put the red block in the hole", insert=["jammed"] * 3)
    assert ended.outcome == "failed" and ended.table.held is None


# ---- weights ------------------------------------------------------------------------------------


def stands_as_before(table):
    return all(
        t.distance(o.x, o.y) < 0.01
        for t, o in zip(
            sorted(table.things, key=lambda t: t.label), sorted(scene(), key=lambda t: t.label), strict=True
        )
    )


def test_a_weight_has_two_standard_deviations_and_the_thing_is_back():
    ended = run("how heavy is the red block?")
    assert (ended.outcome, ended.summary) == ("answered", "60 g \u00b1 9 g (the red box).")
    assert stands_as_before(ended.table) and ended.table.held is None and ended.evidence


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("which is heavier, the mug or the red block?", "black mug: it is the heavier one"),
        ("which is lighter, the mug or the red block?", "red box: it is the lighter one"),
        ("is the red block heavier than the mug?", "No: "),
        ("how much heavier is the mug than the red block?", "120 g \u00b1 13 g"),
        ("is the red block heavier than the ball?", "Too close to tell"),
        ("do the mug and the ball weigh the same?", "No: "),
        ("what do the mug and the red block weigh together?", "240 g \u00b1 18 g together"),
        ("does the mug weigh more than 100 g?", "Yes: "),
    ],
)
def test_weights_are_compared(text, head):
    ended = run(text)
    assert ended.outcome == "answered" and ended.summary.startswith(head)
    assert stands_as_before(ended.table)


@pytest.mark.parametrize(("text", "is_moved"), [
    ("if the mug is heavier than the red block, put the red block in the bowl", True),
    ("if the red block is heavier than the mug, put the red block in the bowl", False),
])  # fmt: skip
def test_weights_decide_a_condition(text, is_moved):
    ended = run(text, things=(*scene(), bowl("white", 0.42, -0.02)))
    red = next(t for t in ended.table.things if t.label == "red box")
    assert ended.outcome == "done" and (red.y == pytest.approx(-0.02)) == is_moved


def test_what_weight_can_not_tell_moves_nothing():
    text = "if the red block is heavier than the ball, put the red block in the bowl"
    ended = run(text, things=(*scene(), bowl("white", 0.42, -0.02)))
    red = next(t for t in ended.table.things if t.label == "red box")
    assert ended.outcome == "unclear" and (red.x, red.y) == pytest.approx((0.5, -0.2), abs=0.01)


def test_a_robot_that_feels_no_force_says_so():
    ended = run("how heavy is the red block?", weigh=["no_senses", "no_senses", "no_senses"])
    assert ended.outcome == "impossible" and "no force sensor" in ended.summary
    assert stands_as_before(ended.table)


def test_what_is_full_is_not_weighed():
    full = (*scene()[:2], bowl("white", 0.5, 0.0), replace(ball("green", 0.5, 0.0), z=0.005))
    ended = run("weigh the bowl", things=full)
    assert ended.outcome == "impossible" and "is in the white bowl" in ended.summary


# ---- grips, sights, changes ---------------------------------------------------------------------


def test_what_is_held_is_taken_differently():
    ends = talk(HandTable(*scene()), "pick up the red block", "grasp it differently", "how heavy is it?")
    assert [e[0] for e in ends] == ["done", "done", "answered"]
    assert "90 degrees" in ends[1][1] and ends[2][1].startswith("60 g")


def test_nothing_held_has_no_other_grip():
    ended = run("grasp it differently")
    assert ended.outcome in ("impossible", "unclear") and not ended.table.motions()


@pytest.mark.parametrize(
    ("text", "hider", "head"),
    [
        ("can you see the mug?", None, "Yes: 100 %"),
        ("can you see the yellow mug?", None, "No: I see"),
        ("is the ball hidden?", None, "No: 100 %"),
        ("is the ball hidden?", ("black mug", 0.4), "Yes, in part: 60 %"),
        ("what hides the ball?", ("black mug", 0.4), "the black mug (40 % of it)"),
        ("what hides the ball?", None, "Nothing hides the green sphere"),
        ("is the ball hidden behind the mug?", ("black mug", 0.4), "Yes: the black mug hides 40 %"),
        ("is the ball hidden behind the red block?", ("black mug", 0.4), "No: the red box hides 0 %"),
    ],
)
def test_what_is_seen_and_hidden(text, hider, head):
    table = HandTable(*scene())
    table.hider = hider
    ended = drive(ScriptedModel(), text, table)
    assert ended.outcome == "answered" and ended.summary.startswith(head)
    assert not ended.table.motions()


def test_what_is_not_seen_is_neither_hidden_nor_not():
    ended = run("is the yellow mug hidden?")
    assert ended.outcome == "impossible" and "can't tell whether it is hidden" in ended.summary


def test_what_changed_since_the_last_look():
    ends = talk(HandTable(*scene()), "how many blocks are there?", "what changed?")
    assert ends[1][0] == "answered" and ends[1][1].startswith("Nothing has changed")


def test_there_is_no_change_without_an_earlier_look():
    ended = run("what changed?")
    assert ended.outcome == "impossible" and "no earlier picture" in ended.summary


class Meddled(HandTable):
    """Before the second picture somebody shifts the red block and takes the mug away."""

    def capture(self, camera="scene", fail=""):
        if self.images:
            self.things = [t for t in self.things if t.label != "black mug"]
            self.things[0].x = 0.58
        return super().capture(camera, fail)


def test_changes_are_named():
    outcome, words = talk(Meddled(*scene()), "how many blocks are there?", "what has changed?")[1]
    assert outcome == "answered"
    assert "red box has moved by 8 cm" in words and "black mug is gone" in words


def test_whether_one_thing_has_moved():
    lines = "how many blocks are there?", "has the red block moved?", "has the blue block moved?"
    ends = [words for _, words in talk(Meddled(*scene()), *lines)]
    assert ends[1].startswith("Yes: the red box stands 8.0 cm") and ends[2].startswith("No: the blue box")


# ---- a drawer -----------------------------------------------------------------------------------


class Drawer(SymbolicTable):
    """A table on which nothing stands: the handle of a drawer is no object, but is found by its name."""

    handle = Thing("yellow", "handle", 0.4, 0.1, (0.08, 0.02, 0.02))
    seen_m = 0.12

    def specs(self, without=()):
        return [*super().specs(without), ToolSpec("open_drawer", "", {"type": "object"}, read_only=False)]

    def detect(self, image, query="object", max_objects=20, fail=""):
        if query == "handle":
            return {"count": 1, "objects": [self._entry(self.handle)]}
        return super().detect(image, query, max_objects, fail)

    def open_drawer(self, handle, distance_m=0.12, fail=""):
        self.epoch += 1
        self.handle = replace(self.handle, x=self.handle.x - self.seen_m)
        return {"moved_m": 0.12}


def test_an_open_drawer_is_shown_by_its_handle():
    ended = drive(ScriptedModel(), "open the drawer", Drawer())
    assert ended.outcome == "done" and ended.summary == "The drawer moved 12 cm."
    assert len(ended.evidence) == 2  # of the second picture: it, and where the handle is in it


def test_a_drawer_whose_handle_did_not_come_along_is_not_open():
    table = Drawer()
    table.seen_m = 0.01
    ended = drive(ScriptedModel(), "open the drawer", table)
    assert ended.outcome == "failed" and "the handle is seen 11 cm from there" in ended.summary


# ---- too close to tell --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margin_m", "head"),
    [(0.001, "Too close to tell, rather yes"), (-0.0015, "Too close to tell, rather no"),
     (0.004, "Yes:"), (-0.004, "No:")],
)  # fmt: skip
def test_a_clearance_within_two_deviations_is_too_close_to_tell(margin_m, head):
    table = HandTable(*scene())
    table.margin_m = margin_m
    ended = drive(ScriptedModel(), "does the red block fit into the mug?", table)
    assert ended.outcome == "answered" and ended.summary.startswith(head)


def test_a_form_that_asks_for_yes_or_no_gets_the_likelier_one():
    table = HandTable(*scene())
    table.margin_m = -0.001
    ended = drive(ScriptedModel(), "does the red block fit into the mug? Answer yes or no.", table)
    assert ended.summary == "no"


def test_about_zero_is_what_is_stated():
    assert Length(0.002, 0.001).is_about_zero() and not Length(0.0021, 0.001).is_about_zero()
    assert Length(0.0009, 0.0001).is_about_zero()  # no better than 1 mm is ever stated


def test_masses_are_compared_by_value():
    truth = {"answer": 182.0, "answer_type": "number", "unit": "g", "tolerance": 18.2}
    assert is_right("178 g \u00b1 9 g (the mug).", truth) and is_right("0.19 kg", truth)
    assert not is_right("150 g", truth) and not is_right("182 cm", truth) and not is_right("182", truth)
