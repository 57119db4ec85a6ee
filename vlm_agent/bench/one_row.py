"""One row: show a planner the question and its pictures, take its answer, say how it went."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vlm_agent.bench.confidence import ASK, split_confidence
from vlm_agent.bench.contract import Question
from vlm_agent.bench.pictures import MissingPicture, encoded, rgb_of, sha256_of
from vlm_agent.bench.polite import Gate, Polite, ReplyCache, Retries
from vlm_agent.bench.scoring import jsonable_or_text
from vlm_agent.model import ChatModel, ImageContent, Message, ModelError, TextContent
from vlm_agent.rendering import jsonable
from vlm_agent.trace import NullTrace

FATAL = ("auth",)  # kinds of failure at which every other row would fail too
ABSTAINED = ("impossible", "unclear", "failed", "budget")


class Fatal(RuntimeError):
    """The run can't go on; one line that says what to do."""


@dataclass(frozen=True)
class Planner:
    """What answers rows.

    Attributes:
        model: The chat model.
        gate: Spaces the requests of all rows.
        cache: Replies that were had before, None without.
        retries: How patiently the model is asked.
        tools: Perception tools; with some the agent's loop is used, without any one plain request is made.
        settings: Settings of the tools.
        agent: `vlm_agent.agent.AgentConfig`, None for the default.
        executor: `vlm_agent.executor.ExecutorConfig`, None for the default.
        ask_confidence: Whether the planner is asked to state how sure it is.
    """

    model: ChatModel
    gate: Gate = field(default_factory=Gate)
    cache: ReplyCache | None = None
    retries: Retries = field(default_factory=Retries)
    tools: Sequence[Any] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    agent: Any = None
    executor: Any = None
    ask_confidence: bool = False


@dataclass(frozen=True)
class Said:
    """What came of asking.

    Attributes:
        output: The answer, "" for none.
        outcome: `answered`, how the agent ended, or `error`.
        message: Why there is no answer.
        is_void: Infrastructure failed.
        calls: Tool calls with their results.
        turns: Replies of the model.
        tool_seconds: Wall time in tools [s].
    """

    output: str
    outcome: str
    message: str = ""
    is_void: bool = False
    calls: Sequence[Mapping[str, Any]] = ()
    turns: int = 1
    tool_seconds: float = 0.0


def answer_row(
    question: Question, planner: Planner, repetition: int = 0, cancel: threading.Event | None = None
) -> dict[str, Any]:
    """Ask one question.

    Args:
        question: The row.
        planner: Who is asked.
        repetition: Number of the repetition; replies of another one are not taken from the cache.
        cancel: Ends it early.

    Returns:
        The row of the log but for its score, JSON-able.

    Raises:
        Fatal: No other row could be answered either.
        MissingPicture: A picture is not there.
    """
    started = time.perf_counter()
    if planner.ask_confidence:
        question = replace(question, prompt=f"{question.prompt}\n{ASK}")
    redrawn = getattr(planner.model, "redrawn", None)  # of a guesser that is no model on a server
    model = redrawn(repetition) if redrawn else planner.model
    polite = Polite(model, planner.gate, planner.cache, repetition, planner.retries)
    pictures = _pictures(question, planner.model)
    said = _ask(question, planner, polite, pictures, cancel)
    output, confidence = split_confidence(said.output) if planner.ask_confidence else (said.output, None)
    return {
        "id": question.id,
        "repetition": repetition,
        "category": question.category,
        "prompt": question.prompt,
        "images": [{"sha256": sha256_of(p), "path": _path(p)} for p in question.images],
        "question": question_json(question),
        "messages": polite.transcript(),
        "calls": [dict(call) for call in said.calls],
        "output": output,
        "confidence": confidence,
        "outcome": said.outcome,
        "message": said.message,
        "void": said.is_void,
        "error": "infrastructure" if said.is_void else "",
        "turns": said.turns,
        "seconds": round(time.perf_counter() - started, 4),
        "tool_seconds": round(said.tool_seconds, 4),
        "tokens": polite.usage,
        "cached": polite.cached,
        "requests": polite.requests,
    }


def void_row(question: Question, repetition: int, error: BaseException) -> dict[str, Any]:
    """Return the row of a question that could not be asked to the end."""
    return {
        "id": question.id,
        "repetition": repetition,
        "category": question.category,
        "prompt": question.prompt,
        "images": [],
        "question": question_json(question),
        "messages": [],
        "calls": [],
        "output": "",
        "confidence": None,
        "outcome": "error",
        "message": " ".join(f"{type(error).__name__}: {error}".split())[:400],
        "void": True,
        "error": "infrastructure",
        "turns": 0,
        "seconds": 0.0,
        "tool_seconds": 0.0,
        "tokens": {},
        "cached": 0,
        "requests": 0,
    }


def _path(picture: Any) -> str:
    return str(picture) if isinstance(picture, Path) else ""


def _pictures(question: Question, model: ChatModel) -> list[ImageContent]:
    see = _digest if getattr(model, "is_blind", False) else rgb_of
    return [ImageContent(see(picture), f"image_{k}") for k, picture in enumerate(question.images, 1)]


