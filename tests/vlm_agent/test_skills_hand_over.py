"""hand_over: a twin that stood under the hand before is not taken for what was let go."""

import pytest

from perception_tools.errors import Failed
from tests.vlm_agent.test_skills_contact import gantry, pulled_when_still, standing
from vlm_agent.skills.hand_over import hand_over
from vlm_agent.skills.pick import pick

SIZE = (0.04, 0.04, 0.04)


def two(at):
    """Return a gantry that holds a block whose twin stands at a place."""
    g = gantry(standing("block", 0.5, -0.1, SIZE), standing("twin", *at, SIZE))
    pick(g.ctx, grasp=g.grasp("block"))
    pulled_when_still(g)
    return g


@pytest.mark.long
def test_a_twin_on_the_table_was_not_dropped():
    g = two((0.5, 0.24))
    g.driver.faults.add("vanish")  # the person has it
    assert hand_over(g.ctx, to_m=(0.5, 0.1, 0.35)).released


@pytest.mark.long
def test_what_falls_beside_its_twin_was_dropped():
    g = two((0.5, 0.24))
    with pytest.raises(Failed) as error:
        hand_over(g.ctx, to_m=(0.5, 0.1, 0.35))
    assert error.value.reason == "dropped"
