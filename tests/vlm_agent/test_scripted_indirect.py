"""Indirect and topicalised sentences are read as their direct form; what only looks like one is not."""

import re

import pytest

from vlm_agent.scripted.families.indirect import direct
from vlm_agent.scripted.parse import NotUnderstood, parse
from vlm_agent.scripted.syntax import Task

TOWER = "build a tower from bottom to top: the red block, the blue block, the green block"
STACK = "stack the red block, the blue block and the green block"
ROW = "put the red block, the mug and the ball in a row, in that order from left to right"
PUSH = "push the mug 7 cm to the left"

SAME = {
    "how tall is the mug?": (
        "I'd like to know how tall the mug is",
        "could you find out for me how tall the mug is?",
        "would you kindly determine how tall the mug is?",
        "the mug, how much tall is it?",
        "the mug: what is its height?",
        "I'd be interested in the height of the mug",
    ),
    "is the mug taller than the can?": (
        "tell me whether the mug is taller than the can",
        "would you say that the mug is taller than the can?",
        "the mug, is it more tall than the can?",
        "does the height of the mug exceed that of the can?",
        "is the mug greater in height than the can?",
        "does the mug have a greater height than the can?",
        "in comparison with the can, is the mug taller?",
    ),
    "which is taller, the mug or the can?": (
        "I wonder whether the mug or the can is taller",
        "can you say whether the mug or the can is the taller of the two?",
        "between the mug and the can, which one has the greater height?",
        "compare the heights of the mug and the can and tell me which is greater",
        "the mug or the can, which one is more tall?",
        "does the mug or the can have the greater height?",
        "of the mug and the can, tell me the taller one",
    ),
    "which is heavier, the mug or the can?": (
        "find out whether the mug or the can is heavier",
        "compare the weights of the mug and the can and tell me which is heavier",
        "of the mug and the can, which one is the heavier?",
    ),
    "which is closer to the bowl, the mug or the can?": (
        "tell me whether the mug or the can is closer to the bowl",
        "which is closer the bowl, the mug or the can?",
        "is the bowl closer to the mug or to the can?",
    ),
    "which of the blocks is the tallest?": (
        "of all the blocks, which is the tallest one?",
        "among the blocks, which one is the tallest, please?",
        "can you find out which of the blocks has the greatest height?",
        "from the blocks, which one is the most tall?",
    ),
    "how far apart are the mug and the bowl?": (
        "give me the centre-to-centre distance between the mug and the bowl",
        "can you tell me how far the mug is from the bowl?",
        "what distance is there between the mug and the bowl?",
        "between the mug and the bowl, what is the distance?",
    ),
    "how wide is the gap between the mug and the bowl?": (
        "between the mug and the bowl, how wide is the free place there?",
        "I'd like to know how wide the empty space between the mug and the bowl is",
        "give me the edge-to-edge gap from the mug to the bowl",
        "could you tell me how much free space there is between the mug and the bowl?",
    ),
    "how many red objects are there?": (
        "I'd like to know how many red objects we have here",
        "tell me the total number of red objects",
        "the red objects, how many are there?",
    ),
    "does the red block fit into the bowl?": (
        "the red block, does it fit in the bowl?",
        "is the bowl big enough for the red block to fit in it?",
        "can the red block go inside the bowl, size-wise?",
        "do you think the red block fits in the bowl?",
    ),
    "is the red block between the mug and the bowl?": (
        "would you say the red block sits somewhere between the mug and the bowl?",
        "between the mug and the bowl, is that where the red block is?",
        "the red block, is it standing somewhere in between the mug and the bowl?",
        "is it between the mug and the bowl that the red block stands?",
    ),
    "can you see the mug?": (
        "tell me if you can see the mug",
        "the mug, you can see it?",
        "is the mug in your field of view?",
    ),
    PUSH: (
        "give the mug a push to the left, 7 cm far",
        "push to the left: the mug, distance 7 cm",
        "would you mind pushing the mug by 7 cm to the left?",
        "you please push the mug for 7 cm to the left",
        "the mug, push it 7 cm to the left",
        "move the mug by pushing it 7 cm to the left",
        "give the mug a 7 cm push to the left",
        "shift the mug 7 cm to the left with a push",
    ),
    TOWER: (
        "start with the red block, put the blue block on it, and finish with the green block",
        "place the red block first, then the blue block on it, then the green block on that, as a tower",
        "the red block goes lowest, the blue block goes on it, and the green block goes highest",
        "tower, listed from the top down: the green block, the blue block, the red block",
        "bottom: the red block, middle: the blue block, top: the green block",
        "the green block sits on the blue block, which sits on the red block",
        "put the red block at the bottom, the blue block on top of it, and the green block on the blue block",
        "on top of the red block put the blue block and on top of that the green block",
    ),
    STACK: (
        "the red block, the blue block and the green block: stack them",
        "assemble the red block, the blue block and the green block into a single tower",
        "the red block, the blue block, the green block: one tower, order arbitrary",
        "take the red block, the blue block and the green block and stack all three, in any order",
        "the red block, the blue block and the green block should form a tower",
        "out of the red block, the blue block and the green block, build a tower",
        "could you make a tower from these three: the red block, the blue block and the green block?",
    ),
    ROW: (
        "please set up a line: the red block on the left, next to it the mug, and the ball on the far right",
        "on the left the red block, in the middle the mug, on the right the ball",
        "make a row starting at the left with the red block, followed by the mug and then the ball",
        "row, left to right: the red block, the mug, the ball",
        "I want a row that goes the red block, then the mug, then the ball, from left to right",
        "please make a line with the red block on the left, next the mug, and then the ball on the right",
        "make a row with the ball on the right, the mug in the middle and the red block on the left",
        "place the red block leftmost, the mug next to it and the ball rightmost, in a row",
    ),
    "put the red block on top of the blue block": (
        "the blue block should end up directly underneath the red block",
    ),
    "if the mug is taller than the can, put the red block in the bowl": (
        "check whether the mug is taller than the can and if it is, put the red block in the bowl",
        "if the mug has a greater height than the can, put the red block in the bowl",
        "if the mug is the taller one and the can the shorter one, put the red block in the bowl",
    ),
    "put all the red things on the tray": (
        "take all the red things you can see and put them on the tray",
        "whatever is red, put it on the tray",
        "gather up the red things, every last one, and put them on the tray",
    ),
    "does the mug hide the red block?": (
        "tell me whether the mug hides the red block",
        "is it the mug that hides the red block?",
    ),
    "if there is a red ball, put the blue block in the bowl": (
        "check for a red ball: if there is one, put the blue block in the bowl",
    ),
    "if there is space to the left of the bowl, put the red block there, otherwise put it on the tray": (
        "place the red block to the left of the bowl if it fits there, and otherwise on the tray",
        "try to put the red block to the left of the bowl; if there is no room, put it on the tray",
        "put the red block on the tray unless there is room to the left of the bowl, then put it there",
    ),
    "put the red block in the bowl, then put the blue block on the tray": (
        "put the red block in the bowl first and the blue block on the tray afterwards",
        "two things: one, put the red block in the bowl; two, put the blue block on the tray",
    ),
    "put the red peg in the hole of the blue block": (
        "the blue block has a hole, put the red peg in it",
        "put the red peg in the hole that the blue block has",
        "into the hole of the blue block, put the red peg",
        "the hole in the blue block: put the red peg in it",
    ),
}
PAIRS = [(said, plain) for plain, forms in SAME.items() for said in forms]

