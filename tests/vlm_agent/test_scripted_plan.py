"""Plans on a symbolic table: what is done, what is refused with the robot still, what is answered."""

import pytest

from tests.vlm_agent.symbolic_table import (
    SymbolicTable,
    Thing,
    ball,
    block,
    bowl,
    can,
    drive,
    mug,
    tray,
)
from vlm_agent.scripted.model import ScriptedModel


def run(instruction, *things, **failures):
    without = failures.pop("without", ())
    return drive(ScriptedModel(), instruction, SymbolicTable(*things, **failures), without=without)


def thing(ended, label):
    (found,) = [t for t in ended.table.things if t.label == label]
    return found


def is_inside(ended, what, where):
    return ended.table._margin(thing(ended, what), thing(ended, where), "inside", "camera") > 0


def holds(ended, what, relation, where, frame="camera"):
    return ended.table._margin(thing(ended, what), thing(ended, where), relation, frame) > 0


def scene():
    """Viewer's left is -y, the viewer's front is +x."""
    return (
        block("red", 0.50, -0.20),
        block("blue", 0.40, -0.02, 0.06),
        ball("green", 0.62, -0.10),
        bowl("white", 0.50, 0.12),
        mug("black", 0.64, 0.06),
    )


# ---- doing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "what", "relation", "where"),
    [
        ("put the red block in the bowl", "red box", "inside", "white bowl"),
        ("pick up the crimson cube and drop it into the white dish", "red box", "inside", "white bowl"),
        ("the ball should be in the bowl", "green sphere", "inside", "white bowl"),
        ("put the bigger block in the bowl", "blue box", "inside", "white bowl"),
        ("put the smallest block in the bowl", "red box", "inside", "white bowl"),
        ("put the leftmost object in the bowl", "red box", "inside", "white bowl"),
        ("put the block on the right in the bowl", "blue box", "inside", "white bowl"),
        ("put the block closest to you in the bowl", "blue box", "inside", "white bowl"),
        ("put the block farthest from the mug in the bowl", "red box", "inside", "white bowl"),
        ("put the second block from the left in the bowl", "blue box", "inside", "white bowl"),
        ("put the block that is not red in the bowl", "blue box", "inside", "white bowl"),
        ("put the round thing in the bowl", "green sphere", "inside", "white bowl"),
        ("put the navy block in the bowl", "blue box", "inside", "white bowl"),
        ("put the red block to the right of the mug", "red box", "right_of", "black mug"),
        ("put the red block behind the mug", "red box", "behind", "black mug"),
        ("put the red block in front of the blue block", "red box", "in_front_of", "blue box"),
        ("put the ball next to the bowl", "green sphere", "next_to", "white bowl"),
        ("stack the red block on the blue one", "red box", "on", "blue box"),
        ("put the ball left of the blue block", "green sphere", "left_of", "blue box"),
        ("bring the ball to the bowl", "green sphere", "inside", "white bowl"),
        ("put the block left of the blue block in the bowl", "red box", "inside", "white bowl"),
        ("put the ball in the bowl, buddy", "green sphere", "inside", "white bowl"),
    ],
)
def test_carries_out(instruction, what, relation, where):
    ended = run(instruction, *scene())
    assert ended.outcome == "done", ended.text
    assert holds(ended, what, relation, where)
    assert ended.table.held is None
    others = {t.label for t in scene()} - {what}
    before = {t.label: (t.x, t.y) for t in scene()}
    assert all((thing(ended, o).x, thing(ended, o).y) == before[o] for o in others)


def test_left_in_the_robots_frame_is_the_other_side():
    ended = run("from your side, put the red block left of the blue block", *scene())
    assert ended.outcome == "done" and holds(ended, "red box", "left_of", "blue box", "robot")
    assert thing(ended, "red box").y > thing(ended, "blue box").y


def test_plan_of_a_put_is_short_and_parallel():
    ended = run("put the red block in the bowl", *scene())
    turns = [[c.name for c in reply.tool_calls] for reply in ended.replies]
    assert turns == [
        ["capture"], ["detect"], ["relation"], ["grasp", "free_space"], ["pick"], ["place"],
        ["capture"], ["detect"], ["relation"], ["finish"],
    ]  # fmt: skip
    assert all(reply.text and len(reply.text) < 300 for reply in ended.replies)


def test_done_cites_what_was_seen_after_the_last_motion():
    ended = run("put the red block in the bowl", *scene())
    ids = [c.id for reply in ended.replies for c in reply.tool_calls]
    names = {c.id: c.name for reply in ended.replies for c in reply.tool_calls}
    last_motion = max(ids.index(i) for i in ids if names[i] == "place")
    assert ended.evidence and all(ids.index(i) > last_motion for i in ended.evidence)
    assert {names[i] for i in ended.evidence} == {"capture", "detect", "relation"}


