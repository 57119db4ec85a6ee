"""Conversations as OpenAI-compatible JSON, and back; the two directions are inverses.

Images are content parts with data URLs, each preceded by a text part that names it, ``[image image_3]``.
Where a provider refuses images in tool results, they follow all results of the turn in one user
message that names the call of each: ``[images of call call_7]``.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from perception_tools.results import ToolCall, ToolSpec
from vlm_agent.model import ImageContent, Message, Reply, TextContent

ImageFormat = Literal["jpeg", "png"]
Json = dict[str, Any]

MAX_PIXELS = 16_000_000  # largest image taken from a request

_IMAGE = re.compile(r"\[image ([A-Za-z0-9_\-]*)\]")
_OF_CALL = re.compile(r"\[images of call (.*)\]")
_DATA_URL = re.compile(r"data:image/(jpeg|jpg|png);base64,")


class FormatError(ValueError):
    """The JSON is no conversation, or no reply; one line that says where."""


# ---- to JSON ------------------------------------------------------------------------------------


def messages_to_json(
    messages: Sequence[Message],
    *,
    images_in_tool_results: bool = False,
    image_format: ImageFormat = "jpeg",
    jpeg_quality: int = 90,
) -> list[Json]:
    """Return `messages` of a chat completion request."""
    out: list[Json] = []
    pending: list[Json] = []  # images of tool results, waiting for the last result of the turn
    for message in messages:
        if message.role != "tool" and pending:
            out.append({"role": "user", "content": pending})
            pending = []
            if message.role == "user" and all(isinstance(c, TextContent) for c in message.content):
                # one user message instead of two in a row, which some providers refuse
                out[-1]["content"].append({"type": "text", "text": message.text})
                continue
        images = [c for c in message.content if isinstance(c, ImageContent)]
        parts = _image_parts(images, image_format, jpeg_quality)
        if message.role == "tool":
            text: Any = message.text
            if parts and images_in_tool_results:
                text = [{"type": "text", "text": message.text}, *parts]
            elif parts:
                pending += [{"type": "text", "text": f"[images of call {message.call_id}]"}, *parts]
            out.append({"role": "tool", "tool_call_id": message.call_id, "content": text})
        elif message.role == "assistant":
            out.append(_assistant_to_json(message.text, message.tool_calls))
        else:
            text_parts = [{"type": "text", "text": message.text}] if message.text else []
            content: Any = [*text_parts, *parts] if parts else message.text
            out.append({"role": message.role, "content": content})
    return [*out, {"role": "user", "content": pending}] if pending else out


def _assistant_to_json(text: str, calls: Sequence[ToolCall]) -> Json:
    out: Json = {"role": "assistant", "content": text or None}
    if calls:
        out["tool_calls"] = [_call_to_json(call) for call in calls]
    return out


def _call_to_json(call: ToolCall) -> Json:
    raw = call.arguments
    arguments = raw if isinstance(raw, str) else json.dumps(dict(raw), ensure_ascii=False)
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _image_parts(images: Sequence[ImageContent], image_format: ImageFormat, quality: int) -> list[Json]:
    parts: list[Json] = []
    for image in images:
        parts.append({"type": "text", "text": f"[image {image.name}]"})
        url = f"data:image/{image_format};base64,{_encode(image.rgb, image_format, quality)}"
        parts.append({"type": "image_url", "image_url": {"url": url}})
    return parts


def _encode(rgb: NDArray[np.uint8], image_format: ImageFormat, quality: int) -> str:
    import cv2

    parameters = [cv2.IMWRITE_JPEG_QUALITY, quality] if image_format == "jpeg" else []
    suffix = ".jpg" if image_format == "jpeg" else ".png"
    data = cv2.imencode(suffix, np.ascontiguousarray(rgb[..., ::-1]), parameters)[1]
    return base64.b64encode(data.tobytes()).decode("ascii")


def tools_to_json(specs: Sequence[ToolSpec]) -> list[Json]:
    """Return `tools` of a chat completion request."""
    return [
        {
            "type": "function",
            "function": {
                "name": spec.name,
                "description": spec.description,
                "parameters": dict(spec.parameters),
            },
        }
        for spec in specs
    ]


def reply_to_json(reply: Reply, model: str, request_id: str, created_s: int) -> Json:
    """Return a chat completion response."""
    finish = reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")
    message = _assistant_to_json(reply.text, reply.tool_calls)
    return {
        "id": request_id,
        "object": "chat.completion",
        "created": created_s,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": dict(reply.usage),
    }


# ---- from JSON ----------------------------------------------------------------------------------


def reply_from_json(data: Any) -> Reply:
    """Parse a chat completion response.

    Raises:
        FormatError: It is none.
    """
    choices = data.get("choices") if isinstance(data, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise FormatError("the response has no choices")
    message = choices[0].get("message")
    if not isinstance(message, dict):
        raise FormatError("the response's first choice has no message")
    usage = data.get("usage")
    return Reply(
        text=_text_of(message.get("content")),
        tool_calls=_calls_from_json(message.get("tool_calls")),
        usage={k: v for k, v in usage.items() if isinstance(v, int)} if isinstance(usage, dict) else {},
        finish_reason=str(choices[0].get("finish_reason") or ""),
    )


def messages_from_json(items: Any) -> list[Message]:
    """Parse `messages` of a chat completion request.

    Raises:
        FormatError: Says which message is wrong, and how.
    """
    if not isinstance(items, list) or not items:
        raise FormatError("messages must be a non-empty list")
    messages: list[Message] = []
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            raise FormatError(f"messages[{number}] must be an object")
        try:
            _add_message(messages, item)
        except FormatError as error:
            raise FormatError(f"messages[{number}]: {error}") from error
    return messages


def _add_message(messages: list[Message], item: Mapping[str, Any]) -> None:
    role = item.get("role")
    if role == "developer":
        role = "system"
    if role not in ("system", "user", "assistant", "tool"):
        raise FormatError(f"unknown role {str(role)[:40]!r}")
    content = _content_from_json(item.get("content"))
    if role == "user" and _give_to_calls(messages, content):
        return
    calls = _calls_from_json(item.get("tool_calls")) if role == "assistant" else ()
    call_id = str(item.get("tool_call_id") or "") if role == "tool" else ""
    messages.append(Message(role, _unmarked(content), calls, call_id))


Content = list[TextContent | ImageContent]


def _content_from_json(content: Any) -> Content:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [TextContent(content)]
    if not isinstance(content, list):
        raise FormatError("content must be text or a list of parts")
    return [_part_from_json(part) for part in content]


def _part_from_json(part: Any) -> TextContent | ImageContent:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return TextContent(part["text"])
    if kind == "image_url" and isinstance(part.get("image_url"), dict):
        return ImageContent(_decode(part["image_url"].get("url")))
    raise FormatError(f"unknown content part {str(kind)[:40]!r}; parts are text and image_url")


def _decode(url: Any) -> NDArray[np.uint8]:
    import io

    from PIL import Image

    match = _DATA_URL.match(url) if isinstance(url, str) else None
    if match is None:
        raise FormatError("image_url must be a data URL with base64 JPEG or PNG; nothing is fetched")
    try:
        image = Image.open(io.BytesIO(base64.b64decode(url[match.end() :], validate=True)))
        if image.width * image.height > MAX_PIXELS:
            raise FormatError(f"image of {image.width}x{image.height} is too large (max {MAX_PIXELS} pixels)")
        return np.asarray(image.convert("RGB"))
    except FormatError:
        raise
    except (binascii.Error, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise FormatError(f"image cannot be decoded ({type(error).__name__})") from error


def _unmarked(content: Content) -> tuple[TextContent | ImageContent, ...]:
    """Turn the markers before images into the images' names."""
    out: Content = []
    for item in content:
        mark = _IMAGE.fullmatch(out[-1].text) if out and isinstance(out[-1], TextContent) else None
        if isinstance(item, ImageContent) and mark is not None:
            out[-1] = ImageContent(item.rgb, mark.group(1))
        else:
            out.append(item)
    return tuple(out)


