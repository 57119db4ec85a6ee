"""Tool results as JSON text for models, and anything as JSON for traces.

A tool message carries exactly one JSON object; its images follow as content of the same message:

    {"ok": true, "value": {...}, "artifacts": [{"name", "kind", "label"}], "images": [{"name", "caption"}]}
    {"ok": false, "error": "negative", "reason": "not_found", "message": "...", "evidence": {...}}

`notes` (a list of sentences) is there when the executor has something to add, e.g. a changed call id.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping, Set
from enum import Enum
from typing import Any

import numpy as np
from pydantic import BaseModel

from perception_tools.artifacts import Workspace
from perception_tools.errors import ErrorKind
from perception_tools.results import ArtifactPart, ImagePart, Part, TextPart, ToolResult, ValuePart
from vlm_agent.model import ImageContent, Message, TextContent

MAX_TEXT = 20_000  # longest string kept whole
MAX_ITEMS = 10_000  # longest list or mapping kept whole
MAX_ARRAY = 256  # largest array written out
MAX_DEPTH = 32


def jsonable(value: Any, depth: int = MAX_DEPTH) -> Any:
    """Return `value` as what strict JSON can carry: bounded, finite, no exceptions.

    Dataclasses and pydantic models become objects, small arrays lists, large arrays their shape and
    dtype, non-finite numbers null; what is unknown becomes its type's name.
    """
    if value is None or (isinstance(value, bool | int) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return jsonable(value.value, depth)
    if isinstance(value, str):
        return _text(value)
    if depth <= 0:
        return "…"
    if isinstance(value, np.ndarray | np.generic):
        return _array(value, depth)
    if isinstance(value, BaseModel):
        return jsonable(dict(value), depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name), depth - 1) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        items = _first(value.items(), len(value))
        return {_text(str(k)): jsonable(v, depth - 1) for k, v in items}
    if isinstance(value, list | tuple | Set):
        return [jsonable(v, depth - 1) for v in _first(value, len(value))]
    return f"<{type(value).__name__}>" if not hasattr(value, "__fspath__") else _text(str(value))


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        value = f"{value[:MAX_TEXT]}… ({len(value)} characters)"
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def _array(value: np.ndarray | np.generic, depth: int) -> Any:
    if value.size > MAX_ARRAY:
        return {"shape": list(value.shape), "dtype": str(value.dtype)}
    return jsonable(value.tolist(), depth)


def _first(values: Iterable[Any], length: int) -> Iterable[Any]:
    return values if length <= MAX_ITEMS else [v for v, _ in zip(values, range(MAX_ITEMS), strict=False)]


def _rounded(value: Any) -> Any:
    """Round floats to 8 significant digits: models pay per digit."""
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_rounded(v) for v in value]
    return value


def result_to_text(result: ToolResult) -> str:
    """Return the one JSON object of a tool message; `result_from_text` is its inverse."""
    data: dict[str, Any] = {"ok": result.ok}
    if result.ok:
        data["value"] = jsonable(result.value)
    else:
        data |= {"error": str(result.error), "reason": result.reason, "message": _text(result.message)}
        data["evidence"] = jsonable(result.value)
    artifacts = [p for p in result.parts if isinstance(p, ArtifactPart)]
    if result.ok or artifacts:
        data["artifacts"] = [{"name": p.artifact, "kind": p.kind, "label": p.label} for p in artifacts]
    images = [{"name": p.artifact, "caption": p.caption} for p in result.parts if isinstance(p, ImagePart)]
    if images:
        data["images"] = images
    notes = [_text(p.text) for p in result.parts if isinstance(p, TextPart)]
    if notes:
        data["notes"] = notes
    return json.dumps(_rounded(data), ensure_ascii=False, separators=(",", ":"))


def result_from_text(text: str, call_id: str = "", name: str = "") -> ToolResult:
    """Parse a tool message's text.

    Raises:
        ValueError: Not the JSON object that `result_to_text` writes.
    """
    data = json.loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("ok"), bool):
        raise ValueError(f"not a tool result: {text[:80]!r}")
    parts: list[Part] = []
    value = data.get("value" if data["ok"] else "evidence") or {}
    if value:
        parts.append(ValuePart(value))
    parts += [ImagePart(p["name"], p["caption"]) for p in data.get("images", ())]
    parts += [ArtifactPart(p["name"], p["kind"], p["label"]) for p in data.get("artifacts", ())]
    parts += [TextPart(note) for note in data.get("notes", ())]
    if data["ok"]:
        return ToolResult(call_id, name, tuple(parts))
    error = ErrorKind(data["error"])
    return ToolResult(call_id, name, tuple(parts), error, data["reason"], data["message"])


def tool_message(result: ToolResult, workspace: Workspace) -> Message:
    """Return the tool message of a result: its JSON text, then its images, named."""
    content: list[TextContent | ImageContent] = [TextContent(result_to_text(result))]
    for part in result.parts:
        if isinstance(part, ImagePart):
            content.append(ImageContent(workspace.get(part.artifact, "image").data, part.artifact))
    return Message("tool", tuple(content), call_id=result.call_id)
