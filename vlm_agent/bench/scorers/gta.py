"""GTA (Wang et al., 2024, arXiv 2407.08713), end to end and step by step, as its `gta_bench.py` scores.

An answer is text, ``{"answer", "calls"}``, or a list of the planner's messages: OpenAI's, with ``tool_calls``
or ``content``, and ``error`` where a step failed. Answers that the original compares by sentence embeddings
are in no denominator here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vlm_agent.bench.aggregate import FloatArray, Sums
from vlm_agent.bench.contract import Mark, Question
from vlm_agent.bench.scorers.calls import calls_of

KINDS: Mapping[str, tuple[str, ...]] = {
    "perception": ("OCR", "ImageDescription", "RegionAttributeDescription", "TextToBbox"),
    "operation": ("DrawBox", "AddText", "GoogleSearch"),
    "logic": ("Calculator", "Solver", "Plot", "MathOCR", "CountGivenObject"),
    "creativity": ("TextToImage", "ImageStylization"),
}
"""Tools by category, as in the code (the paper's figure has two of logic's under perception)."""
EPSILON = 1e-5  # the original's, in precision and F1


@dataclass(frozen=True)
class Step:
    """One message of a planner: a call (of which only the first counts), or text.

    Attributes:
        tool: Name of the tool, "" for text.
        arguments: Of the call.
        text: What was said.
        is_error: The step failed.
    """

    tool: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""
    is_error: bool = False


def steps_of(output: Any) -> list[Step]:
    """Read an answer; [] where there is none."""
    if isinstance(output, Mapping) and "answer" in output:
        calls = [Step(name, arguments) for name, arguments in calls_of(output.get("calls") or []) or []]
        return [*calls, Step(text=str(output["answer"]))]
    if isinstance(output, list | tuple | Mapping):
        return [_step(m) for m in ([output] if isinstance(output, Mapping) else output)]
    return [Step(text=str(output))] if str(output).strip() else []


def _step(message: Any) -> Step:
    if not isinstance(message, Mapping):
        return Step(text=str(message))
    is_error = "error" in message
    if message.get("tool_calls"):
        calls = calls_of(message["tool_calls"][:1]) or [("?", {})]  # unreadable: a call of no tool
        return Step(*calls[0], is_error=is_error)
    return Step(text=str(message.get("content") or ""), is_error=is_error)


# ---- the answer ---------------------------------------------------------------------------------


def gold_of(question: Question) -> Mapping[str, Any]:
    """Return the white and the black list, {} where the row has another kind of answer."""
    answer = question.answer
    if isinstance(answer, Mapping):
        return answer
    return {} if isinstance(answer, list) else {"whitelist": [[answer]]}


def is_right(text: str, gold: Mapping[str, Any]) -> bool:
    """Whether every group of the white list has an alias in a text, as a word, and the black list none."""
    whites, blacks = gold.get("whitelist") or [], gold.get("blacklist") or []
    if not all(_aliases(group).search(text) for group in whites):
        return False
    return not (blacks and _aliases([alias for group in blacks for alias in group]).search(text))


def _aliases(group: Sequence[Any]) -> re.Pattern[str]:
    return re.compile(r"\b(?:" + "|".join(re.escape(str(a)) for a in group) + r")\b", re.IGNORECASE)


# ---- end to end ---------------------------------------------------------------------------------


def end_to_end(output: Any, question: Question) -> Mark:
    """AnsAcc of the last message; tools by category: a gold call is right if its tool was called at all."""
    steps, gold = steps_of(output), gold_of(question)
    used = [step.tool for step in steps if step.tool]
    wanted = question.facts.get("tools", ())
    said = steps[-1].text if steps else ""
    parts = {}
    for kind, tools in KINDS.items():
        here = [name for name in wanted if name in tools]
        parts |= {
            f"right_{kind}": float(sum(name in used for name in here)),
            f"used_{kind}": float(sum(name in tools for name in used)),
            f"gold_{kind}": float(len(here)),
        }
    score = float(bool(said) and is_right(said, gold)) if gold else None
    return Mark(score, said[:200], bool(said.strip()), parts, "" if gold else "no objective answer")


def strict(output: Any, question: Question) -> Mark:
    """Nothing but the words of the white list; of the tools as often as they are needed."""
    mark = end_to_end(output, question)
    steps, gold = steps_of(output), gold_of(question)
    used = Counter(step.tool for step in steps if step.tool and not step.is_error)
    both = used & Counter(question.facts.get("tools", ()))
    right = {f"right_{kind}": float(sum(both[name] for name in tools)) for kind, tools in KINDS.items()}
    rest = steps[-1].text if steps else ""
    for group in gold.get("whitelist") or []:
        rest = _aliases(group).sub("", rest)
    score = None if mark.score is None else float(mark.score == 1 and not re.search(r"\w", rest))
    return Mark(score, mark.parsed, mark.is_parsed, {**mark.parts, **right}, mark.note)


def kind_f1(sums: Sums, kind: str) -> FloatArray:
    """F1 of a category with the original's epsilons; precision may pass 1."""
    right = sums.total(f"right_{kind}")
    precision = right / (sums.total(f"used_{kind}") + EPSILON)
    recall = sums.ratio(f"right_{kind}", f"gold_{kind}")
    return np.asarray(2 * precision * recall / (precision + recall + EPSILON), dtype=np.float64)


# ---- step by step -------------------------------------------------------------------------------


def step_by_step(output: Any, question: Question) -> Mark:
    """Compare each step, made after the gold ones before it, with the gold one.

    Steps are compared as far as both go, and the others are in no denominator, as in the original; a row
    without any step is wrong. The row's score is the share of its calls whose tool and arguments are right.
    """
    steps = steps_of(output)
    gold = question.facts["steps"]
    return _compared(steps, gold[: len(steps)] if steps else gold, question)


def strict_steps(output: Any, question: Question) -> Mark:
    """The same over all gold steps; one that failed is wrong in all, and each final answer is a step."""
    steps = [Step("?", is_error=True) if step.is_error else step for step in steps_of(output)]
    gold = question.facts["steps"]
    mark = _compared(steps, gold, question)
    return Mark(mark.score, mark.parsed, mark.is_parsed, {**mark.parts, "steps": float(len(gold))})


def _compared(steps: Sequence[Step], gold: Sequence[Mapping[str, Any]], question: Question) -> Mark:
    lists = gold_of(question)
    counts: Counter[str] = Counter(calls=sum("tool" in g for g in gold), answers=int(bool(lists)))
    counts["steps"] = counts["calls"] + bool(question.answer)  # in the original: rows with an answer
    for step, wanted in zip(steps, gold, strict=False):
        if bool(step.tool) != ("tool" in wanted):
            continue
        counts["aligned"] += not step.is_error
        if not step.tool:
            counts["right_answers"] += bool(lists) and is_right(step.text, lists)
        elif step.tool == wanted["tool"]:
            counts["tools"] += 1
            counts["arguments"] += _same(step.arguments, wanted["arguments"])
    score = counts["arguments"] / counts["calls"] if counts["calls"] else 0.0
    said = [step.tool or step.text[:80] for step in steps]
    return Mark(score, said, bool(steps), {key: float(value) for key, value in counts.items()})


def _same(said: Mapping[str, Any], gold: Mapping[str, Any]) -> bool:
    """Whether arguments are equal; a picture may be named by its full path, as the original does."""
    return said.keys() == gold.keys() and all(
        said[key] == value
        or (isinstance(value, str) and "/" in value and str(said[key]).endswith(f"/{value}"))
        for key, value in gold.items()
    )