REFUSED = (
    "I can tell you how wide the mug is",
    "I know whether the mug is taller than the can",
    "I wonder",
    "tell me whether",
    "would you say something?",
    "would you say the block?",
    "nobody knows how tall the mug is",
    "don't tell me how tall the mug is",
    "the mug, how tall was it yesterday?",
    "the mug, is it taller than it is wide?",
    "the mug and the can, how tall is it?",
    "don't give the mug a push to the left, 7 cm far",
    "imagine the red block first, then the blue block on it, then the green block on that",
    "the red block should not end up underneath the blue block",
    "push it with a push",
    "would you please not put the mug in the bowl?",
    "I wonder which block is the tallest, put it in the bowl",
    "find out which block is the tallest and put it in the bowl",
    "tell me whether the mug is in the bowl and then put it on the tray",
    "of the mug, the can and the ball, put the tallest in the bowl",
    "put the blocks in a row so that each one is redder than the one to its left",
)

# What is no order to move anything, whatever else it is read as.
NO_MOVES = (
    "would you say the red block sits between the mug and the bowl?",
    "would you say the red block belongs in the bowl?",
    "do you think the red block stands in the bowl?",
    "between the mug and the bowl, is that where the red block is?",
    "does the mug or the can stand higher?",
    "I'd like to know whether the red block is in the bowl",
    "the red block, does it fit in the bowl?",
)


def _reading(text):
    return re.sub(r"text='[^']*'", "", repr(parse(text).readings[0]))


@pytest.mark.parametrize(("said", "plain"), PAIRS, ids=[said for said, _ in PAIRS])
def test_it_is_read_as_the_direct_form(said, plain):
    assert _reading(said) == _reading(plain)


@pytest.mark.parametrize("text", REFUSED)
def test_what_only_looks_indirect_is_refused(text):
    with pytest.raises(NotUnderstood):
        parse(text)


@pytest.mark.parametrize("text", NO_MOVES)
def test_a_question_moves_nothing(text):
    try:
        reading = parse(text).readings[0]
    except NotUnderstood:
        return
    assert not isinstance(reading, Task)


@pytest.mark.parametrize("text", [plain for plain in SAME if plain not in (ROW, STACK)])
def test_a_direct_form_stays(text):
    said = direct(text)
    assert said is None or _reading(said) == _reading(text)


def test_a_row_is_no_place():
    with pytest.raises(NotUnderstood, match="row"):
        parse("put the mug next to the row")


def test_what_is_to_be_pushed_is_not_carried():
    with pytest.raises(NotUnderstood):
        parse("somehow bring the mug into the bowl by pushing it around a bit")