def test_pick_up_stays_held_and_is_seen_gone():
    ended = run("grab the red block", *scene())
    assert ended.outcome == "done" and ended.table.held.label == "red box"
    assert [c.name for c in ended.replies[-2].tool_calls] == ["detect"]


def test_what_holds_already_is_left_alone():
    inside = Thing("red", "box", 0.50, 0.12, (0.045, 0.045, 0.045), z=0.005)
    ended = run("put the red block in the bowl", inside, bowl("white", 0.5, 0.12))
    assert ended.outcome == "done" and not ended.table.motions()
    assert "already" in ended.summary and ended.evidence


def test_all_of_a_kind_are_moved_one_by_one():
    ended = run("put all the blocks in the tray", *scene()[:3], tray("gray", 0.5, 0.12))
    assert ended.outcome == "done"
    assert is_inside(ended, "red box", "gray tray") and is_inside(ended, "blue box", "gray tray")
    assert not is_inside(ended, "green sphere", "gray tray")


def test_everything_means_all_but_the_target():
    ended = run("put everything in the tray", *scene()[:3], tray("gray", 0.5, 0.12))
    assert ended.outcome == "done"
    assert all(is_inside(ended, o, "gray tray") for o in ("red box", "blue box", "green sphere"))


def test_two_steps_in_order_and_both_are_checked_at_the_end():
    ended = run("put the red block in the bowl and then put the ball left of the mug", *scene())
    assert ended.outcome == "done"
    assert is_inside(ended, "red box", "white bowl") and holds(ended, "green sphere", "left_of", "black mug")
    assert (
        ended.table.motions() == ["pick", "place", "pick", "place"]
        or "left of the black mug" in ended.summary
    )


def test_pronouns_follow_what_was_moved_or_its_container():
    ended = run("put the red block in the bowl. Then put the ball in it too.", *scene())
    assert ended.outcome == "done" and is_inside(ended, "green sphere", "white bowl")
    ended = run("put the ball behind the mug and put the red block next to it", *scene())
    assert ended.outcome == "done" and holds(ended, "red box", "next_to", "green sphere")


def test_the_other_block_is_the_one_not_spoken_of():
    ended = run("put the red block in the bowl and put the other block in front of the mug", *scene())
    assert ended.outcome == "done" and holds(ended, "blue box", "in_front_of", "black mug")


def test_one_takes_its_shape_from_what_was_spoken_of():
    things = (*scene(), ball("blue", 0.40, 0.24))
    ended = run("stack the red block on the blue one", *things)
    assert ended.outcome == "done" and holds(ended, "red box", "on", "blue box")


@pytest.mark.parametrize(
    ("instruction", "check"),
    [
        ("move the red block 10 cm to the right", lambda t: abs(t.y + 0.10) < 0.01 and t.x == 0.5),
        ("move the red block to the left side of the table", lambda t: t.y < -0.1),
        ("put the red block in the back right corner", lambda t: t.y > 0.1 and t.x < 0.45),
        ("move the red block away from the ball", lambda t: t.distance(0.62, -0.10) > 0.19),
        ("move the red block to the right", lambda t: t.y > -0.15),
    ],
)
def test_places_that_free_space_has_no_word_for(instruction, check):
    ended = run(instruction, *scene())
    assert ended.outcome == "done", ended.text
    assert check(thing(ended, "red box"))


def test_between_two_things():
    things = (
        block("red", 0.4, -0.2),
        mug("black", 0.6, -0.12),
        bowl("white", 0.6, 0.16),
        block("blue", 0.42, 0.2),
    )
    ended = run("put the red block between the mug and the bowl", *things)
    assert ended.outcome == "done"
    assert (thing(ended, "red box").x, round(thing(ended, "red box").y, 3)) == (0.6, 0.02)


def test_taking_out_of_a_container_puts_it_on_the_table():
    inside = Thing("red", "sphere", 0.50, 0.12, (0.04, 0.04, 0.04), z=0.005)
    ended = run("take the ball out of the bowl", inside, *scene()[3:])
    assert ended.outcome == "done" and not is_inside(ended, "red sphere", "white bowl")


def test_emptying_a_container():
    inside = [Thing(c, "sphere", 0.5, 0.12, (0.03, 0.03, 0.03), z=0.005) for c in ("red", "green")]
    ended = run("empty the bowl", *inside, bowl("white", 0.5, 0.12))
    assert ended.outcome == "done", ended.text
    assert not any(is_inside(ended, f"{c} sphere", "white bowl") for c in ("red", "green"))


