"""Readings in one short line, for traces and tests: `move the(red box) inside the(bowl)`."""

from __future__ import annotations

from typing import Any

from vlm_agent.scripted import syntax as ast

_QUESTIONS = (
    ast.Holds, ast.Ask, ast.Which, ast.HowFar, ast.Difference, ast.Fits, ast.CompareCounts,
    ast.Weigh, ast.Sight, ast.Changed,
)  # fmt: skip


def show(node: Any) -> str:
    """Return a compact line for a reading, step, description or constraint."""
    if isinstance(node, ast.Description):
        return _description(node)
    if isinstance(node, ast.Target):
        return _target(node)
    if isinstance(node, ast.Task):
        return "; ".join(show(step) for step in node.steps)
    if isinstance(node, ast.Move):
        return f"{node.how or 'move'} {_all(node.objects)} {show(node.target)}"
    if isinstance(node, ast.If):
        branches = [" & ".join(show(s) for s in steps) or "nothing" for steps in (node.then, node.otherwise)]
        return f"if <{show(node.condition)}> then {branches[0]} else {branches[1]}"
    if isinstance(node, ast.Arrange):
        sign = "" if node.is_ascending else "-"
        by = "listed" if node.is_listed else f"{sign}{node.key}" if node.key else "any"
        return f"row {node.direction} by {by}: {_all(node.objects)}"
    if isinstance(node, ast.Unclear):
        return f"ask: {node.question}"
    if isinstance(node, ast.Forbid):
        return f"forbid {show(node.step)}"
    if isinstance(node, ast.Empty):
        return f"empty {show(node.container)} {show(node.target)}"
    if isinstance(node, ast.Stack) and node.is_ordered:
        return f"stack from below {_all(node.objects)}"
    if isinstance(node, (ast.Stack, ast.Swap)):
        return f"{type(node).__name__.lower()} {_all(node.objects)}"
    if isinstance(node, ast.Unsupported):
        return f"unsupported {node.verb}"
    if isinstance(node, ast.Gesture):
        return node.name
    if isinstance(node, ast.SetOpening):
        by = node.width_m is None
        return f"open {node.tool} {'by' if by else 'to'} {1e3 * (node.change_m or node.width_m or 0.0):g} mm"
    if isinstance(node, ast.PickUp) and node.tool:
        return f"pickup {show(node.object)} with {node.tool}"
    if isinstance(node, ast.Insert):
        what = f"peg {show(node.object)}" if node.is_peg else show(node.object)
        hole = f"{node.hole} hole".strip()
        return f"insert {what} into {hole}" + (f" of {show(node.into)}" if node.into else "")
    if isinstance(node, ast.Regrasp):
        return f"regrasp {show(node.object)} {node.how}"
    if isinstance(node, ast.HandOver):
        return f"handover {show(node.object)}"
    if isinstance(node, (ast.PickUp, ast.Release, ast.LookAt, ast.Mention, ast.Count, ast.Exists, ast.Where)):
        return f"{type(node).__name__.lower()} {show(node.object)}"
    return _question(node) if isinstance(node, _QUESTIONS) else _constraint(node)


def say(node: Any) -> str:
    """Return a reading in the user's own words where it is a move or a pick; else as `show` does."""
    if isinstance(node, ast.Task):
        return ", then ".join(say(step) for step in node.steps)
    if isinstance(node, ast.Move):
        target = node.target
        anchors = f" {_said(target.anchors)}" if target.anchors else ""
        distance = f" by {target.distance_m:g} m" if target.distance_m else ""
        frame = ", as the robot sees it" if target.frame == "robot" else ""
        relation = target.relation.replace("_", " ")
        relation = relation if anchors else relation.removesuffix(" of")
        verb = node.how or "bring"
        return f"{verb} {_said(node.objects)} {relation}{anchors}{distance}{frame}"
    if isinstance(node, ast.PickUp):
        return f"pick up {_said((node.object,))}" + (f" with the {node.tool}" if node.tool else "")
    return show(node)


