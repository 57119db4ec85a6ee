"""GTA: real requests with pictures; end to end by white lists and tools by category, or step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlm_agent.bench.aggregate import Aggregate, FloatArray, Sums, f1, row_mean
from vlm_agent.bench.contract import Benchmark, Question, Record, Scorer, Source
from vlm_agent.bench.scorers import gta

CODE = "open-compass/GTA 10eb3d2"
NEEDS_DIALOGS = {"steps": "scorer=steps needs dataset.json with its dialogs"}


def question(record: Record) -> Question:
    """Read an entry of `dataset.json`; {} is the answer of one whose answer is a picture."""
    dialogs: list[Any] = record["dialogs"]
    steps = [gold_step(turn) for turn in dialogs if turn["role"] == "assistant"]
    files = [f["path"] for f in record.get("files") or [] if f.get("type") == "image"]
    return Question(
        id=str(record.get("_key", record["_row"])),
        prompt=next(turn["content"] for turn in dialogs if turn["role"] == "user"),
        answer=record["gt_answer"] or {},
        images=tuple(Path(record["_folder"]) / path for path in files),
        tools=tuple(record.get("tools") or ()),
        facts={"tools": [step["tool"] for step in steps if "tool" in step], "steps": steps},
    )


def gold_step(turn: dict[str, Any]) -> dict[str, Any]:
    """Return a step of the reference: its (first) call, or {} for the final answer."""
    if not turn.get("tool_calls"):
        return {}
    call = turn["tool_calls"][0]["function"]
    return {"tool": call["name"], "arguments": call["arguments"]}


def _by_step(sums: Sums) -> FloatArray:
    return sums.ratio("arguments", "calls")


BY_STEP = Aggregate(
    _by_step,
    {
        "inst_acc": lambda sums: sums.ratio("aligned", "steps"),
        "tool_acc": lambda sums: sums.ratio("tools", "calls"),
        "arg_acc": _by_step,
        "summ_acc": lambda sums: sums.ratio("right_answers", "answers"),
    },
    about="share of the calls with the right tool and arguments (ArgAcc)",
)


def _official(kind: str):  # noqa: ANN202
    return lambda sums: gta.kind_f1(sums, kind)


def _strict(kind: str):  # noqa: ANN202
    return lambda sums: f1(sums, f"right_{kind}", f"used_{kind}", f"gold_{kind}")


def _answers(f1_of: Any) -> Aggregate:
    by_kind = {f"{kind}_f1": f1_of(kind) for kind in gta.KINDS}
    return Aggregate(row_mean, by_kind, about="share of right answers (AnsAcc)")


GTA = Benchmark(
    name="gta",
    title="GTA",
    source=Source(hub="Jize1/GTA", files=("dataset.json", "gta_dataset/dataset.json")),
    question=question,
    scorers={
        "official": Scorer(gta.end_to_end, CODE, "end to end: white list; F1 of tools by category"),
        "steps": Scorer(
            gta.step_by_step, CODE, "step by step: Inst/Tool/Arg/Summ", needs=NEEDS_DIALOGS, asks=False
        ),
        "strict_steps": Scorer(
            gta.strict_steps, "1", "step by step, over all gold steps", needs=NEEDS_DIALOGS, asks=False
        ),
        "strict": Scorer(gta.strict, "1", "nothing but the words of the white list"),
    },
    default="official",
    aggregate={
        "official": _answers(_official),
        "strict": _answers(_strict),
        "steps": BY_STEP,
        "strict_steps": BY_STEP,
    },
    licence="Apache-2.0",
    citation="Wang et al., 2024, arXiv 2407.08713",
    verified=True,
    published=("GTA Feb 2026",),
    takes_calls=True,
    notes="AnsAcc and SummAcc over requests with an objective answer: the others are compared by sentence "
    "embeddings in the original. Step by step is scored from predictions, a list of messages a row.",
)
