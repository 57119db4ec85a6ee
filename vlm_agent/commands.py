"""The planner's commands: run, tools, trace, bench. Each takes a `habilis.Invocation`.

They never assemble anything themselves: `invocation.build` does.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from policies.runs import new_run_folder, write_json

if TYPE_CHECKING:
    from vlm_agent.agent import RunResult
    from vlm_agent.session import Session


def run(invocation: Any) -> int:
    """Carry out one instruction; 0 only if the outcome was sensed (a question: answered from evidence).

    Raises:
        ValueError: Not exactly one instruction, or one that is empty or too long; nothing was started.
    """
    from vlm_agent.agent import check_instruction

    if len(invocation.words) != 1:
        raise ValueError(
            f"run takes one instruction in quotes, got {len(invocation.words)}; "
            'e.g. habilis run "put the red block in the bowl"'
        )
    instruction = check_instruction(invocation.words[0])
    folder = new_run_folder(invocation.cfg.run_dir, instruction)
    console = console_of(invocation.json_to)
    console.print(f"[bold]“{instruction}”[/]", highlight=False)
    with ended_like_ctrl_c(), _built(invocation, folder, console) as session:
        if session.viewer is not None:
            console.print(f"live view: {session.viewer.url}")
        result = session.run(instruction)
        _linger(session, console)
    files = files_of(folder)
    report(invocation, console, result, files)
    return 0 if result.ok else 1


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """Take SIGTERM, and SIGHUP (a terminal goes away) unless it is ignored, as Ctrl-C: leave in order."""
    found = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in found if signal.getsignal(number) is not signal.SIG_IGN]
    before = {n: signal.signal(n, lambda *_: signal.raise_signal(signal.SIGINT)) for n in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _built(invocation: Any, folder: Path | None, console: Any) -> Session:
    """Assemble; when that fails nothing was run, and the folder goes again."""
    from vlm_agent.confirm import terminal_ask

    try:
        return invocation.build(
            invocation.cfg, folder, watchers=(ConsoleWatcher(console),), ask=terminal_ask()
        )
    except BaseException:
        if folder is not None:
            shutil.rmtree(folder)
        raise


def files_of(folder: Path | None) -> dict[str, str]:
    """Render the page and return what lies in a run's folder, by kind."""
    if folder is None:
        return {}
    from vlm_agent.trace_page import render_trace

    files = {"trace": folder / "trace.jsonl", "page": folder / "trace.html", "video": folder / "video.mp4"}
    if files["trace"].exists():
        render_trace(folder)
    return {kind: str(path) for kind, path in files.items() if path.exists()}


def report(invocation: Any, console: Any, result: RunResult, files: dict[str, str], **more: Any) -> None:
    """Show how a run ended; with `--json`, also as figures (`more` are further ones)."""
    show_result(console, result, files)
    if invocation.json_to:
        write_json({**figures_of(result, files), **more}, invocation.json_to)


def show_result(console: Any, result: RunResult, files: dict[str, str]) -> None:
    """Show how a run ended."""
    style = {"done": "green", "answered": "green"}.get(result.outcome, "yellow")
    words = result.summary or result.message
    console.print(f"[bold {style}]{result.outcome}[/]: ", end="", highlight=False)
    console.print(words, highlight=False, markup=False)
    if result.message and result.message != words:
        console.print(result.message, highlight=False, markup=False)
    for kind, path in files.items():
        console.print(f"  {kind:<6} {path}", highlight=False, soft_wrap=True)


def figures_of(result: RunResult, files: dict[str, str]) -> dict[str, Any]:
    """Return the figures of a run with stable keys."""
    return {
        "outcome": result.outcome,
        "success": result.ok,
        "summary": result.summary,
        "message": result.message,
        "turns": result.turns,
        "calls": result.calls,
        "seconds": round(result.seconds, 3),
        "robot_seconds": result.robot_seconds,
        "errors": dict(result.errors),
        "void": result.is_void,
        "files": files,
    }


def console_of(json_to: str | None) -> Any:
    """Return where a command shows what goes on: standard error if figures go to standard output."""
    from rich.console import Console

    return Console(stderr=json_to == "-", soft_wrap=False)


def _linger(session: Session, console: Any) -> None:
    """Keep the live view open until Ctrl-C."""
    if session.viewer is None or not session.viewer.config.linger or not sys.stdin.isatty():
        return
    console.print("the view stays open; press Ctrl-C to end")
    try:
        while True:
            time.sleep(0.5)
    except KeyboardInterrupt:
        return