def _said(items: tuple[ast.Description, ...]) -> str:
    return " and ".join(item.text or show(item) for item in items)


def _all(items: tuple[ast.Description, ...]) -> str:
    return " & ".join(show(item) for item in items)


def _description(node: ast.Description) -> str:
    if node.landmark:
        return node.landmark
    if node.is_pronoun:
        return node.determiner
    words = [show(c) for c in node.constraints]
    if node.is_one:
        words.append("one")
    count = f"{node.count} " if node.count else ""
    determiner = "" if node.determiner == "none" else node.determiner
    return f"{determiner}({count}{' '.join(words)})"


def _target(node: ast.Target) -> str:
    anchors = f" {_all(node.anchors)}" if node.anchors else ""
    distance = f"={node.distance_m:g}m" if node.distance_m else ""
    return f"{node.relation}{_frame(node.frame)}{distance}{anchors}"


def _frame(frame: ast.Frame) -> str:
    return "/robot" if frame == "robot" else ""


def _question(node: Any) -> str:
    if isinstance(node, ast.Holds):
        return f"holds {show(node.subject)}: {' '.join(show(c) for c in node.predicate)}"
    if isinstance(node, ast.Ask):
        return f"ask {node.attribute} {show(node.object)}"
    if isinstance(node, ast.Which):
        return f"which {show(node.object)}" + (f" among {_all(node.among)}" if node.among else "")
    if isinstance(node, ast.CompareCounts):
        return f"{node.relation} {show(node.a)} than {show(node.b)}"
    if isinstance(node, ast.HowFar):
        return f"{'gap' if node.kind == 'gap' else 'howfar'} {show(node.a)} & {show(node.b)}"
    if isinstance(node, ast.Difference):
        return f"difference {node.key} {show(node.a)} & {show(node.b)}"
    if isinstance(node, ast.Weigh):
        word = "" if node.kind == "each" else f" {node.kind}{'' if node.most else ' lighter'}"
        limit = f" {node.limit_kg:g} kg" if node.kind == "over" else ""
        return f"weigh{word} {_all(node.objects)}{limit}"
    if isinstance(node, ast.Sight):
        return f"{node.kind} {show(node.object)}" + (f" by {show(node.by)}" if node.by else "")
    if isinstance(node, ast.Changed):
        return "changed" + (f" {show(node.object)}" if node.object else "")
    what = "something" if node.object is None else show(node.object)
    return f"{'not-' if node.is_negated else ''}fits {what} {show(node.target)}"


def _constraint(node: Any) -> str:
    negated = "not-" if getattr(node, "negated", False) else ""
    if isinstance(node, ast.Colored):
        return negated + "|".join(node.names)
    if isinstance(node, ast.Shaped):
        return negated + ("container" if node.is_container else "|".join(node.names))
    if isinstance(node, ast.Degree):
        form = {"positive": "", "comparative": "er", "superlative": "est"}[node.form]
        sign = "" if node.most else "-"
        rank = f"#{node.rank}" if node.rank > 1 else ""
        anchor = f"[{show(node.anchor)}]" if node.anchor else ""
        return f"{sign}{node.key}{form}{rank}{_frame(node.frame)}{anchor}"
    if isinstance(node, ast.Related):
        return f"[{negated}{node.relation}{_frame(node.frame)} {_all(node.anchors)}]"
    if isinstance(node, ast.Compared):
        reference = f" to {show(node.reference)}" if node.reference else ""
        return f"[{'' if node.most else '-'}{node.key}er{reference} than {show(node.anchor)}]"
    if isinstance(node, ast.SameAs):
        return f"[same {node.attribute} as {show(node.anchor) if node.anchor else 'each other'}]"
    if isinstance(node, ast.State):
        return negated + node.name
    if isinstance(node, ast.Except):
        return f"[except {show(node.description)}]"
    if isinstance(node, ast.Either):
        return f"[{' or '.join(show(d) for d in node.descriptions)}]"
    if isinstance(node, ast.Other):
        return "other"
    return f"?{node.word}"
