"""What the benchmark commands print: rich tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_agent.bench.contract import Benchmark


def shown(value: float | None, unit: str = "fraction") -> str:
    """Write a score: fractions in %, points as they are."""
    if value is None:
        return "–"
    return f"{100 * value:.2f} %" if unit == "fraction" else f"{value:.3f}"


def shown_ci(ci95: Sequence[float] | None, unit: str = "fraction") -> str:
    """Write an interval."""
    if ci95 is None:
        return ""
    scale, digits = (100, 1) if unit == "fraction" else (1, 3)
    return f"[{scale * ci95[0]:.{digits}f}, {scale * ci95[1]:.{digits}f}]"


def score_line(summary: Mapping[str, Any]) -> str:
    """Write the score with its interval, n, and the void rows beside it."""
    unit = summary["unit"]
    text = f"{shown(summary['score'], unit)} {shown_ci(summary['ci95'], unit)} (n = {summary['n']})"
    extras = [f"{summary[key]} {word}" for key, word in _BESIDE.items() if summary.get(key)]
    return text + ("; " + ", ".join(extras) if extras else "")


_BESIDE = {
    "void": "VOID (infrastructure, not in the score)",
    "missing": "without an answer",
    "left_out": "left out of the denominator",
    "unparsed": "that could not be read",
}


def print_summary(benchmark: Benchmark, summary: Mapping[str, Any]) -> None:
    """Print the figures of one scoring."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    unverified = "" if benchmark.verified else " [yellow](unverified rule)[/]"
    console.print(
        f"[bold]{benchmark.title}[/], scorer {summary['scorer']} ({summary['scorer_version']}){unverified}"
    )
    console.print(score_line(summary), highlight=False, markup=False)
    if "strict" in summary:
        strict = summary["strict"]
        console.print(
            f"strict reading: {shown(strict['score'], summary['unit'])} (n = {strict['n']})", highlight=False
        )
    for name, value in summary["totals"].items():
        console.print(f"  {name}: {shown(value, summary['unit'])}", highlight=False)
    if len(summary["categories"]) > 1:
        table = Table("category", "score", "95 %", "n", box=None, pad_edge=False)
        for name, row in summary["categories"].items():
            cells = (shown(row["score"], summary["unit"]), shown_ci(row["ci95"], summary["unit"]))
            table.add_row(f"  {name}", *cells, str(row["n"]))
        console.print(table)
    if benchmark.notes:
        console.print(benchmark.notes, style="dim", highlight=False, markup=False)


def print_listing(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what benchmarks there are, and to whom they are due."""
    from rich.console import Console

    console = Console()
    for row in rows:
        scorers = ", ".join(f"{n}*" if n == row["default"] else n for n in row["scorers"])
        rule = "" if row["verified"] else " [yellow](unverified rule)[/]"
        console.print(f"[bold]{row['name']}[/]  {row['title']}, {row['citation']}{rule}", highlight=False)
        data = row["hub"] or row["home"]
        console.print(f"    {data}; {row['licence']}", highlight=False, markup=False, style="dim")
        console.print(f"    scorers: {scorers}", highlight=False, markup=False, style="dim")
    console.print("* the default. Nothing is shipped: rows and pictures are their authors'.")


def print_run(benchmark: Benchmark, summary: Mapping[str, Any], files: Mapping[str, str]) -> None:
    """Print the figures of a run."""
    from rich.console import Console

    print_summary(benchmark, summary)
    console = Console()
    if summary["chance"] is not None:
        console.print(f"a random guess: {shown(summary['chance'], summary['unit'])}", highlight=False)
    if summary["failures"]:
        kinds = ", ".join(f"{kind} {number}" for kind, number in summary["failures"].items())
        console.print(f"not right: {kinds}", highlight=False)
    if summary.get("warning"):
        note(summary["warning"])
    for kind, path in files.items():
        console.print(f"  {kind:<6} {path}", highlight=False, soft_wrap=True)


_PAIRS = {"id": "", "original": " pairs of one row under other conditions"}


def print_comparison(summary: Mapping[str, Any], unit: str) -> None:
    """Print the comparison of two runs."""
    from rich.console import Console

    console = Console()
    for side in ("a", "b"):
        line = f"{side}: {shown(summary[f'score_{side}'], unit)}  {summary[side]}"
        console.print(line, highlight=False, soft_wrap=True)
    difference = f"{shown(summary['difference'], unit)} {shown_ci(summary['ci95'], unit)}"
    how = f"{summary['test']}, n = {summary['n']}{_PAIRS[summary['paired_by']]}"
    console.print(
        f"b - a: {difference}, p = {summary['p']:.4g} ({how}); better in b {summary['better_in_b']}, in a "
        f"{summary['better_in_a']}; rows of one run alone: {summary['only_in_a']}, {summary['only_in_b']}",
        highlight=False,
    )


def note(text: str) -> None:
    """Say something on standard error."""
    from rich.console import Console

    Console(stderr=True).print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
