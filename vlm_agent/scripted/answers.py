"""Every question that is not about space alone: who answers it, from one look or by moving the robot."""

from __future__ import annotations

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.program import Steps
from vlm_agent.scripted.questions import Answerer
from vlm_agent.scripted.run import Run
from vlm_agent.scripted.sights import Looker
from vlm_agent.scripted.syntax import Question
from vlm_agent.scripted.weighing import Weigher


def answered(run: Run, question: Question) -> Steps[str]:
    """Return the answer to a question; to weigh, the robot moves.

    Raises:
        Verdict: It can't be answered here.
    """
    if isinstance(question, ast.Weigh):
        return (yield from Weigher(run).answer(question))
    if isinstance(question, ast.Sight | ast.Changed):
        return (yield from _looked(run, question))
    return (yield from Answerer(run).answer(question))


def _looked(run: Run, question: ast.Sight | ast.Changed) -> Steps[str]:
    """Answer from pictures, once for each look: what was checked need not be asked again."""
    key = (run.scene.image, question)
    if key not in run.looked:
        looker = Looker(run)
        is_sight = isinstance(question, ast.Sight)
        words = yield from (looker.sight(question) if is_sight else looker.changed(question))
        run.looked[key] = words, run.mentioned
    words, run.mentioned = run.looked[key]
    return words


def checked(run: Run, question: Question) -> Steps[None]:
    """Check that a question makes sense in the scene; nothing moves.

    Raises:
        Verdict: It does not.
    """
    if isinstance(question, ast.Weigh):
        yield from Weigher(run).check(question)
    else:
        yield from answered(run, question)
