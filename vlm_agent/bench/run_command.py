"""`habilis bench benchmark=NAME`: ask a planner every row, resumable, and score what it said."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from pathlib import Path
from typing import Any

from vlm_agent.bench.contract import Benchmark, Question
from vlm_agent.bench.failures import failure_of
from vlm_agent.bench.log import Row, RowLog, write_whole
from vlm_agent.bench.one_row import Fatal, Planner, answer_row, void_row
from vlm_agent.bench.pictures import MissingPicture
from vlm_agent.bench.polite import Gate, ReplyCache
from vlm_agent.bench.registry import load_benchmark
from vlm_agent.bench.scoring import jsonable_or_text
from vlm_agent.bench.sources import load_questions
from vlm_agent.bench.stats import proportion

MAY_DIFFER = (
    *("run_dir", "resume", "concurrency", "requests_per_minute", "strict", "prices", "tries", "row_tries"),
    *("data", "list", "marks", "predictions", "retries", "cache"),
)
IGNORED = (
    "env",
    "robot",
    "skills",
    "viewer",
    "video",
    "trace",
    "bus",
    "remote",
    "families",
    "episodes",
    "workers",
)


def bench(invocation: Any) -> int:
    """Ask every row, write the log, the figures and the report; 0 if no row is left out.

    Rows go to ``<run_dir>/<time>_<benchmark>/rows.jsonl``; ``resume=FOLDER`` goes on where a run ended,
    however it ended. Void rows are tried again then.

    Raises:
        ValueError: Impossible settings, or data that can't be used.
        RuntimeError: The run can't go on, or `strict` is set and rows are void.
    """
    from vlm_agent.bench.report import finish

    cfg = invocation.cfg
    _check(cfg)
    benchmark = load_benchmark(cfg.benchmark.name)
    scorer, used = benchmark.scorer(cfg.scorer)
    if not used.asks:
        raise ValueError(f"scorer={scorer} scores predictions alone: habilis bench score … scorer={scorer}")
    questions = chosen(load_questions(benchmark, cfg.data), cfg.limit, cfg.seed)
    check_pictures(questions)
    planners = Planners(invocation)
    folder = open_folder(cfg, benchmark, scorer, questions, planners.name)
    started = time.perf_counter()
    log = RowLog(folder / "rows.jsonl")
    try:
        run(cfg, planners, benchmark, scorer, questions, log)
    except (Fatal, MissingPicture) as error:
        kept = f"{len(log.done)} rows are kept, go on with resume={folder}"
        raise type(error)(f"{error}; {kept}") from error
    finally:
        log.close()
    return finish(invocation, benchmark, folder, seconds=time.perf_counter() - started)


def _check(cfg: Any) -> None:
    if cfg.repetitions < 1 or cfg.concurrency < 1 or cfg.row_tries < 1:
        raise ValueError("repetitions, concurrency and row_tries must be at least 1")
    if cfg.limit is not None and cfg.limit < 1:
        raise ValueError(f"limit must be at least 1 or null, got {cfg.limit}")


def chosen(questions: Sequence[Question], limit: int | None, seed: int) -> list[Question]:
    """Return all rows, or a seeded sample of them in their order; groups stay whole."""
    if limit is None or limit >= len(questions):
        return list(questions)
    import random

    groups: dict[str, list[Question]] = {}
    for question in questions:
        groups.setdefault(question.group or question.id, []).append(question)
    names = sorted(groups)
    random.Random(seed).shuffle(names)
    taken: set[str] = set()
    for name in names:
        if len(taken) >= limit:
            break
        taken |= {q.id for q in groups[name]}
    return [q for q in questions if q.id in taken]


def check_pictures(questions: Sequence[Question]) -> None:
    """Check that all pictures are there before anything is asked.

    Raises:
        MissingPicture: Some are not; says how many, and which the first is.
    """
    files = {p for q in questions for p in q.images if isinstance(p, Path)}
    missing = sorted(p for p in files if not p.is_file())
    if missing:
        raise MissingPicture(
            f"{len(missing)} of {len(files)} pictures are not there, the first is {missing[0]}; "
            "get the benchmark's pictures, nothing was asked"
        )


def settings_of(cfg: Any) -> dict[str, Any]:
    """Return the settings that a run's figures depend on, JSON-able."""
    from omegaconf import OmegaConf

    resolved: Any = OmegaConf.to_container(cfg, resolve=True)
    return {k: v for k, v in resolved.items() if k not in (*MAY_DIFFER, *IGNORED)}


