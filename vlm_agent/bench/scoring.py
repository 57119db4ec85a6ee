"""Marks of all rows, and what they amount to: the figures that every benchmark command reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vlm_agent.bench.aggregate import Figures, figures
from vlm_agent.bench.contract import Benchmark, Mark, Question, Scored, Scorer, counted
from vlm_agent.bench.predictions import Output

LEFT_OUT = Mark(None, None, False)
WRONG = Mark(0.0, None, False)


def check_needs(scorer: Scorer, questions: Sequence[Question], outputs: Mapping[str, Output]) -> None:
    """Check that a scorer has what it needs of the rows that it will score.

    Raises:
        ValueError: A row lacks a fact; says what to do.
    """
    for fact, advice in scorer.needs.items():
        lacking = [
            q.id for q in questions if q.id in outputs and fact not in q.facts and not _is_word(q.answer)
        ]
        if lacking:
            raise ValueError(f"row {lacking[0]!r} (and {len(lacking) - 1} more) has no {fact}: {advice}")


def _is_word(answer: Any) -> bool:
    return isinstance(answer, str) and answer.strip().lower() in ("yes", "no", "")


def mark_all(
    questions: Sequence[Question],
    outputs: Mapping[str, Output],
    scorer: Scorer,
    *,
    is_own_run: bool = False,
) -> list[Scored]:
    """Mark every row.

    Args:
        questions: The rows.
        outputs: What was said, by row id.
        scorer: How to score.
        is_own_run: Whether the planner was asked every row, so that none may leave the denominator.

    Returns:
        One entry per row but for void ones, in the order of `questions`.
    """
    scored = []
    for question in questions:
        output = outputs.get(question.id)
        if output is None:
            left_out = scorer.missing == "left_out" and not is_own_run
            mark = LEFT_OUT if left_out else _missing(scorer, question)
            scored.append(Scored(question, replace(mark, note="missing")))
        elif output.is_void:
            continue
        elif question.answer in ("", None):
            left_out = scorer.ill_posed == "left_out" and not is_own_run
            scored.append(Scored(question, replace(LEFT_OUT if left_out else WRONG, note="ill posed")))
        else:
            scored.append(Scored(question, scorer.score(_as_text(output.value), question)))
    return scored


def _missing(scorer: Scorer, question: Question) -> Mark:
    """Mark a row without an answer as the scorer marks an empty one."""
    return scorer.score("", question)


def _as_text(value: Any) -> Any:
    return "" if value is None else value


def summary_of(
    benchmark: Benchmark, scorer_name: str, *repetitions: Sequence[Scored], void: int = 0, seed: int = 0
) -> dict[str, Any]:
    """Return the figures of marks (of each repetition), JSON-able; keys as in docs/benchmarks.md."""
    scorer = benchmark.scorers[scorer_name]
    result = figures(*repetitions, aggregate=benchmark.aggregate_of(scorer_name), seed=seed)
    scored = [s for rows in repetitions for s in rows]
    inside = counted(scored)
    return {
        "benchmark": benchmark.name,
        "scorer": scorer_name,
        "scorer_version": scorer.version,
        "verified": benchmark.verified,
        "score": result.score,
        "n": result.n,
        "ci95": _ci(result),
        "interval": result.interval,
        "void": void,
        "missing": sum(s.mark.note == "missing" for s in scored),
        "left_out": len(scored) - len(inside),
        "unparsed": sum(not s.mark.is_parsed and s.mark.note != "missing" for s in inside),
        "unit": benchmark.unit,
        "lower_is_better": benchmark.is_error,
        "totals": result.totals,
        "categories": result.categories,
    }


def _ci(result: Figures) -> list[float] | None:
    return list(result.ci95) if result.ci95 is not None else None


def score_outputs(
    benchmark: Benchmark,
    scorer_name: str | None,
    questions: Sequence[Question],
    outputs: Mapping[str, Output],
    *,
    is_own_run: bool = False,
    seed: int = 0,
) -> tuple[dict[str, Any], list[Scored]]:
    """Score outputs under a scorer, with the strict reading beside.

    Returns:
        The figures, and the marks under the scorer.

    Raises:
        ValueError: No such scorer, or rows lack what it needs.
    """
    name, scorer = benchmark.scorer(scorer_name)
    check_needs(scorer, questions, outputs)
    scored = mark_all(questions, outputs, scorer, is_own_run=is_own_run)
    void = sum(q.id in outputs and outputs[q.id].is_void for q in questions)
    summary = summary_of(benchmark, name, scored, void=void, seed=seed)
    if (other := benchmark.strict_of(name)) is not None:
        strict = benchmark.scorers[other]
        if not any(fact not in q.facts for fact in strict.needs for q in questions if q.id in outputs):
            marks = mark_all(questions, outputs, strict, is_own_run=is_own_run)
            beside = summary_of(benchmark, other, marks, void=void, seed=seed)
            summary["strict"] = {key: beside[key] for key in ("score", "n", "ci95", "unparsed", "totals")}
    return summary, scored


def mark_row(scored: Scored, output: Output | None) -> dict[str, Any]:
    """Return one row's mark, JSON-able."""
    mark, question = scored.mark, scored.question
    return {
        "id": question.id,
        "category": question.category,
        "score": mark.score,
        "parsed": jsonable_or_text(mark.parsed),
        "is_parsed": mark.is_parsed,
        "parts": dict(mark.parts),
        "note": mark.note,
        "output": output.value if output else None,
    }


def jsonable_or_text(value: Any) -> Any:
    """Return a value if JSON can carry it, else its text."""
    try:
        json.dumps(value, allow_nan=False)
        return value
    except (TypeError, ValueError):
        return str(value)
