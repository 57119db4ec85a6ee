"""Families of sentences: how they are read, what is done on a symbolic table, and conversations."""

from types import SimpleNamespace

import pytest

from tests.vlm_agent.symbolic_table import (
    SKILLS,
    SymbolicTable,
    _finish,
    ball,
    block,
    bowl,
    drive,
    mug,
    result_to_text,
    tray,
)
from vlm_agent.finish import Ledger
from vlm_agent.model import Message, TextContent
from vlm_agent.scripted.model import ScriptedModel
from vlm_agent.scripted.parse import parse
from vlm_agent.scripted.show import show

READ = [
    ("build a tower: the red block at the bottom, the blue one in the middle and the mug on top",
     "stack from below the(red box) & the(blue one) & the(mug)"),
    ("stack the ball on the mug on the red block", "stack from below the(red box) & the(mug) & the(sphere)"),
    ("stack the red block and the mug, with the mug on top", "stack from below the(red box) & the(mug)"),
    ("stack the red block", "ask: On what shall I stack the red block?"),
    ("push the mug 10 cm to the left", "push the(mug) left_of=0.1m"),
    ("give the mug a push of 5 cm towards me", "push the(mug) in_front_of=0.05m"),
    ("push the mug to the robot's left by 4 cm", "push the(mug) left_of/robot=0.04m"),
    ("push the mug until it stands next to the bowl", "push the(mug) next_to the(bowl)"),
    ("push the mug to the left", "ask: How far to the left shall I push the mug, in cm?"),
    ("push the mug 5 cm", "ask: In which direction shall I push the mug?"),
    ("put the mug", "ask: Where shall I put the mug?"),
    ("line up the blocks from smallest to largest, left to right", "row right_of by size: all(box)"),
    ("put the blocks in a row by size, biggest on the left", "row right_of by -size: all(box)"),
    ("Row of cans, big ones left, small ones right.", "row right_of by -size: all(cylinder)"),
    ("a row of the blocks: the smallest ones on the left, the biggest ones on the right",
     "row right_of by size: all(box)"),
    ("line up the mug, the ball and the red block from right to left",
     "row left_of by listed: the(mug) & the(sphere) & the(red box)"),
    ("if there is space to the left of the bowl, put the ball there, otherwise put it on the tray",
     "if <fits the(sphere) left_of the(bowl)> then move the(sphere) left_of the(bowl) "
     "else move the(sphere) on the(tray)"),
    ("unless the mug is taller than the ball, pick up the ball",
     "if <holds the(mug): [heighter than the(sphere)]> then nothing else pickup the(sphere)"),
    ("put the ball in the bowl if it is empty",
     "if <holds the(bowl): empty> then move the(sphere) inside the(bowl) else nothing"),
    ("put the ball in the bowl after you have put the mug on the tray",
     "move the(mug) on the(tray); move the(sphere) inside the(bowl)"),
    ("put the ball in the bowl if it is taller than the mug, otherwise put the mug into it",
     "if <holds the(sphere): [heighter than the(mug)]> then move the(sphere) inside the(bowl) "
     "else move the(mug) inside the(bowl)"),
    ("if there is space to the left of the bowl I want the ball there, else on the tray",
     "if <fits the(sphere) left_of the(bowl)> then move the(sphere) left_of the(bowl) "
     "else move the(sphere) on the(tray)"),
    ("if there is a red ball it goes in the bowl, if not, the mug goes in the bowl",
     "if <exists a(red sphere)> then move the(red sphere) inside the(bowl) "
     "else move the(mug) inside the(bowl)"),
    ("which of the mug and the bowl is wider?", "which the(widther) among the(mug) & the(bowl)"),
    ("how wide is the gap between the mug and the bowl?", "gap the(mug) & the(bowl)"),
    ("how much taller is the mug than the bowl?", "difference height the(mug) & the(bowl)"),
    ("is the ball too big for the mug?", "not-fits the(sphere) inside the(mug)"),
    ("from the robot's point of view, is the mug left of the bowl?",
     "holds the(mug): [left_of/robot the(bowl)]"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READ, ids=[text for text, _ in READ])
def test_is_read(text, expected):
    assert show(parse(text).readings[0]) == expected


def scene():
    """Viewer's left is -y, the viewer's front is +x."""
    return (
        block("red", 0.50, -0.20),
        block("blue", 0.40, -0.02, 0.06),
        ball("green", 0.62, -0.10),
        bowl("white", 0.50, 0.12),
        mug("black", 0.64, 0.06),
    )


def run(instruction, *things):
    return drive(ScriptedModel(), instruction, SymbolicTable(*(things or scene())))


def at(ended, label):
    return next(t for t in ended.table.things if t.label == label)


def test_a_tower_stands_in_the_order_said():
    ended = run("build a tower from bottom to top: the red block, the blue block")
    assert ended.outcome == "done" and at(ended, "blue box").z == pytest.approx(0.045)


def test_a_row_is_in_order_and_straight():
    things = [block(c, x, y, e) for c, x, y, e in (
        ("red", 0.4, -0.2, 0.05), ("blue", 0.6, 0.1, 0.03), ("green", 0.5, 0.2, 0.04)
    )]  # fmt: skip
    ended = run("put the blocks in a row from left to right by size", *things)
    row = [at(ended, f"{c} box") for c in ("blue", "green", "red")]
    assert ended.outcome == "done"
    assert row[0].y < row[1].y < row[2].y and max(t.x for t in row) - min(t.x for t in row) < 0.03


@pytest.mark.parametrize(("relation", "inside"), [("taller", False), ("shorter", True)])
def test_a_condition_decides(relation, inside):
    ended = run(
        f"if the red block is {relation} than the mug, put it in the bowl, otherwise pick up the ball"
    )
    assert ended.outcome == "done"
    assert (ended.table.held is None) == inside
    assert (at(ended, "red box").y == pytest.approx(0.12)) == inside


def test_room_decides():
    ended = run("if there is room in front of the bowl, put the ball there, otherwise put it in the bowl")
    assert ended.outcome == "done" and at(ended, "green sphere").x > 0.5


def test_a_condition_without_else_that_does_not_hold_moves_nothing():
    ended = run("if there is a yellow ball, put it in the bowl")
    assert ended.outcome == "done" and not [m for m in ended.table.motions() if m != "home"]


def test_measures_state_their_uncertainty():
    ended = run("how tall is the mug?")
    assert ended.outcome == "answered" and ended.summary.startswith("9.0 cm \u00b1 ")


def test_does_it_fit():
    small, big = block("red", 0.4, 0.0, 0.03), block("blue", 0.4, 0.2, 0.12)
    place = bowl("white", 0.55, -0.1)
    assert run("does the red block fit into the bowl?", small, big, place).summary.startswith("Yes")
    assert run("is the blue block too big for the bowl?", small, big, place).summary.startswith("Yes")


# ---- conversations --------------------------------------------------------------------------------


def talk(table, *lines):
    """Say lines to one planner, one conversation; return how each ended."""
    model, specs, ledger = ScriptedModel(), table.specs(), Ledger()
    tools = {s.name: SimpleNamespace(spec=s, moves_robot=s.name in SKILLS) for s in specs}
    messages, ends = [Message("system", (TextContent("You plan."),))], []
    for line in lines:
        messages.append(Message("user", (TextContent(line),)))
        ended = None
        while ended is None:
            reply = model.complete(messages, specs)
            messages.append(Message("assistant", (TextContent(reply.text),), reply.tool_calls))
            for call in reply.tool_calls:
                result = _finish(call, ledger) if call.name == "finish" else table.call(call)
                if call.name == "finish" and result.ok:
                    ended = dict(call.arguments)
                ledger.record(call, tools[call.name], result)
                messages.append(Message("tool", (TextContent(result_to_text(result)),), call_id=call.id))
        ends.append((ended["outcome"], ended["summary"]))
    ids = [c.id for m in messages for c in m.tool_calls]
    assert len(ids) == len(set(ids))
    return ends


def test_it_and_back_carry_over():
    table = SymbolicTable(*scene())
    ends = talk(
        table, "put the red block in the bowl", "put it back", "pick up the ball", "put it in the bowl"
    )
    assert [e[0] for e in ends] == ["done"] * 4
    red = next(t for t in table.things if t.label == "red box")
    assert (red.x, red.y) == pytest.approx((0.50, -0.20), abs=0.01) and table.held is None


def test_a_question_back_is_answered_by_the_next_message():
    table = SymbolicTable(*scene())
    ends = talk(table, "put the block in the bowl", "the blue one", "put the ball", "next to the red block")
    assert [e[0] for e in ends] == ["unclear", "done", "unclear", "done"]
    assert ends[0][1].startswith('Which one is "the block"?') and ends[2][1] == "Where shall I put the ball?"
    assert "blue box" in ends[1][1] and "red box" in ends[3][1]


def test_what_is_no_answer_is_a_new_instruction():
    ends = talk(SymbolicTable(*scene(), tray("gray", 0.38, 0.2)), "put the mug", "how many blocks are there?")
    assert ends[1][0] == "answered" and ends[1][1].startswith("2")