def open_folder(
    cfg: Any, benchmark: Benchmark, scorer: str, questions: Sequence[Question], model: str
) -> Path:
    """Make a run's folder with its manifest, or check that an old one may be gone on with.

    Raises:
        ValueError: There is nothing to resume, or it was run with other settings or rows.
    """
    from vlm_agent.bench.manifest import make_manifest

    manifest = make_manifest(
        benchmark, scorer, questions, settings_of(cfg), str(cfg.data or benchmark.source.hub), model
    )
    if not cfg.resume:
        stem = Path(cfg.run_dir) / f"{datetime.now():%Y%m%d-%H%M%S}_{benchmark.name}"
        folder = next(f for k in range(1000) if not (f := stem if k == 0 else Path(f"{stem}-{k}")).exists())
        write_whole(folder / "manifest.json", json.dumps(manifest, indent=1, ensure_ascii=False) + "\n")
        return folder
    folder = Path(cfg.resume)
    if not (folder / "manifest.json").is_file():
        raise ValueError(f"nothing to resume in {folder}; give the folder of a run, with manifest.json")
    before = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if before["benchmark"] != benchmark.name or before["rows_sha256"] != manifest["rows_sha256"]:
        raise ValueError(
            f"{folder} is a run of {before['benchmark']} over other rows; resume it with its own"
        )
    other = [k for k in manifest["settings"] if before["settings"].get(k) != manifest["settings"][k]]
    if other:
        raise ValueError(f"{folder} was run with another {', '.join(other)}; resume with its own settings")
    return folder


# ---- asking --------------------------------------------------------------------------------------


def run(
    cfg: Any,
    planners: Planners,
    benchmark: Benchmark,
    scorer: str,
    questions: Sequence[Question],
    log: RowLog,
) -> None:
    """Ask all rows that are not in the log, some at a time; void ones again in further passes.

    Raises:
        Fatal: No row can be answered, such as without a key.
        DiskError: The log can't be written; what is in it is kept.
    """
    tasks = [(k, q, r) for r in range(cfg.repetitions) for k, q in enumerate(questions)]
    with progress(benchmark.name, len(tasks), sum((q.id, r) in log.done for _, q, r in tasks)) as step:
        for row in log.done.values():
            step(row, advance=0)
        for attempt in range(1, cfg.row_tries + 1):
            last = attempt == cfg.row_tries
            waiting = [task for task in tasks if (task[1].id, task[2]) not in log.done]
            if not waiting:
                return
            _pass(waiting, planners, benchmark, scorer, cfg.concurrency, log, step, keep_void=last)


def _pass(
    tasks: Sequence[tuple[int, Question, int]],
    planners: Planners,
    benchmark: Benchmark,
    scorer: str,
    concurrency: int,
    log: RowLog,
    step: Callable[..., None],
    *,
    keep_void: bool,
) -> None:
    """Ask rows once each; those that come out void stay out of the log unless `keep_void`."""
    cancel = threading.Event()
    local = threading.local()

    def work(number: int, question: Question, repetition: int) -> Row:
        if not hasattr(local, "planner"):
            local.planner = planners.take()
        try:
            row = answer_row(question, local.planner, repetition, cancel)
        except (Fatal, MissingPicture):
            raise
        except Exception as error:  # out of memory, a bug: no answer, and visible as that
            row = void_row(question, repetition, error)
        return scored_row(row | {"number": number}, question, benchmark, scorer)

    left = iter(tasks)
    with ThreadPoolExecutor(concurrency, thread_name_prefix="row") as pool:
        flying: list[Future[Row]] = []
        try:
            while True:
                for task in left:
                    flying.append(pool.submit(work, *task))
                    if len(flying) >= 2 * concurrency:
                        break
                if not flying:
                    return
                done = wait(flying, return_when=FIRST_COMPLETED).done
                ended = [future for future in flying if future in done]  # in the order they were asked
                flying = [future for future in flying if future not in done]
                for future in ended:
                    row = future.result()
                    if not row["void"] or keep_void:
                        log.append(row)
                        step(row)
        except BaseException:
            cancel.set()
            for future in flying:
                future.cancel()
            raise


