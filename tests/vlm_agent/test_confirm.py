"""Nothing moves before the yes; nobody to ask means no."""

import io
import os
import threading

import pytest

from perception_tools.errors import ErrorKind, Refused
from tests.vlm_agent.toys import TOOLS, Replies, call, finish, make_context, says
from vlm_agent.agent import Agent, AgentConfig
from vlm_agent.confirm import Confirmation, Terminal, mode_of, terminal_ask
from vlm_agent.executor import Executor, ExecutorConfig


class Person:
    """Answers in order, and notes what had happened when asked."""

    def __init__(self, context, *answers):
        self.context, self.answers, self.asked = context, list(answers), []

    def __call__(self, question, cancel):
        self.asked.append((question, list(self.context.log)))
        return self.answers.pop(0)


def executor_of(mode, *answers, nobody=False):
    context = make_context()
    person = Person(context, *answers)
    confirmation = Confirmation(mode, None if nobody else person)
    config = ExecutorConfig(allow=("move", "fly"))
    return Executor(TOOLS, context, config, confirmation=confirmation), person


def test_nothing_moves_before_the_yes():
    executor, person = executor_of("always", True, False)
    with executor:
        first, second = executor.run([call("move"), call("move", how="badly")])
    assert first.ok and (second.error, second.reason) == (ErrorKind.REFUSED, "declined")
    assert [log for _, log in person.asked] == [[], []]  # all are asked before the first of a turn runs
    assert executor.context.log == ["move well", "moved"]
    assert person.asked[0][0] == "The robot would move: move(). Go ahead? [y/N] "


def test_first_asks_once_per_instruction():
    executor, person = executor_of("first", True, False)
    with executor:
        assert all(r.ok for r in executor.run([call("move"), call("move")]))
        assert len(person.asked) == 1 and "for this instruction" in person.asked[0][0]
        executor.confirmation.renew()
        results = executor.run([call("move"), call("move")])
    assert [r.reason for r in results] == ["declined", "declined"]
    assert len(person.asked) == 2 and executor.context.log.count("moved") == 2


def test_never_asks_nobody_and_looking_needs_no_yes():
    executor, person = executor_of("never")
    with executor:
        assert executor.run([call("move")])[0].ok
    executor, person = executor_of("always")
    with executor:
        assert executor.run([call("add", a=1), call("stop")])[0].ok
    assert person.asked == []


@pytest.mark.parametrize("mode", ["always", "first"])
def test_without_a_terminal_it_is_refused(mode):
    executor, _ = executor_of(mode, nobody=True)
    with executor:
        (result,) = executor.run([call("move")])
    assert (result.error, result.reason) == (ErrorKind.REFUSED, "not_confirmed")
    assert "skills.confirm" in result.message and executor.context.log == []


def test_a_refusal_can_be_shown_to_a_person_and_the_model_is_told_what_follows():
    executor, _ = executor_of("first", False)
    with executor:
        first, again = executor.run([call("move"), call("move")])
    assert first.message == "the person declined move()"
    assert again.message == "the person declined to let the robot move"
    assert "must not be tried again: finish and say so" in executor.confirmation.rule


def test_invalid_and_forbidden_calls_are_not_asked_about():
    executor, person = executor_of("always")
    executor.config = ExecutorConfig(allow=("move",))
    with executor:
        results = executor.run([call("move", how="sideways"), call("fly"), call("swim")])
    assert [r.error for r in results] == [ErrorKind.BAD_ARGUMENTS, ErrorKind.REFUSED, ErrorKind.BAD_ARGUMENTS]
    assert person.asked == []


def test_the_planner_is_told():
    executor, person = executor_of("first", True, True)
    model = Replies(says(call("move"), text="I move\nit."), finish("failed"))
    with executor:
        agent = Agent(model, executor, AgentConfig(handle_sigint=False))
        agent.run("move")
        agent.run("move")
    assert "A person is asked before the first motion" in model.seen[0][0].text
    assert "Skills (they move the robot, one at a time): move, fly, stop." in model.seen[0][0].text
    assert person.asked[0][0].startswith("I move it. The robot would move: move(); it may go on")
    assert len(person.asked) == 1  # the second run's model went on to finish at once
    executor, _ = executor_of("never")
    model = Replies(finish("failed"))
    with executor:
        Agent(model, executor, AgentConfig(handle_sigint=False)).run("move")
    assert "A person is asked" not in model.seen[0][0].text


def test_settings():
    assert mode_of(None, is_real=True) == "first" and mode_of(None, is_real=False) == "never"
    assert mode_of("never", is_real=True) == "never"
    with pytest.raises(ValueError, match="use always, first or never"):
        mode_of("sometimes", is_real=False)


# ---- the terminal -------------------------------------------------------------------------------


def test_a_pipe_is_nobody():
    assert terminal_ask(Terminal(io.StringIO("y\n"), io.StringIO())) is None


@pytest.fixture
def tty():
    """Both ends of a pseudo-terminal: what the program reads, and where a person types."""
    master, slave = os.openpty()
    with os.fdopen(slave, "r") as lines:
        yield lines, master
    os.close(master)


@pytest.mark.parametrize(("typed", "yes"), [(b"y\n", 1), (b"YES\n", 1), (b"n\n", 0), (b"\n", 0)])
def test_a_person_types(tty, typed, yes):
    lines, person = tty
    out = io.StringIO()
    ask = terminal_ask(Terminal(lines, out))
    assert ask is not None
    os.write(person, typed)
    assert ask("move? ", threading.Event()) is bool(yes) and out.getvalue() == "move? "


def test_waiting_for_a_person_ends_with_the_run(tty):
    lines, _ = tty
    cancel = threading.Event()
    threading.Timer(0.1, cancel.set).start()
    with pytest.raises(Refused):
        confirmation = Confirmation("always", Terminal(lines, io.StringIO()).ask)
        confirmation.require(call("move"), "move()", cancel)


@pytest.mark.long
@pytest.mark.render
def test_the_simulated_robot_does_not_move_before_the_yes():
    import habilis

    moments = []

    def ask(question, cancel):
        state = session.robot.state()
        moments.append((question, session.robot.clock(), state.joint_pos.copy(), state.gripper.width_m))
        return len(moments) > 1

    cfg = habilis.compose("run", ["skills.confirm=always", "run_dir=null", "video.enabled=false"])
    with habilis.build(cfg, ask=ask) as session:
        executor, start_s = session.agent.executor, session.robot.clock()
        (declined,) = executor.run([call("close_gripper")])
        assert declined.reason == "declined" and session.robot.clock() == start_s
        (done,) = executor.run([call("close_gripper")])
        assert done.reason != "declined" and session.robot.clock() > start_s
    assert [m[1] for m in moments] == [start_s, start_s]
    assert (moments[0][2] == moments[1][2]).all() and moments[0][3] == moments[1][3]
    assert "close_gripper(" in moments[0][0]