def test_swapping_uses_a_free_spot_in_between():
    ended = run("swap the red block and the blue block", *scene())
    assert ended.outcome == "done", ended.text
    assert thing(ended, "red box").distance(0.40, -0.02) < 0.01
    assert thing(ended, "blue box").distance(0.50, -0.20) < 0.01


def test_put_it_back_returns_it():
    ended = run("put the red block in front of the mug, then put it back", *scene())
    assert ended.outcome == "done", ended.text
    assert thing(ended, "red box").distance(0.50, -0.20) < 0.01


def test_looking_and_gestures():
    ended = run("look at the mug", *scene())
    assert ended.outcome == "done" and ended.table.motions() == ["look_at"]
    for text, skill in (("go home", "home"), ("open the gripper", "open_gripper"), ("stop", "stop")):
        ended = run(text, *scene())
        assert ended.outcome == "done" and ended.table.motions() == [skill]


# ---- the scene decides between readings -----------------------------------------------------------


def test_attachment_is_settled_by_where_things_stand():
    text = "put the ball left of the mug in the tray"
    # No ball is left of the mug, but the mug stands in the tray: there the ball goes.
    things = (
        ball("red", 0.40, 0.2),
        tray("gray", 0.55, 0.0),
        Thing("black", "mug", 0.55, 0.0, (0.1, 0.08, 0.09), z=0.01),
    )
    ended = run(text, *things)
    assert ended.outcome == "done", ended.text
    assert holds(ended, "red sphere", "left_of", "black mug")
    # Of two balls the left one is meant, and it goes into the tray.
    things = (
        ball("red", 0.40, -0.2),
        ball("blue", 0.62, 0.26),
        tray("gray", 0.6, 0.05),
        mug("black", 0.4, 0.0),
    )
    ended = run(text, *things)
    assert ended.outcome == "done" and is_inside(ended, "red sphere", "gray tray")


def test_similar_colours_count_only_where_nothing_fits_better():
    doubtful = Thing("orange", "box", 0.4, 0.0, scores={"orange": 0.6, "red": 0.38})
    ended = run("put the red block in the bowl", doubtful, bowl("white", 0.5, 0.12))
    assert ended.outcome == "done" and is_inside(ended, "orange box", "white bowl")
    ended = run("put the red block in the bowl", doubtful, block("red", 0.6, -0.2), bowl("white", 0.5, 0.12))
    assert ended.outcome == "done" and is_inside(ended, "red box", "white bowl")
    plain = Thing("orange", "box", 0.4, 0.0)
    ended = run("put the red block in the bowl", plain, bowl("white", 0.5, 0.12))
    assert ended.outcome == "impossible"


# ---- refusing, with the robot still ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("instruction", "outcome", "words"),
    [
        ("put the purple block in the bowl", "impossible", "the purple block"),
        ("put the red block in the box", "impossible", "the box"),
        ("put the red ball in the bowl", "impossible", "the red ball"),
        ("put the banana in the bowl", "impossible", "banana"),
        ("put the red block in the tray", "impossible", "the tray"),
        ("put the block in the bowl", "unclear", "red box (left), a blue box"),
        ("pick up the block left of the robot", "impossible", "the block left of the robot"),
        ("put the bowl in the mug", "impossible", "does not fit"),
        ("put three blocks in the bowl", "impossible", "only 2"),
        ("put the third block from the left in the bowl", "impossible", "only 2"),
        ("put the red block under the mug", "impossible", "under"),
        ("put the red block on the ball", "impossible", "round"),
        ("put the red block in the blue block", "impossible", "no container"),
        ("paint the red block blue", "impossible", "can't paint"),
        ("give me the red block", "impossible", "needs the skill 'hand_over'"),
        ("put it in the bowl", "unclear", "'it'"),
        ("do not touch the red block", "unclear", "what not to do"),
        ("flurb the red block", "unclear", "flurb"),
        ("put the red block in the bowl and the purple ball in the mug", "impossible", "purple ball"),
        ("drop the red block", "impossible", "hold nothing"),
        ("put the wooden block in the bowl", "unclear", "'wooden'"),
        ("", "unclear", "no instruction"),
        ("x" * 3900, "unclear", "x"),
    ],
)
def test_refuses_without_moving(instruction, outcome, words):
    things = scene() if "box" not in instruction else (*scene()[:1], *scene()[2:])
    ended = run(instruction, *things)
    assert (ended.outcome, ended.table.motions()) == (outcome, []), ended.text
    assert words in ended.summary
    assert len(ended.summary) < 1600


