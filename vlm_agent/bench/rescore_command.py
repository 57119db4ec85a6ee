"""`habilis bench rescore RUN`: any score again from the log alone."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from vlm_agent.bench.log import write_figures
from vlm_agent.bench.report import cost, tools_of, write_report
from vlm_agent.bench.results import figures_of, read_run


def rescore(invocation: Any) -> int:
    """Score a run again, with its own scorer or another one; the log stays as it is.

    The run's own scorer renews its reports, another one only prints.

    Raises:
        ValueError: Not one run, no such scorer, or (`strict`) void rows.
    """
    if len(invocation.words) != 2:
        raise ValueError("bench rescore takes one run: its folder")
    started = time.perf_counter()
    run = read_run(Path(invocation.words[1]))
    scorer = invocation.cfg.scorer or run.manifest["scorer"]
    summary, rows = figures_of(run, run.benchmark.scorer(scorer)[0])
    if invocation.cfg.strict and summary["void"]:
        raise ValueError(f"{summary['void']} rows are void, --strict takes no score over them")
    summary |= {"model": run.manifest["model"], "tools": tools_of(run), "folder": str(run.folder)}
    summary |= {"cost": cost(summary["tokens"], invocation.cfg.prices, len(rows))}
    summary |= {"seconds": round(time.perf_counter() - started, 3)}
    files = write_report(run, summary, rows) if scorer == run.manifest["scorer"] else {}
    if invocation.json_to:
        write_figures(summary, invocation.json_to)
    if invocation.json_to != "-":
        from vlm_agent.bench.tables import print_run

        print_run(run.benchmark, summary, files)
    return 0
