"""What grammar rules hand to one another while syntax is built, and helpers to take it apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from vlm_agent.scripted import syntax as ast
from vlm_agent.scripted.syntax import Constraint, Degree, Description
from vlm_agent.scripted.words import Lexeme

Kids = Sequence[Any]
T = TypeVar("T")
_CONSTRAINTS = get_args(Constraint)
STEPS = get_args(ast.Step)


@dataclass(frozen=True)
class Group:
    """Coordinated descriptions: "A, B and C"."""

    items: tuple[Description, ...]


@dataclass(frozen=True)
class Constraints:
    """Constraints of adjectives or of what follows "is"."""

    items: tuple[Constraint, ...]


@dataclass(frozen=True)
class Posts:
    """Constraints that follow a noun, and what completes a "nearest" or "second" before it."""

    items: tuple[Constraint, ...]
    anchor: Description | Degree | None = None


@dataclass(frozen=True)
class Anchor:
    """What completes a word before the noun: "to the tray" of "the nearest ball to the tray"."""

    value: Description | Degree


@dataclass(frozen=True)
class Head:
    """A head noun."""

    constraints: tuple[Constraint, ...]
    is_plural: bool = False
    is_one: bool = False


@dataclass(frozen=True)
class Det:
    """A determiner and a number."""

    kind: ast.Determiner
    count: int | None = None
    is_bare: bool = False
    word: str = ""


def every(kids: Kids, kind: type[T] | tuple[type, ...]) -> list[T]:
    """Return the children of a kind."""
    return [k for k in kids if isinstance(k, kind)]  # pyright: ignore[reportReturnType]


def lexemes(kids: Kids, *terminals: str) -> list[Lexeme]:
    """Return the lexemes of some terminals."""
    return [k for k in kids if isinstance(k, Lexeme) and k.entry.terminal in terminals]


def constraints_of(kids: Kids) -> tuple[Constraint, ...]:
    """Return all constraints among the children, groups opened."""
    found: list[Constraint] = []
    for kid in kids:
        if isinstance(kid, (Constraints, Head)):
            found += kid.items if isinstance(kid, Constraints) else kid.constraints
        elif isinstance(kid, _CONSTRAINTS):
            found.append(kid)
    return tuple(found)


def verb(kids: Kids) -> str:
    """Return the base phrase of the first verb."""
    found = lexemes(kids, "PUT", "TAKE", "GET", "DROP", "STACK", "REMOVE")
    return found[0].entry.value if found else ""


def text_of(kids: Kids) -> str:
    """Return the words below a node, in order (descriptions keep theirs)."""
    return " ".join(
        k.phrase if isinstance(k, Lexeme) else k.text
        for k in kids
        if hasattr(k, "phrase") or hasattr(k, "text")
    )


def order(before: Sequence[Constraint], after: Sequence[Constraint] = ()) -> tuple[Constraint, ...]:
    """Put constraints in the order in which they apply.

    Filters first, then "big", then ranks before the noun ("leftmost big": nearest to the noun
    first), then ranks after it ("on the left").
    """
    both = (*before, *after)
    filters = [c for c in both if not isinstance(c, Degree)]
    positives = [c for c in both if isinstance(c, Degree) and c.form == "positive"]
    ranks_before = [c for c in before if isinstance(c, Degree) and c.form != "positive"]
    ranks_after = [c for c in after if isinstance(c, Degree) and c.form != "positive"]
    return (*filters, *positives, *reversed(ranks_before), *ranks_after)