def test_a_look_is_repeated_before_something_is_called_absent():
    table = SymbolicTable(*scene(), detect=["not_found"])
    ended = drive(ScriptedModel(), "put the red block in the bowl", table)
    assert ended.outcome == "done" and is_inside(ended, "red box", "white bowl")


def test_too_big_for_the_gripper_unless_it_has_a_rim():
    big = Thing("red", "box", 0.4, -0.1, (0.12, 0.09, 0.05))
    ended = run("put the red block in front of the bowl", big, bowl("white", 0.5, 0.12))
    assert ended.outcome == "impossible" and "too big" in ended.summary and not ended.table.motions()
    ended = run("put the bowl behind the red block", big, bowl("white", 0.6, 0.12))
    assert ended.outcome == "done"


def test_no_room_is_found_out_before_anything_moves():
    ended = run("put the red block in the bowl", *scene(), free_space=["no_space"])
    assert ended.outcome == "impossible" and "no room" in ended.summary and not ended.table.motions()


@pytest.mark.parametrize("tool", ["capture", "detect", "relation", "grasp", "free_space", "pick", "place"])
def test_a_missing_tool_is_named(tool):
    ended = run("put the red block in the bowl", *scene(), without=(tool,))
    assert ended.outcome == "impossible" and repr(tool) in ended.summary
    assert ended.table.motions() in ([], ["pick"])


def test_optional_tools_may_be_missing():
    ended = run("put the red block in the bowl", *scene(), without=("home", "look_at", "open_gripper"))
    assert ended.outcome == "done"


# ---- questions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how many blocks are there?", "2"),
        ("how many objects do you see?", "5"),
        ("how many purple things are there", "0"),
        ("how many blocks are left of the bowl?", "2"),
        ("how many things are in the bowl", "0"),
        ("how many objects are not blocks", "3"),
        ("is the red block left of the bowl?", "Yes"),
        ("is the red block right of the bowl?", "No"),
        ("is the ball red?", "No"),
        ("is the ball green?", "Yes"),
        ("is there a mug?", "Yes"),
        ("is there a banana?", "No"),
        ("are there two blocks?", "Yes"),
        ("are there more blocks than balls?", "Yes"),
        ("is the bowl empty?", "Yes"),
        ("is the blue block bigger than the red block?", "Yes"),
        ("is the red block the leftmost object?", "Yes"),
        ("is the blue block the leftmost object?", "No"),
        ("is the red block closer to the bowl than the blue block?", "No"),
        ("are the two blocks the same color?", "No"),
        ("are the two blocks the same shape?", "Yes"),
        ("what color is the ball?", "green"),
        ("what shape is the red object?", "box"),
        ("which object is the largest?", "white bowl"),
        ("which block is bigger?", "blue box"),
        ("which is bigger, the red block or the blue block?", "blue box"),
        ("which object is closest to the camera?", "black mug"),
        ("what is left of the blue block?", "red box"),
        ("what is in the bowl?", "Nothing"),
        ("where is the mug?", "The black mug"),
        ("how tall is the mug?", "9.0 cm"),
        ("how far is the red block from the blue block?", "20.6 cm"),
        ("does the red block fit in the bowl?", "Yes"),
        ("what do you see?", "red box"),
        ("find the red block", "The red box"),
    ],
)
def test_answers(question, answer):
    ended = run(question, *scene())
    assert ended.outcome == "answered", ended.text
    assert ended.summary.startswith(answer), ended.summary
    assert not ended.table.motions() and ended.evidence


def test_a_question_about_one_of_several_is_unclear():
    ended = run("what color is the block?", *scene())
    assert ended.outcome == "unclear" and "red box" in ended.summary and "blue box" in ended.summary


def test_a_question_about_nothing_is_impossible():
    ended = run("what color is the can?", *scene())
    assert ended.outcome == "impossible" and "the can" in ended.summary


def test_an_empty_table_is_described_as_such():
    assert run("how many blocks are there").summary == "0. I see nothing on the table."
    assert run("put the red block in the bowl").outcome == "impossible"


def test_both_cans_are_ambiguous_by_name_but_not_by_place():
    things = (can("red", 0.5, -0.2), can("red", 0.5, 0.2), tray("gray", 0.5, 0.0))
    assert run("put the red can in the tray", *things).outcome == "unclear"
    ended = run("put the red can on the right in the tray", *things)
    assert ended.outcome == "done" and things[1].distance(0.5, 0.0) < 0.01
