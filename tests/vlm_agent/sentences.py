"""Sentences of strangers, each beside a plain sentence that means the same, and whether two readings agree.

The templates are those of `sim/phrases*.yaml` and of `data/`; all were used to develop the grammar.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.parse import NotUnderstood, parse
from vlm_agent.scripted.plan import _merged
from vlm_agent.scripted.show import show

_ROOT = Path(__file__).resolve().parents[2]
_DATA = Path(__file__).parent / "data"
FILES = {
    "phrases": _ROOT / "sim" / "phrases.yaml",
    "phrases_blind": _ROOT / "sim" / "phrases_blind.yaml",
    "strangers_dev": _DATA / "phrases_strangers_dev.yaml",
    "own_dev": _DATA / "phrases_own_dev.yaml",
}
_WORDS: dict[str, Any] = yaml.safe_load(FILES["phrases"].read_text(encoding="utf-8"))
_PLAIN_RELATIONS = {
    "left_of": "left of", "right_of": "right of", "in_front_of": "in front of", "behind": "behind",
    "next_to": "next to",
}  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """A stranger's sentence, the plain one that means the same, its kind and its template."""

    text: str
    plain: str
    kind: str
    template: str


def sentences(name: str, seed: int = 0) -> Iterator[Sentence]:
    """Fill every template of a file once."""
    rng = random.Random(seed)
    data = yaml.safe_load(FILES[name].read_text(encoding="utf-8"))
    for form, templates in data["targets"].items():
        for template in templates:
            target, plain = _target(rng, form, template["text"])
            kind = rng.choice(("container", "pick_up"))
            carrier = "pick up {target}" if kind == "pick_up" else "put {target} in the {container}"
            yield Sentence(*_sentence(rng, kind, carrier, target, plain), kind, template["text"])
    for kind, templates in data["sentences"].items():
        for template in templates:
            target = f"the {_noun(rng, ('box', 'cylinder', 'sphere', 'cube', 'mug'))}"
            filled = _sentence(rng, kind, template["text"], target, target)
            yield Sentence(*filled, kind, template["text"])


def _word(rng: random.Random, kind: str, name: str) -> str:
    entry = _WORDS[kind][name]
    return rng.choice([entry["plain"]] * 3 + entry["dev"] + entry["test"])


def _noun(rng: random.Random, shapes: tuple[str, ...]) -> str:
    color = rng.choice(list(_WORDS["colors"]))
    return f"{_word(rng, 'colors', color)} {_word(rng, 'shapes', rng.choice(shapes))}"


def _relation(rng: random.Random, name: str) -> str:
    return rng.choice(_WORDS["relations"][name]["dev"] + _WORDS["relations"][name]["test"])


def _target(rng: random.Random, form: str, template: str) -> tuple[str, str]:
    noun, reference = (_noun(rng, shapes) for shapes in (("box", "sphere", "cube"), ("mug", "cylinder")))
    relation = rng.choice(("left_of", "right_of", "in_front_of", "behind"))
    text = template.format(
        object=noun,
        objects=noun + ("es" if noun.endswith(("x", "s")) else "s"),
        reference=reference,
        relation=_relation(rng, relation),
        size=_word(rng, "sizes", form) if form in _WORDS["sizes"] else "",
    )
    noun = noun if "{object" in template else "one"
    plain = {
        "relational": f"the {noun} {_PLAIN_RELATIONS[relation]} the {reference}",
        "nearest": f"the {noun} nearest to the {reference}",
        "nearest_robot": f"the {noun} nearest to you",
        "nearest_viewer": f"the {noun} nearest to me",
    }
    return text, plain.get(form, f"the {form} {noun}")


def _sentence(rng: random.Random, kind: str, template: str, target: str, plain: str) -> tuple[str, str]:
    container = _noun(rng, ("bowl", "tray") if kind == "container" else ("tray", "box"))
    reference = _noun(rng, ("mug", "box", "cylinder", "bowl"))
    relation = rng.choice(list(_PLAIN_RELATIONS))
    slots = {"target": target, "container": container, "reference": reference}
    text = template.format(relation=_relation(rng, relation), **slots)
    plain_text = {
        "container": f"put {plain} in the {container}",
        "on_top": f"put {plain} on the {container}",
        "beside": f"put {plain} {_PLAIN_RELATIONS[relation]} the {reference}",
        "pick_up": f"pick up {plain}",
    }[kind]
    return text[0].upper() + text[1:], plain_text


# ---- do they mean the same? ---------------------------------------------------------------------


def verdict(sentence: Sentence) -> str:
    """Return "right", "refused", or "wrong" with the reading."""
    try:
        readings = parse(sentence.text).readings
    except NotUnderstood:
        return "refused"
    wanted = meaning(parse(sentence.plain).readings[0], sentence.kind)
    if any(meaning(reading, sentence.kind) == wanted for reading in readings[:6]):
        return "right"
    return f"wrong: {show(readings[0])}"


def meaning(reading: Any, kind: str) -> Any:
    """Return what a reading asks for, without how it was said."""
    merged = _merged(reading)
    if not isinstance(merged, ast.Task):
        return show(merged)
    steps = merged.steps
    if len(steps) == 2 and isinstance(steps[0], ast.Mention):  # "the ball: lift it"
        steps = (_of(steps[1], steps[0].object),)
    return tuple(_step(step, kind) for step in steps)


def _of(step: ast.Step, what: ast.Description) -> ast.Step:
    if isinstance(step, ast.Move) and step.objects == (ast.IT,):
        return replace(step, objects=(what,))
    return replace(step, object=what) if isinstance(step, ast.PickUp) and step.object == ast.IT else step


def _step(step: ast.Step, kind: str) -> Any:
    if isinstance(step, ast.PickUp):
        return "pick up", _description(step.object)
    if not isinstance(step, ast.Move):
        return show(step)
    target = step.target
    relation = (
        "inside" if kind == "container" and target.relation in ("on", "to", "above") else target.relation
    )
    relation = "on" if kind == "on_top" and relation == "above" else relation
    places = tuple(_description(a) for a in target.anchors)
    return tuple(_description(d) for d in step.objects), relation, places, target.frame, target.distance_m


def _description(what: ast.Description) -> Any:
    constraints = {_constraint(c) for c in what.constraints} - {None}
    determiner = "the" if what.determiner in ("none", "a") else what.determiner
    return determiner, frozenset(constraints), what.landmark


def _constraint(c: ast.Constraint) -> Any:
    if isinstance(c, (ast.Colored, ast.Shaped)):
        return c.names, c.negated
    if isinstance(c, ast.Degree):
        anchor = _description(c.anchor) if c.anchor and c.anchor.landmark != "viewer" else None
        return c.key, c.most, c.form == "positive", c.rank, c.frame, anchor
    if isinstance(c, ast.Related):
        if c.anchors[0].landmark == "table" and c.relation in ("on", "above"):
            return None
        return c.relation, c.frame, c.negated, tuple(_description(a) for a in c.anchors)
    return show(c)
