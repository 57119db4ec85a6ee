"""Choosing tools and filling their parameters: MetaTool, Seal-Tools, m&m's."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from vlm_agent.bench.aggregate import FloatArray, Sums, f1
from vlm_agent.bench.contract import Mark, Question

# ---- MetaTool -----------------------------------------------------------------------------------


def names_said(output: str, known: Sequence[str]) -> list[str]:
    """Return which of the known tools a text names, whole names only; longer names win over their parts."""
    found, text = [], output
    for name in sorted(known, key=len, reverse=True):
        pattern = rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])"
        if re.search(pattern, text, re.IGNORECASE):
            found.append(name)
            text = re.sub(pattern, " ", text, flags=re.IGNORECASE)
    return found


def selection(output: str, question: Question) -> Mark:
    """Right iff the tools named are the wanted ones, all and no other (MetaTool's correct selection rate)."""
    gold = {str(name) for name in _listed(question.answer)}
    known = list(dict.fromkeys([*question.choices, *gold]))
    said = names_said(output, known)
    wants_none = gold in (set(), {"None"})
    if wants_none:
        return Mark(float(not [s for s in said if s != "None"]), said)
    return Mark(float(set(said) == gold), said, bool(said))


def strict_selection(output: str, question: Question) -> Mark:
    """The same for a bare, comma-separated list of names, exactly as spelled."""
    said = {part.strip() for part in output.split(",") if part.strip()}
    gold = {str(name) for name in _listed(question.answer)}
    return Mark(float(said == gold), sorted(said), bool(said))


def _listed(answer: Any) -> list[Any]:
    return list(answer) if isinstance(answer, list | tuple) else [answer]


# ---- Seal-Tools ---------------------------------------------------------------------------------

_START = re.compile(r'\[\s*\{\s*"api"', re.DOTALL)


def seal_calls(output: Any) -> list[Any] | None:
    """Read a plan as the official script does: from ``[{"api"`` to its bracket, single quotes turned double.

    So an apostrophe in a value makes the whole answer unreadable, and it must mention api, parameters and
    responses.
    """
    if not isinstance(output, str):
        return output if isinstance(output, list) else None
    text = output.replace("'", '"').replace("\n", "")
    if not (start := _START.search(text)):
        return None
    depth = 0
    for end in range(start.start(), len(text)):
        depth += {"[": 1, "]": -1}.get(text[end], 0)
        if depth == 0:
            break
    else:
        return None  # no closing bracket
    block = text[start.start() : end + 1]
    if not all(word in block for word in ("api", "parameters", "responses")):
        return None
    try:
        value = json.loads(block)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, list) else None


def seal(output: Any, question: Question) -> Mark:
    """Count right tools and parameters; scores are micro-averaged over rows (Wu et al., 2024).

    A predicted tool that occurs in the gold calls is right however often it is predicted, and its parameters
    are compared, as text, with the first gold call of that tool only.
    """
    return _seal_counts(seal_calls(output), question.answer)


def strict_seal(output: Any, question: Question) -> Mark:
    """The same, each gold call matched at most once, and only bare JSON."""
    if isinstance(output, str):
        try:
            output = json.loads(output)
        except (ValueError, RecursionError):
            output = None
    return _seal_counts(output if isinstance(output, list) else None, question.answer, once=True)


def _seal_counts(said: list[Any] | None, gold: Sequence[Mapping[str, Any]], once: bool = False) -> Mark:
    counts = Counter(gold_tools=len(gold), gold_parameters=sum(len(g["parameters"]) for g in gold))
    left = list(gold)
    for call in said or []:
        if not isinstance(call, Mapping) or "api" not in call:
            continue
        parameters = call.get("parameters")
        parameters = parameters if isinstance(parameters, Mapping) else {}
        counts["tools"] += 1
        counts["parameters"] += len(parameters)
        wanted = next((g for g in left if g["api"] == call["api"]), None)
        if wanted is None:
            continue
        if once:
            left.remove(wanted)
        counts["right_tools"] += 1
        values = wanted["parameters"]
        counts["right_parameters"] += sum(
            k in values and str(v) == str(values[k]) for k, v in parameters.items()
        )
    counts["format"] = int(said is not None)
    exact = counts["right_tools"] == counts["tools"] == counts["gold_tools"]
    exact &= counts["right_parameters"] == counts["parameters"] == counts["gold_parameters"]
    return Mark(
        float(exact and said is not None), said, said is not None, {k: float(v) for k, v in counts.items()}
    )


def tool_f1(sums: Sums) -> FloatArray:
    """Micro F1 of the tools."""
    return f1(sums, "right_tools", "tools", "gold_tools")


def parameter_f1(sums: Sums) -> FloatArray:
    """Micro F1 of the parameters."""
    return f1(sums, "right_parameters", "parameters", "gold_parameters")


# ---- m&m's --------------------------------------------------------------------------------------

_NODE = re.compile(r"<node-(\d+)>")


def mnms(output: Any, question: Question) -> Mark:
    """Compare a plan, nodes of ``{"id", "name", "args"}``, with the gold one (Ma et al., 2024).

    Tool F1 and argument-name F1 of multisets, F1 of the edges ``<node-i>``, plan accuracy (the same tools in
    the same order) and normalised edit distance. The score is the row's tool F1.
    """
    said, gold = _plan(output), _plan(question.answer)
    if said is None or gold is None:
        return Mark(0.0, None, False, {"edit_distance": 1.0})
    tools, wanted = [n["name"] for n in said], [n["name"] for n in gold]
    parts = {
        "tool_f1": multiset_f1(tools, wanted),
        "argument_f1": multiset_f1(_arguments(said), _arguments(gold)),
        "edge_f1": multiset_f1(_edges(said), _edges(gold)),
        "plan": float(tools == wanted),
        "edit_distance": edit_distance(tools, wanted) / max(len(tools), len(wanted), 1),
    }
    return Mark(parts["tool_f1"], said, parts=parts)


def strict_mnms(output: Any, question: Question) -> Mark:
    """Right iff tools, argument names and edges are all those of the gold plan."""
    mark = mnms(output, question)
    right = all(mark.parts.get(k) == 1 for k in ("tool_f1", "argument_f1", "edge_f1", "plan"))
    return Mark(float(right), mark.parsed, mark.is_parsed, mark.parts)


def _plan(value: Any) -> list[dict[str, Any]] | None:
    if isinstance(value, str):
        match = re.search(r"[\[{].*[\]}]", value, re.DOTALL)
        try:
            value = json.loads(match[0]) if match else None
        except (ValueError, RecursionError):
            return None
    nodes = value.get("nodes") if isinstance(value, Mapping) else value
    if not isinstance(nodes, list) or not all(isinstance(n, Mapping) and "name" in n for n in nodes):
        return None
    return [dict(n) for n in nodes]


def _arguments(plan: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [(n["name"], key) for n in plan for key in (n.get("args") or {})]


def _edges(plan: Sequence[Mapping[str, Any]]) -> list[Any]:
    names = {str(n.get("id", k)): n["name"] for k, n in enumerate(plan)}
    return [
        (names.get(source), node["name"])
        for node in plan
        for value in (node.get("args") or {}).values()
        for source in _NODE.findall(str(value))
    ]


def multiset_f1(said: Sequence[Any], gold: Sequence[Any]) -> float:
    """F1 of two multisets; 1 if both are empty."""
    if not said and not gold:
        return 1.0
    common = sum((Counter(said) & Counter(gold)).values())
    return 2 * common / (len(said) + len(gold))


def edit_distance(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Levenshtein distance of two sequences."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
