"""From grammar rules to syntax: one method per alias of `grammar.lark`.

A method takes what the rule's children were built to (lexemes and syntax, in order) and returns
syntax, or None to reject this derivation (a "table" can't be put anywhere).
"""

from __future__ import annotations

from vlm_agent.scripted.build_questions import QuestionRules
from vlm_agent.scripted.build_steps import StepRules


class Builder(StepRules, QuestionRules):
    """All rules; `QuestionRules` brings those of descriptions."""