def scored_row(row: Row, question: Question, benchmark: Benchmark, scorer: str) -> Row:
    """Add the mark of a row, and the kind of its failure."""
    if row["void"]:
        return row | {"score": None, "parsed": None, "is_parsed": False, "failure": "infrastructure"}
    mark = benchmark.scorers[scorer].score(row["output"], question)
    return row | {
        "score": mark.score,
        "parsed": jsonable_or_text(mark.parsed),
        "is_parsed": mark.is_parsed,
        "parts": dict(mark.parts),
        "note": mark.note,
        "failure": failure_of(row, question, mark),
    }


class Planners:
    """Builds a planner for each thread, with a client of its own; they share the rate limit and the cache.

    Attributes:
        name: Name of the model.
    """

    def __init__(self, invocation: Any) -> None:
        """Build the first one, so that what can't be built is said before anything is asked."""
        from omegaconf import OmegaConf

        from perception_tools.registry import absent, load_tools

        cfg = invocation.cfg
        self._invocation = invocation
        others = cfg.tools.get("implementations")
        names = [n for n in cfg.tools.names if n not in absent(cfg.tools.names, others)]
        fingerprint: Any = OmegaConf.to_container(cfg.model, resolve=True)
        self._cache = ReplyCache(Path(cfg.cache), fingerprint) if cfg.cache else None
        self._shared = {
            "gate": Gate(cfg.requests_per_minute),
            "retries": invocation.instantiate(cfg.retries),
            "tools": tuple(load_tools(names, others).values()) if names else (),
            "settings": invocation.instantiate(cfg.tools.settings),
            "agent": invocation.instantiate(cfg.agent),
            "executor": invocation.instantiate(cfg.executor),
            "ask_confidence": cfg.ask_confidence,
        }
        self._lock = threading.Lock()
        self._ready = [self._make()]
        self.name = self._ready[0].model.name

    def take(self) -> Planner:
        """Return a planner that no other thread has."""
        with self._lock:
            return self._ready.pop() if self._ready else self._make()

    def _make(self) -> Planner:
        model = self._invocation.instantiate(self._invocation.cfg.model)
        cache = None if getattr(model, "is_free", False) else self._cache
        return Planner(model, cache=cache, **self._shared)


class progress:  # noqa: N801  (a context manager that reads like a function)
    """A bar with the running score and its interval; yields `step(row, advance=1)`."""

    def __init__(self, name: str, total: int, completed: int) -> None:
        """Show `completed` of `total` rows."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        text = TextColumn("{task.description}")
        self._bar = Progress(*columns, text, console=Console(stderr=True), refresh_per_second=4)
        self._task = self._bar.add_task("", total=total, completed=completed)
        self._sum, self._n, self._right, self._void = 0.0, 0, 0, 0

    def __enter__(self) -> Callable[..., None]:
        """Start the bar."""
        self._bar.start()
        return self._step

    def __exit__(self, *_: object) -> None:
        """Stop the bar, with the score of all rows."""
        if self._n:
            self._bar.update(self._task, description=self._words())
        self._bar.stop()

    def _step(self, row: Row, advance: int = 1) -> None:
        if row["void"]:
            self._void += 1
        elif row["score"] is not None:
            self._sum += row["score"]
            self._n += 1
            self._right += row["score"] == 1
        is_shown = self._n <= 20 or self._n % 20 == 0
        if is_shown:
            self._bar.update(self._task, advance=0, description=self._words())
        self._bar.advance(self._task, advance)

    def _words(self) -> str:
        void = f", {self._void} void" if self._void else ""
        if self._sum == self._right:
            share = proportion([True] * self._right + [False] * (self._n - self._right))
            return f"rows right: {share}{void}"
        return f"mean of rows: {self._sum / max(self._n, 1):.3f} (n = {self._n}){void}"