class ConsoleWatcher:
    """Prints thoughts and calls as they happen; the end is left to `show_result`."""

    def __init__(self, console: Any) -> None:
        """Print to a rich console."""
        self._console = console
        self._thought = ""

    def caption(
        self, *, title: str | None = None, note: str | None = None, status: str | None = None
    ) -> None:
        """Print the call with the thought that led to it."""
        if title:
            self._thought = ""
        if note:
            self._thought = note
        if not status or status.startswith("finish(") or not {"(", ":"} & set(status):
            return  # nothing yet, or an end
        if self._thought:
            self._console.print(self._thought, style="dim", highlight=False, markup=False)
            self._thought = ""
        self._console.print("  " + status, style="cyan", highlight=False, markup=False)

    def show(self, rgb: Any, label: str = "") -> None:
        """Pictures are for the video and the page."""


def tools(invocation: Any) -> int:
    """List tools and skills with their arguments; with ``--json`` the specs as models get them."""
    from perception_tools.registry import TOOLS, absent, load_tools
    from vlm_agent.skills.registry import load_skills, permitted

    cfg = invocation.cfg
    others = cfg.tools.get("implementations")
    missing = absent(cfg.tools.names, others)
    listed = {**load_tools(cfg.tools.names, others), **load_skills()}
    allowed = permitted(cfg.skills.allow, listed)
    if invocation.json_to:
        rows = [
            {
                "name": t.name,
                "description": t.spec.description,
                "parameters": dict(t.spec.parameters),
                "returns": dict(t.spec.returns),
                "read_only": t.spec.read_only,
                "moves_robot": t.moves_robot,
                "allowed": (not t.moves_robot or t.name in allowed) and t.name not in missing,
                "missing": missing.get(t.name),
            }
            for t in listed.values()
        ]
        write_json({"tools": rows}, invocation.json_to)
        return 0
    from rich.markup import escape
    from rich.table import Table

    console = console_of(None)
    for moves, heading in ((False, "tools (they look)"), (True, "skills (they move the robot)")):
        table = Table(box=None, pad_edge=False, show_header=False)
        for t in listed.values():
            if t.moves_robot == moves:
                denied = moves and t.name not in allowed
                summary = t.spec.description.splitlines()[0] + (" [red](not allowed)[/]" if denied else "")
                if t.name in missing:
                    summary += f" [red](not here: {escape(missing[t.name])})[/]"
                arguments = ", ".join(t.arguments.model_fields)
                table.add_row(
                    f"  {t.name}", summary + (f"\n[dim]{escape(arguments)}[/]" if arguments else "")
                )
        console.print(f"[bold]{heading}[/]")
        console.print(table)
    others = [name for name in TOOLS if name not in cfg.tools.names]
    if others:
        console.print(f"not offered (tools=all has them): {', '.join(others)}", highlight=False)
    return 0


def trace(invocation: Any) -> int:
    """Render a run's page again from its trace.

    Raises:
        ValueError: Not exactly one run.
    """
    if len(invocation.words) != 1:
        raise ValueError("trace takes one run: its folder, or its trace.jsonl")
    from vlm_agent.trace_page import render_trace

    print(render_trace(invocation.words[0]))
    return 0


def bench(invocation: Any) -> int:
    """Run a benchmark, or do what the first word says with results; 0 if it ran to its end.

    Raises:
        ValueError: No such word, or a benchmark that is none of ours.
    """
    from importlib import import_module

    if invocation.cfg.list or invocation.words:
        from vlm_agent.bench.words import follow

        return follow(invocation)
    module, _, function = invocation.cfg.benchmark.run.partition(":")
    if not module.startswith("vlm_agent.bench."):
        raise ValueError(f"benchmark.run must be in vlm_agent.bench, got {module!r}")
    return getattr(import_module(module), function)(invocation)


def serve_model(invocation: Any) -> int:
    """Serve a planner behind an OpenAI-compatible endpoint until interrupted."""
    from vlm_agent.serve_model import serve

    model = invocation.instantiate(invocation.cfg.model)
    config = invocation.instantiate(invocation.cfg.serve)
    serve(model, config, on_start=lambda url: print(f"serving {model.name} at {url}", flush=True))
    return 0