def _digest(picture: Any) -> NDArray[np.uint8]:
    """Return the file's hash as pixels, for planners that do not look: rows stay apart."""
    return np.frombuffer(bytes.fromhex(sha256_of(picture))[:24], np.uint8).reshape(1, 8, 3)


def _ask(
    question: Question,
    planner: Planner,
    polite: Polite,
    pictures: Sequence[ImageContent],
    cancel: threading.Event | None,
) -> Said:
    try:
        if planner.tools:
            return _with_tools(question, planner, polite, pictures, cancel)
        message = Message("user", (TextContent(question.prompt), *pictures))
        return Said(polite.complete([message], (), cancel).text, "answered")
    except ModelError as error:
        if error.kind in FATAL:
            raise Fatal(str(error)) from error
        return Said("", "error", f"{error.kind}: {error}", is_void=True)


class Recorder(NullTrace):
    """A trace that keeps calls with their results, for the row."""

    def __init__(self) -> None:
        """Start empty."""
        super().__init__()
        self.calls: dict[str, dict[str, Any]] = {}
        self.fatal = ""

    def event(self, kind: str, /, **fields: Any) -> None:
        """Keep what belongs to calls."""
        if kind == "tool_call":
            call = {
                "name": fields["name"],
                "arguments": jsonable(fields["arguments"]),
                "turn": fields["turn"],
            }
            self.calls[fields["call_id"]] = call
        elif kind == "tool_result":
            call = self.calls.setdefault(fields["call_id"], {"name": fields["name"]})
            error = fields["error"]
            call |= {
                "ok": fields["ok"],
                "error": str(error) if error else "",
                "reason": fields["reason"],
                "message": fields["message"],
                "parts": jsonable(fields["parts"]),
                "seconds": round(float(fields["seconds"]), 4),
            }
        elif kind == "model_error" and fields["kind"] in FATAL:
            self.fatal = str(fields["message"])


def _with_tools(
    question: Question,
    planner: Planner,
    polite: Polite,
    pictures: Sequence[ImageContent],
    cancel: threading.Event | None,
) -> Said:
    """Run the planner's own loop on the pictures: they are `image_1`.. and what its cameras see."""
    from perception_tools.artifacts import Workspace
    from perception_tools.tool import ToolContext
    from vlm_agent.agent import Agent, AgentConfig
    from vlm_agent.asking import Patience
    from vlm_agent.bench.sensed import camera_of
    from vlm_agent.executor import Executor, ExecutorConfig

    cameras = {}
    workspace = Workspace()
    for number, picture in enumerate(pictures, 1):
        name = "scene" if number == 1 else f"scene_{number}"
        cameras[name] = camera_of(question, number - 1, picture.rgb, name)
        frame = cameras[name].capture()
        places = {"intrinsics": frame.intrinsics, "T_world_camera": frame.T_world_camera}
        workspace.put("image", picture.rgb, frame=f"camera:{name}", stamp_s=0.0, **places)
    context = ToolContext(workspace, cameras, lambda: 0.0, planner.settings)
    recorder = Recorder()
    config = replace(planner.agent or AgentConfig(), handle_sigint=False, patience=Patience(retries=0))
    with Executor(planner.tools, context, planner.executor or ExecutorConfig(), trace=recorder) as executor:
        result = Agent(polite, executor, config).run(question.prompt, pictures, cancel=cancel)
    if recorder.fatal:
        raise Fatal(recorder.fatal)
    output = "" if result.outcome in (*ABSTAINED, "error", "cancelled") else result.summary
    calls = [{"id": key, **call} for key, call in recorder.calls.items()]
    return Said(
        output, result.outcome, result.message, result.is_void, calls, result.turns, result.tool_seconds
    )


# ---- a question in the log, so that it can be scored again from the log alone --------------------


def question_json(question: Question) -> dict[str, Any]:
    """Return what scorers need of a question, JSON-able; masks are kept as they are encoded."""
    facts = {
        key: {"base64": base64.b64encode(_bytes(value)).decode()} if _is_picture(value) else value
        for key, value in question.facts.items()
    }
    return {
        "answer": jsonable_or_text(question.answer),
        "choices": list(question.choices),
        "group": question.group,
        "tools": [jsonable_or_text(dict(tool)) for tool in question.tools],
        "facts": {key: jsonable_or_text(value) for key, value in facts.items()},
    }


def _is_picture(value: Any) -> bool:
    return isinstance(value, bytes | Path)


def _bytes(picture: Any) -> bytes:
    try:
        return encoded(picture)
    except MissingPicture:
        return b""


def question_of(row: Mapping[str, Any]) -> Question:
    """Return the question of a row of the log."""
    kept = row["question"]
    facts = {
        key: base64.b64decode(value["base64"])
        if isinstance(value, dict) and set(value) == {"base64"}
        else value
        for key, value in kept["facts"].items()
    }
    return Question(
        id=row["id"],
        prompt=row["prompt"],
        answer=kept["answer"],
        category=row["category"],
        choices=tuple(kept["choices"]),
        group=kept["group"],
        tools=tuple(kept["tools"]),
        facts=facts,
    )
