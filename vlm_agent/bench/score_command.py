"""`habilis bench score` and `habilis bench --list`: no model runs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vlm_agent.bench.contract import Benchmark, Question
from vlm_agent.bench.log import write_figures, write_whole
from vlm_agent.bench.predictions import Output, matched, read_predictions
from vlm_agent.bench.registry import load_benchmark, load_benchmarks
from vlm_agent.bench.scoring import mark_row, score_outputs
from vlm_agent.bench.sources import load_questions


def score(invocation: Any) -> int:
    """Score others' outputs against the ground truth; 0 when it was scored.

    Raises:
        ValueError: The data or the predictions can't be used; one line says where and why.
        RuntimeError: Every row is void.
    """
    cfg = invocation.cfg
    started = time.perf_counter()
    benchmark = load_benchmark(cfg.benchmark.name)
    if not cfg.predictions:
        raise ValueError('bench score needs predictions=FILE, JSON lines of {"id": …, "output": …}')
    if not cfg.data:
        raise ValueError(f"bench score needs data=DIR, the ground truth of {benchmark.name}")
    benchmark.scorer(cfg.scorer)
    outputs = read_predictions(cfg.predictions, takes_calls=benchmark.takes_calls)
    questions = load_questions(benchmark, cfg.data, ignore=cfg.predictions)
    outputs = matched(outputs, questions, cfg.predictions)
    if benchmark.is_judged:
        questions, outputs = judged(invocation, questions, outputs)
    summary, scored = score_outputs(benchmark, cfg.scorer, questions, outputs)
    if cfg.strict and summary["void"]:
        raise ValueError(f"{summary['void']} rows are void; --strict scores nothing over them")
    summary |= {"seconds": round(time.perf_counter() - started, 3)}
    summary |= {"data": str(cfg.data), "predictions": str(cfg.predictions)}
    if cfg.marks:
        rows = [mark_row(s, outputs.get(s.question.id)) for s in scored]
        write_lines(rows, Path(cfg.marks))
    if invocation.json_to:
        write_figures(summary, invocation.json_to)
    if invocation.json_to != "-":
        from vlm_agent.bench.tables import print_summary

        print_summary(benchmark, summary)
    if summary["void"] and not summary["n"]:
        raise RuntimeError(f"every row is void ({summary['void']}): there is no score")
    return 0


def judged(
    invocation: Any, questions: Sequence[Question], outputs: dict[str, Output]
) -> tuple[list[Question], dict[str, Output]]:
    """Let `model=` judge every answer; rows on which it gives no verdict become void.

    Raises:
        ValueError: `model=` can't judge.
        ModelError: It rejects the key.
    """
    from omegaconf import OmegaConf

    from vlm_agent.bench.polite import Gate, Polite, ReplyCache
    from vlm_agent.bench.scorers.rubric import JudgeError, judge, with_verdicts
    from vlm_agent.bench.tables import note

    cfg = invocation.cfg
    model = invocation.instantiate(cfg.model)
    if model.name == "scripted" or getattr(model, "is_blind", False):
        raise ValueError(f"{cfg.benchmark.name} needs a judge, such as model=openai model.model=NAME")
    fingerprint: Any = OmegaConf.to_container(cfg.model, resolve=True)
    cache = ReplyCache(Path(cfg.cache), fingerprint) if cfg.cache else None
    polite = Polite(model, Gate(cfg.requests_per_minute), retries=invocation.instantiate(cfg.retries))
    found, kept = [], dict(outputs)
    for question in questions:
        output = outputs.get(question.id)
        if output is not None and not output.is_void:
            try:
                question = with_verdicts(question, judge(polite, str(output.value), question, cache))
            except JudgeError as error:
                note(str(error))
                kept[question.id] = Output(output.value, is_void=True)
        found.append(question)
    return found, kept


def write_lines(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write JSON lines, whole or not at all.

    Raises:
        RuntimeError: The disk is full, or the folder is not there.
    """
    write_whole(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def listing(invocation: Any) -> int:
    """List the benchmarks with their data, licences and scorers."""
    rows = [_entry(benchmark) for benchmark in load_benchmarks()]
    if invocation.json_to:
        write_figures({"benchmarks": rows}, invocation.json_to)
    if invocation.json_to != "-":
        from vlm_agent.bench.tables import print_listing

        print_listing(rows)
    return 0


def _entry(benchmark: Benchmark) -> dict[str, Any]:
    source = benchmark.source
    return {
        "name": benchmark.name,
        "title": benchmark.title,
        "verified": benchmark.verified,
        "scorers": {name: s.version for name, s in benchmark.scorers.items()},
        "default": benchmark.default,
        "hub": source.hub,
        "revision": source.revision if source.hub else "",
        "home": source.home or (f"https://huggingface.co/datasets/{source.hub}" if source.hub else ""),
        "files": list(source.files),
        "licence": benchmark.licence,
        "citation": benchmark.citation,
        "notes": benchmark.notes,
    }
