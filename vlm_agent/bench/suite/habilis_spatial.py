"""habilis_spatial: our own questions on generated scenes, with exact answers (`sim/spatial/`)."""

from __future__ import annotations

from vlm_agent.bench.aggregate import MACRO
from vlm_agent.bench.contract import Benchmark, Question, Record, Scorer, Source
from vlm_agent.bench.scorers import spatial
from vlm_agent.bench.sources import picture_in

ENDS = {
    "yes_no": "Answer yes or no.",
    "integer": "Answer with a number.",
    "number": "Answer with a number and its unit.",
    "word": "Answer with one of: {choices}.",
    "point": "",
}
"""How a row's prompt ends, by the type of its answer."""
CHANCE = {"yes_no": 0.5, "integer": 0.0, "number": 0.0}


def question(record: Record) -> Question | None:
    """Read a row of `rows.jsonl`; instructions are deeds, not answers, and are judged by the world alone."""
    kind = record["answer_type"]
    if kind == "done":
        return None
    picture = picture_in(record, record["image"])
    end = ENDS[kind].format(choices=", ".join(record["choices"]))
    facts = {key: record[key] for key in ("answer_type", "unit", "tolerance", "level", "condition")}
    facts |= {key: record[key] for key in ("camera", "depth", "seed", "family", "regions") if key in record}
    return Question(
        id=record["id"],
        prompt=f"{record['question']} {end}".strip(),
        answer=record["answer"],
        category=record["kind"],
        images=(picture,) if picture else (),
        choices=tuple(record["choices"]),
        group=f"scene-{record['seed']}",
        facts=facts,
    )


def original(row_id: str) -> str:
    """Return the id of the row under no condition."""
    return row_id.partition("@")[0]


def chance(asked: Question) -> float:
    """Return the expected score of a random guess: of a point, the share of the picture that is right."""
    kind = asked.facts["answer_type"]
    if kind == "word":
        return 1 / len(asked.choices)
    if kind == "point":
        runs = asked.answer["runs"]
        return sum(runs[1::2]) / sum(runs)
    return CHANCE[kind]


HABILIS_SPATIAL = Benchmark(
    name="habilis_spatial",
    title="Habilis Spatial v1",
    source=Source(files=("rows.jsonl",), home="habilis rows env=spatial to=FOLDER"),
    question=question,
    scorers={
        "official": Scorer(spatial.by_value, "1", "the value that is given, within the row's tolerance"),
        "strict": Scorer(spatial.strict, "1", "nothing but the value"),
    },
    default="official",
    aggregate=MACRO,
    licence="Apache-2.0, as this repository",
    citation="this repository",
    verified=True,
    chance=chance,
    original=original,
    notes="Equal (version, seed) are equal rows; the score is the mean over the kinds of questions.",
)