def _give_to_calls(messages: list[Message], content: Content) -> bool:
    """Give images that name their call to its tool message; False if this is another user message."""
    if not content or not isinstance(content[0], TextContent) or not _OF_CALL.fullmatch(content[0].text):
        return False
    answers = {m.call_id: k for k, m in enumerate(messages) if m.role == "tool"}
    target: int | None = None
    rest: Content = []  # what the user said besides
    for item in _unmarked(content):
        mark = _OF_CALL.fullmatch(item.text) if isinstance(item, TextContent) else None
        if mark is not None:
            target = answers.get(mark.group(1))
        elif isinstance(item, TextContent):
            rest.append(item)
        elif target is not None:
            old = messages[target]
            messages[target] = replace(old, content=(*old.content, item))
    if rest:
        messages.append(Message("user", tuple(rest)))
    return True


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(p["text"] for p in content if isinstance(p, dict) and isinstance(p.get("text"), str))
    return content if isinstance(content, str) else ""


def _calls_from_json(items: Any) -> tuple[ToolCall, ...]:
    if items is None:
        return ()
    if not isinstance(items, list):
        raise FormatError("tool_calls must be a list")
    return tuple(_call_from_json(item) for item in items)


def _call_from_json(item: Any) -> ToolCall:
    function = item.get("function") if isinstance(item, dict) else None
    if not isinstance(function, dict):
        raise FormatError("a tool call has no function")
    return ToolCall(str(item.get("id") or ""), str(function.get("name") or ""), _arguments(function))


def _arguments(function: Mapping[str, Any]) -> Mapping[str, Any] | str:
    """Return parsed arguments, or their raw text where it is no JSON object."""
    raw = function.get("arguments")
    if isinstance(raw, dict):
        return raw
    if raw is None or raw == "":
        return {}
    text = raw if isinstance(raw, str) else json.dumps(raw)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, dict) else text


def specs_from_json(items: Any) -> list[ToolSpec]:
    """Parse `tools` of a chat completion request.

    Raises:
        FormatError: Not a list of functions.
    """
    if items is None:
        return []
    if not isinstance(items, list):
        raise FormatError("tools must be a list")
    specs = []
    for number, item in enumerate(items):
        function = item.get("function") if isinstance(item, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise FormatError(f"tools[{number}] has no function with a name")
        description, parameters = function.get("description"), function.get("parameters")
        specs.append(
            ToolSpec(
                function["name"],
                description if isinstance(description, str) else "",
                parameters if isinstance(parameters, dict) else {},
            )
        )
    return specs
