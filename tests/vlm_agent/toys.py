"""Toy tools, a toy context and a model that says what it is told, for tests of executor and agent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field

from perception_tools.artifacts import Workspace
from perception_tools.errors import (
    BadArguments,
    Cancelled,
    ErrorKind,
    Failed,
    Infrastructure,
    Negative,
    Refused,
    ToolError,
)
from perception_tools.geometry import Intrinsics, Transform
from perception_tools.results import ToolCall, ToolOutput
from perception_tools.schema import MaskName
from perception_tools.tool import ToolContext, tool
from vlm_agent.model import ModelError, Reply

KINDS = {e.kind: e for e in (BadArguments, Negative, Refused, Failed, Cancelled, Infrastructure)}
SHAPE = (24, 32)


class Number(BaseModel):
    """A number."""

    value: float = Field(description="the number")


class Text(BaseModel):
    """A text."""

    text: str = Field(description="the text")


class Relation(BaseModel):
    """Whether something holds."""

    holds: bool = Field(description="whether it holds")


@dataclass(frozen=True, kw_only=True)
class ToyContext(ToolContext):
    """What toys write down while they run."""

    log: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)  # hanging tools wait for it
    barrier: threading.Barrier = field(default_factory=lambda: threading.Barrier(1))


def make_context(**fields: Any) -> ToyContext:
    return ToyContext(workspace=Workspace(), cameras={}, clock=fields.pop("clock", lambda: 1.5), **fields)


@tool()
def add(ctx: ToolContext, a: float, b: float = 0.0) -> Number:
    """Add two numbers.

    Args:
        a: First.
        b: Second.
    """
    return Number(value=a + b)


@tool()
def look(ctx: ToyContext) -> ToolOutput[Text]:
    """Take a picture."""
    rgb = np.arange(np.prod(SHAPE) * 3, dtype=np.uint8).reshape(*SHAPE, 3)
    image = ctx.put(
        "image",
        rgb,
        frame="camera:scene",
        label="a picture",
        intrinsics=Intrinsics.from_fovy(0.8, SHAPE[1], SHAPE[0]),
        T_world_camera=Transform.identity("world", "camera:scene"),
    )
    depth = ctx.put("depth", np.full(SHAPE, 0.5, np.float32), frame="camera:scene")
    return ToolOutput(Text(text=f"{image.name} {depth.name}"), [image])


@tool()
def relate(ctx: ToolContext, holds: bool) -> Relation:
    """Say whether it holds.

    Args:
        holds: What to say.
    """
    return Relation(holds=holds)


@tool()
def meet(ctx: ToyContext) -> Number:
    """Wait until all others are here too."""
    ctx.barrier.wait(timeout=10)
    return Number(value=1)


@tool(timeout_s=0.15)
def hang(ctx: ToyContext) -> Number:
    """Hang, whatever one says."""
    ctx.log.append("hang")
    ctx.gate.wait(60)
    return Number(value=0)


@tool()
def fail(
    ctx: ToyContext,
    kind: Literal["bad_arguments", "negative", "refused", "failed", "cancelled", "infrastructure"],
) -> Number:
    """Fail in a way.

    Args:
        kind: Which way.
    """
    ctx.log.append(kind)
    raise KINDS[ErrorKind(kind)]("as asked", reason="asked", evidence={"n": 3})


@tool()
def crash(
    ctx: ToyContext,
    how: Literal["value", "memory", "exit", "nothing", "stale"],
    times: Annotated[int, Field(ge=0)] = 99,
) -> Number:
    """Crash in a way.

    Args:
        how: Which way.
        times: How often, before it works.
    """
    ctx.log.append(how)
    if len(ctx.log) > times:
        return Number(value=7)
    if how == "value":
        raise ValueError("two\nlines")
    if how == "memory":
        raise MemoryError
    if how == "exit":
        raise SystemExit(3)
    if how == "stale":
        ctx.workspace.get("mask_9")
    return {"value": 1}  # type: ignore[return-value]


@tool(moves_robot=True, timeout_s=60)
def move(ctx: ToyContext, how: Literal["well", "badly", "hang", "forever"] = "well") -> Text:
    """Move.

    Args:
        how: In which way.
    """
    ctx.log.append(f"move {how}")
    if how == "badly":
        raise Failed("it slipped", reason="slipped")
    if how == "hang":  # until it is cancelled
        ctx.cancel.wait(60)
        raise Cancelled("came to rest", reason="cancelled")
    if how == "forever":
        ctx.gate.wait(60)
    ctx.log.append("moved")
    return Text(text="moved")


@tool(moves_robot=True)
def fly(ctx: ToyContext) -> Text:
    """Fly; nobody ever permits it."""
    ctx.log.append("fly")
    return Text(text="flew")


@tool(moves_robot=True, bypasses_gates=True)
def stop(ctx: ToyContext) -> Text:
    """Stop; releases what hangs."""
    ctx.log.append("stop")
    ctx.gate.set()
    return Text(text="stopped")


@tool(read_only=False)
def note(ctx: ToyContext, text: str) -> Text:
    """Write a note, one at a time.

    Args:
        text: The note.
    """
    ctx.log.append(f"begin {text}")
    time.sleep(0.005)
    ctx.log.append(f"end {text}")
    return Text(text=text)


TOOLS = (add, look, relate, meet, hang, fail, crash, move, fly, stop, note)

# ---- pure tools for worker processes ------------------------------------------------------------


@tool()
def grow(ctx: ToolContext, mask: MaskName) -> Text:
    """Invert a mask twice: two new masks.

    Args:
        mask: Which.
    """
    given = ctx.workspace.get(mask, "mask")
    first = ctx.put("mask", ~given.data, frame=given.frame, parents=(mask,), label=f"not {given.label}")
    second = ctx.put("mask", given.data, frame=given.frame, parents=(first.name,), meta={"of": first.name})
    return Text(text=second.name)


@tool(timeout_s=60)
def misbehave(ctx: ToolContext, how: Literal["exit", "raise", "negative", "self_filter", "pid"]) -> Number:
    """Misbehave in a worker process.

    Args:
        how: In which way.
    """
    if how == "exit":
        os._exit(11)
    elif how == "raise":
        raise ZeroDivisionError("in there")
    elif how == "negative":
        raise Negative("nothing there", reason="not_found", evidence={"seen": []})
    elif how == "self_filter" and ctx.is_robot is not None:
        ctx.is_robot(np.zeros((1, 3)))
    return Number(value=os.getpid())


@tool(timeout_s=0.5)
def stall(ctx: ToolContext) -> Number:
    """Sleep longer than permitted."""
    time.sleep(600)
    return Number(value=0)


@tool(timeout_s=60)
def sleep(ctx: ToolContext) -> Number:
    """Sleep long."""
    time.sleep(600)
    return Number(value=0)


# ---- a model ------------------------------------------------------------------------------------


def call(name: str, call_id: str = "", /, **arguments: Any) -> ToolCall:
    return ToolCall(call_id, name, arguments)


def says(*calls: ToolCall, text: str = "") -> Reply:
    return Reply(text, calls, {"total_tokens": 10})


def finish(outcome: str, *evidence: str, summary: str = "because") -> Reply:
    return says(call("finish", outcome=outcome, summary=summary, evidence=list(evidence)))


class Replies:
    """A model that gives prepared replies: a `Reply`, an error to raise, or a function of the messages."""

    name = "replies"

    def __init__(self, *steps: Any) -> None:
        self.steps = list(steps)
        self.seen: list[list[Any]] = []

    def complete(self, messages: Sequence[Any], tools: Sequence[Any], cancel: Any = None) -> Reply:
        self.seen.append(list(messages))
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, ModelError | ToolError):
            raise step
        return step(messages) if isinstance(step, Callable) else step
