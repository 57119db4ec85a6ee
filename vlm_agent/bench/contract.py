"""What a benchmark is: where its rows lie, how they become questions, how answers score and add up.

A benchmark is one `Benchmark` in `vlm_agent/bench/suite/`, listed in `registry.py`; `docs/benchmarks.md`
shows how to add one. Scorers are pure functions of (answer, question) and never read anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vlm_agent.bench.aggregate import Aggregate

Record = Mapping[str, Any]
"""One row as its file has it, with `_file` (stem), `_index` (in the file), `_row` (overall) and `_folder`."""

Picture = Path | bytes
"""A picture: its file, or its encoded bytes."""


@dataclass(frozen=True)
class Question:
    """One row of a benchmark.

    Attributes:
        id: The benchmark's own row id.
        prompt: What a planner is asked, as the benchmark words it; "" where only answers are known.
        answer: Ground truth, JSON-able.
        category: Task or category, for the tables.
        images: Pictures that belong to the prompt, in order.
        choices: Options of a choice question.
        tools: Functions that the answer may call, as the benchmark describes them.
        group: Rows of one group are scored together, or are not independent (one picture, one pair).
        facts: What scorers need beyond the answer (a mask's file, a kind), JSON-able but for paths.
        aliases: Other ids by which the row is known.
    """

    id: str
    prompt: str
    answer: Any
    category: str = ""
    images: tuple[Picture, ...] = ()
    choices: tuple[str, ...] = ()
    tools: tuple[Mapping[str, Any], ...] = ()
    group: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mark:
    """The score of one answer.

    Attributes:
        score: Usually 0 or 1; None takes the row out of the denominator (its parts still add to the totals).
        parsed: What was read in the answer, JSON-able; None if nothing could be.
        is_parsed: Whether the answer could be read at all.
        parts: Further figures of the row, summed or averaged by the aggregate.
        note: Why not, in a few words.
    """

    score: float | None
    parsed: Any = None
    is_parsed: bool = True
    parts: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


UNPARSED = Mark(0.0, None, False)


@dataclass(frozen=True)
class Scorer:
    """One way to score.

    Attributes:
        score: (answer, question) -> mark; the answer is text, or for `takes_calls` also a list of calls.
        version: Of the official code that it follows, or of ours; kept in every result.
        about: The rule in a sentence.
        missing: What rows without an answer are: wrong, or left out of the denominator.
        ill_posed: What rows without question or ground truth are when others' answers are scored; in a
            run of our own they are always wrong.
        needs: Facts of a question without which it can't be used, with what to do then.
        asks: Whether rows can be asked for it; else it only scores predictions.
    """

    score: Callable[[Any, Question], Mark]
    version: str
    about: str
    missing: Literal["wrong", "left_out"] = "wrong"
    ill_posed: Literal["wrong", "left_out"] = "wrong"
    needs: Mapping[str, str] = field(default_factory=dict)
    asks: bool = True


@dataclass(frozen=True)
class Source:
    """Where the rows are.

    Attributes:
        hub: Data set on the Hugging Face hub, "" if it is on none.
        revision: Its revision.
        configs: Configurations of the data set, () for the default one.
        split: Split that is scored.
        files: Glob patterns of the official layout below `data=`; all that match are read.
        home: Where to get the data by hand.
    """

    hub: str = ""
    revision: str = "main"
    configs: tuple[str, ...] = ()
    split: str = "test"
    files: tuple[str, ...] = ()
    home: str = ""


@dataclass(frozen=True)
class Benchmark:
    """A benchmark, declared.

    Attributes:
        name: As on the command line.
        title: As its authors write it.
        source: Where its rows are.
        question: Record -> question; None drops a record.
        scorers: Ways to score; `strict` is one of them.
        default: Which of them is used.
        aggregate: How marks add up, by scorer if it is a mapping.
        licence: Of the data.
        citation: Authors, year, arXiv id.
        verified: Whether the rule was read in the official code, or reproduces published figures.
        of_answer: (id, answer) of an `answers.json` -> question.
        prepare: Reads companion files of a folder once; what it returns is in every record's `_extra`.
        takes_calls: Whether answers are tool calls.
        is_judged: Whether a model must judge answers before they can be scored (`scorers/rubric.py`).
        published: Keys of `PUBLISHED` tables that belong to it.
        unit: What the score is: a fraction (shown in %), or points.
        is_error: Whether lower is better.
        chance: (question) -> expected score of a random guess, None if there is none.
        original: (row id) -> the row that it is a changed version of, for runs under other conditions.
        notes: What one should know before comparing.
    """

    name: str
    title: str
    source: Source
    question: Callable[[Record], Question | None]
    scorers: Mapping[str, Scorer]
    default: str
    aggregate: Aggregate | Mapping[str, Aggregate]
    licence: str
    citation: str
    verified: bool = False
    of_answer: Callable[[str, Any], Question] | None = None
    prepare: Callable[[Path], Any] | None = None
    takes_calls: bool = False
    is_judged: bool = False
    published: tuple[str, ...] = ()
    unit: Literal["fraction", "points"] = "fraction"
    is_error: bool = False
    chance: Callable[[Question], float] | None = None
    original: Callable[[str], str] | None = None
    notes: str = ""

    def scorer(self, name: str | None) -> tuple[str, Scorer]:
        """Return a scorer by name, the default one for None.

        Raises:
            ValueError: There is none of that name; lists them.
        """
        name = name or self.default
        if name not in self.scorers:
            raise ValueError(f"{self.name} has no scorer {name!r}; scorers: {', '.join(self.scorers)}")
        return name, self.scorers[name]

    def strict_of(self, scorer: str) -> str | None:
        """Return the strict reading beside a scorer, None for one that is strict."""
        if scorer.startswith("strict"):
            return None
        return next((name for name in (f"strict_{scorer}", "strict") if name in self.scorers), None)

    def aggregate_of(self, scorer: str) -> Aggregate:
        """Return how marks of a scorer add up."""
        return self.aggregate if isinstance(self.aggregate, Aggregate) else self.aggregate[scorer]

    def from_answer(self, row_id: str, answer: Any) -> Question:
        """Return the question of a plain `answers.json` entry."""
        return self.of_answer(row_id, answer) if self.of_answer else Question(row_id, "", answer)


@dataclass(frozen=True)
class Scored:
    """A question with its mark; None where there was no answer to mark."""

    question: Question
    mark: Mark

    @property
    def group(self) -> str:
        """The cluster of the row for intervals: its group, else itself."""
        return self.question.group or self.question.id


def counted(scored: Sequence[Scored]) -> list[Scored]:
    """Return the rows that are in the denominator."""
    return [s for s in scored if s.mark.score is not None]
