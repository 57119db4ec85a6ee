"""Read a sentence as one of the families."""

from __future__ import annotations

from vlm_agent.scripted.families.asks import read_question
from vlm_agent.scripted.families.conditions import read_condition
from vlm_agent.scripted.families.hands import read_hands
from vlm_agent.scripted.families.orders import read_order
from vlm_agent.scripted.families.pushes import read_push
from vlm_agent.scripted.families.scales import read_scales
from vlm_agent.scripted.families.several import read_several
from vlm_agent.scripted.families.sights import read_sight
from vlm_agent.scripted.families.stacks import read_stack
from vlm_agent.scripted.families.text import Parser, clean
from vlm_agent.scripted.strict import Parsed
from vlm_agent.scripted.syntax import Task


def read_family(text: str, parse: Parser) -> Parsed | None:
    """Return the reading of a sentence that its shape gives away, None if it is of no family.

    Args:
        text: The sentence.
        parse: Reads parts of it.
    """
    plain = clean(text)
    if not plain or len(plain.split()) > 80:
        return None
    conditional = read_condition(plain, parse)
    if conditional is not None:
        return Parsed((conditional,))
    question = read_scales(plain) or read_sight(plain) or read_question(plain)
    if question is not None:
        return Parsed((question,))
    hands = read_hands(plain, parse)
    if hands is not None:
        return Parsed((hands,))
    row = read_order(plain)
    if row is not None:
        return Parsed((Task((row,)),))
    push = read_push(plain)
    if push is not None:
        return Parsed((Task((push,)),))
    tower = read_stack(plain)
    if tower is not None:
        return Parsed((Task(tower),))
    several = read_several(plain, parse)
    return None if several is None else Parsed((several,))
