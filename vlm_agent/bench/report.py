"""The end of a run: figures, Markdown and the page, from the log alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlm_agent.bench.contract import Benchmark
from vlm_agent.bench.log import write_figures, write_whole
from vlm_agent.bench.markdown import decoding_warning, markdown
from vlm_agent.bench.results import Run, figures_of, read_run


def finish(invocation: Any, benchmark: Benchmark, folder: Path, *, seconds: float) -> int:
    """Write `summary.json`, `report.md` and `report.html`, print the table; 0 if a row was answered.

    Raises:
        RuntimeError: Every row is void, or `strict` is set and some are.
    """
    cfg = invocation.cfg
    run = read_run(folder)
    summary, rows = figures_of(run, run.manifest["scorer"])
    summary |= {"seconds": round(seconds, 2), "model": run.manifest["model"], "tools": tools_of(run)}
    summary |= {"folder": str(folder), "cost": cost(summary["tokens"], cfg.prices, len(rows))}
    summary |= {"warning": decoding_warning(run, summary)}
    files = write_report(run, summary, rows)
    if invocation.json_to:
        write_figures(summary, invocation.json_to)
    if invocation.json_to != "-":
        from vlm_agent.bench.tables import print_run

        print_run(benchmark, summary, files)
    if rows and all(row["void"] for row in rows):
        raise RuntimeError(
            f"every row is void: {rows[0]['message']}; {folder} keeps them, go on with resume="
        )
    if cfg.strict and summary["void"]:
        raise RuntimeError(
            f"{summary['void']} rows are void, --strict takes no score over them; ask them again with "
            f"resume={folder}"
        )
    return 0


def write_report(run: Run, summary: Mapping[str, Any], rows: list[dict[str, Any]]) -> dict[str, str]:
    """Write the figures and both reports into a run's folder; returns the files.

    Raises:
        DiskError: They can't be written; the rows are.
    """
    from vlm_agent.bench.page import page

    text = json.dumps(summary, indent=2, allow_nan=False, ensure_ascii=False)
    then = f"make the reports from the rows, which are kept: habilis bench rescore {run.folder}"
    write_whole(run.folder / "summary.json", text + "\n", then=then)
    write_whole(run.folder / "report.md", markdown(run, summary) + "\n", then=then)
    write_whole(run.folder / "report.html", page(run, summary, rows), then=then)
    names = {"rows": "rows.jsonl", "report": "report.md", "page": "report.html"}
    return {kind: str(run.folder / name) for kind, name in names.items()}


def tools_of(run: Run) -> list[str]:
    """Return the tools that a run offered."""
    return list(run.manifest["settings"].get("tools", {}).get("names", []))


def cost(tokens: Mapping[str, int], prices: Any, num_rows: int) -> dict[str, float] | None:
    """Return what tokens cost, in all and per row; None without prices."""
    if prices.input_per_million is None or prices.output_per_million is None:
        return None
    counts = [("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens")]
    inputs, outputs = (next((tokens[n] for n in names if n in tokens), 0) for names in counts)
    total = (inputs * prices.input_per_million + outputs * prices.output_per_million) / 1e6
    return {"total": total, "per_row": total / max(num_rows, 1)}
