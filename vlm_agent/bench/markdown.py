"""A run's report as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_agent.bench.published import published_of
from vlm_agent.bench.results import Run
from vlm_agent.bench.tables import score_line, shown, shown_ci


def markdown(run: Run, summary: Mapping[str, Any]) -> str:
    """Return the report."""
    unit, manifest = summary["unit"], run.manifest
    rule = "" if summary["verified"] else " (unverified: implemented from the paper, not checked on its code)"
    lines = [
        f"# {manifest['title']}: {summary['model']}",
        "",
        f"**{score_line(summary)}**",
        "",
        f"Scorer `{summary['scorer']}` ({summary['scorer_version']}): {manifest['parser']}{rule}. "
        f"Aggregate: {manifest['aggregate']}. Interval: {summary['interval']}.",
    ]
    if summary.get("strict"):
        strict = summary["strict"]
        lines.append(f"Strict reading: {shown(strict['score'], unit)} {shown_ci(strict['ci95'], unit)}.")
    if summary["chance"] is not None:
        lines.append(f"A random guess: {shown(summary['chance'], unit)}.")
    if summary["repetitions"] > 1:
        each = ", ".join(shown(s, unit) for s in summary["by_repetition"])
        lines.append(f"{summary['repetitions']} repetitions: {each}.")
    if warning := decoding_warning(run, summary):
        lines += ["", warning]
    lines += ["", *_table(("total", "value"), [(k, shown(v, unit)) for k, v in summary["totals"].items()])]
    rows = [
        (k or "(all)", shown(v["score"], unit), shown_ci(v["ci95"], unit), v["n"])
        for k, v in summary["categories"].items()
    ]
    lines += _table(("category", "score", "95 %", "n"), rows)
    lines += _table(("failure (sorted by rules)", "rows"), summary["failures"].items())
    lines += trust(summary)
    lines += _published(run)
    per_row, tokens = summary["seconds_per_row"], summary["tokens"]
    lines += [
        f"Tools: {', '.join(summary['tools']) or 'none'}. Tool calls: {summary['tool_calls']}. Requests: "
        f"{summary['requests']}, from the cache {summary['cached_replies']}. Seconds per row: p50 "
        f"{per_row['p50']}, p95 {per_row['p95']}. Tokens: {tokens or 'not told'}. "
        f"Cost: {_cost(summary.get('cost'))}.",
        "",
        f"Data: {manifest['data']} (rows {manifest['rows_sha256'][:12]}). {manifest['citation']}. "
        f"Licence of the data: {manifest['licence']}.",
    ]
    if run.benchmark.notes:
        lines += ["", run.benchmark.notes]
    return "\n".join(lines)


def trust(summary: Mapping[str, Any]) -> list[str]:
    """Return what else tells whether the score may be trusted: faithfulness, calibration, budgets."""
    lines: list[str] = []
    if faith := summary.get("faithfulness"):
        lines += [
            f"Faithful: {100 * faith['rate']:.1f} % of {faith['n']} answers rest on a look at the right "
            f"place ({faith['right_unfaithful']} right ones do not).",
            "",
        ]
    if fit := summary.get("calibration"):
        lines += [
            f"Confidence, stated by {fit['n']} rows: ECE {fit['ece']:.3f}, Brier {fit['brier']:.3f}.",
            "",
        ]
        bins = [(f"{b['low']:.1f} to {b['high']:.1f}", b["n"], *_percents(b)) for b in fit["bins"]]
        lines += _table(("confidence", "rows", "stated", "right"), bins)
        kept = [
            (f"{100 * p['coverage']:.0f} %", f"{100 * p['accuracy']:.1f} %", f"{p['threshold']:.2f}")
            for p in fit["abstention"]
        ]
        lines += _table(("answered, surest first", "right", "confidence from"), kept)
    for kind, points in (summary.get("budget") or {}).items():
        if len(points) > 1:
            rows = [(f"{p['budget']:g}", shown(p["score"], summary["unit"])) for p in points]
            lines += _table((f"{kind} at most", "score"), rows)
    return lines


def _percents(entry: Mapping[str, float]) -> tuple[str, str]:
    return f"{100 * entry['confidence']:.1f} %", f"{100 * entry['accuracy']:.1f} %"


def decoding_warning(run: Run, summary: Mapping[str, Any]) -> str:
    """Return what to say of sampled decoding that was not repeated, "" if there is nothing to say."""
    settings, repetitions = run.manifest["settings"].get("model", {}), summary["repetitions"]
    if repetitions >= 3:
        return ""
    told = f"and there are {repetitions} repetitions: use repetitions=3 or more"
    if settings.get("temperature", 0) != 0:
        sampled = f"Decoding may be sampled (temperature {settings['temperature']})"
        return f"{sampled}, {told}, or model.temperature=0."
    if summary["model"].startswith("random_choice"):
        return f"The answers are guessed, {told}."
    return ""


def _cost(cost: Mapping[str, float] | None) -> str:
    return f"{cost['total']:.4f}, {cost['per_row']:.6f} per row" if cost else "no prices given"


def _published(run: Run) -> list[str]:
    tables = published_of(run.benchmark)
    lines: list[str] = []
    for title, columns, rows in tables:
        lines += [f"Published, not measured here: {title}", ""]
        lines += _table(("", *columns), [(name, *values) for name, values in rows])
    return lines


def _table(head: Sequence[Any], rows: Any) -> list[str]:
    body = ["| " + " | ".join("–" if c is None else str(c) for c in row) + " |" for row in rows]
    if not body:
        return []
    return ["| " + " | ".join(map(str, head)) + " |", "|" + "---|" * len(head), *body, ""]
