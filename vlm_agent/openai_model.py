"""`openai`: any OpenAI-compatible endpoint as a `ChatModel`."""

from __future__ import annotations

import email.utils
import json
import math
import os
import re
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from perception_tools.results import ToolSpec
from vlm_agent.model import Message, ModelError, Reply
from vlm_agent.openai_format import FormatError, ImageFormat, messages_to_json, reply_from_json, tools_to_json

OPENAI_URL = "https://api.openai.com/v1"
POLL_S = 0.02
MAX_BODY = 8_000_000  # longest response taken [characters]


@dataclass(frozen=True)
class OpenAIConfig:
    """Settings of an endpoint.

    Attributes:
        model: Name of the model at the endpoint.
        base_url: Address up to and including ``/v1``.
        api_key_env: Environment variable that holds the key; only the official endpoint needs one.
        timeout_s: Longest wait for a reply, all of it [s].
        max_tokens: Longest reply; None leaves it to the provider.
        max_tokens_field: What the provider calls it.
        temperature: Sampling temperature; None leaves it to the provider.
        seed: Sampling seed; None sends none.
        images_in_tool_results: Whether the provider takes images inside tool results; else they
            follow as a user message that names the call.
        image_format: How images are sent.
        jpeg_quality: 1 to 100.
        extra_body: Further fields of the request.
    """

    model: str
    base_url: str = OPENAI_URL
    api_key_env: str = "OPENAI_API_KEY"
    timeout_s: float = 120.0
    max_tokens: int | None = None
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    temperature: float | None = None
    seed: int | None = None
    images_in_tool_results: bool = False
    image_format: ImageFormat = "jpeg"
    jpeg_quality: int = 90
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what no endpoint could take."""
        if not self.model:
            raise ValueError("model.model is empty; set the name of a model at the endpoint")
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"model.base_url must start with http:// or https://, got {self.base_url!r}")
        if not self.timeout_s > 0:
            raise ValueError(f"model.timeout_s must be positive, got {self.timeout_s}")


class OpenAIModel:
    """A chat model behind an OpenAI-compatible endpoint. One request per turn, no hidden retries."""

    def __init__(self, config: OpenAIConfig) -> None:
        """Connect with the first request."""
        self.config = config
        self._client: Any = None
        self._key = ""
        self._where = re.sub(r"//[^/@]*@", "//", config.base_url)  # without a password

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        return f"openai:{self.config.model}"

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Return the next assistant turn.

        Raises:
            ModelError: No usable turn; the message says what to do.
        """
        request = self._request(messages, tools)
        client = self._connected()
        answer: list[Any] = []

        def ask() -> None:
            try:
                raw = client.chat.completions.with_raw_response.create(**request)
                answer.append((raw.headers.get("content-type", ""), raw.text))
            except Exception as error:  # handed to the caller's thread
                answer.append(error)

        thread = threading.Thread(target=ask, name="chat-completion", daemon=True)
        thread.start()
        deadline = time.perf_counter() + self.config.timeout_s
        while thread.is_alive():
            thread.join(POLL_S)
            if cancel is not None and cancel.is_set():
                self._drop_client()
                raise ModelError("the request was cancelled", kind="cancelled")
            if thread.is_alive() and time.perf_counter() > deadline:
                self._drop_client()
                raise self._timed_out()
        if isinstance(answer[0], Exception):
            raise self._explain(answer[0]) from answer[0]
        return self._parse(*answer[0])

    def _request(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> dict[str, Any]:
        cfg = self.config
        request: dict[str, Any] = {
            "model": cfg.model,
            "messages": messages_to_json(
                messages,
                images_in_tool_results=cfg.images_in_tool_results,
                image_format=cfg.image_format,
                jpeg_quality=cfg.jpeg_quality,
            ),
            "extra_body": dict(cfg.extra_body),
        }
        if tools:
            request["tools"] = tools_to_json(tools)
        if cfg.max_tokens is not None:
            request[cfg.max_tokens_field] = cfg.max_tokens
        if cfg.temperature is not None:
            request["temperature"] = cfg.temperature
        if cfg.seed is not None:
            request["seed"] = cfg.seed
        return request

    def _connected(self) -> Any:
        if self._client is None:
            import openai

            self._key = os.environ.get(self.config.api_key_env, "").strip()
            if not self._key and self.config.base_url.rstrip("/") == OPENAI_URL:
                raise ModelError(f"no API key; set {self.config.api_key_env}", kind="auth")
            self._client = openai.OpenAI(
                api_key=self._key or "none",
                base_url=self.config.base_url,
                timeout=self.config.timeout_s,
                max_retries=0,
            )
        return self._client

    def _drop_client(self) -> None:
        """Abort what is under way."""
        client, self._client = self._client, None
        client.close()

    def _parse(self, content_type: str, body: str) -> Reply:
        if len(body) > MAX_BODY:
            raise self._garbage(f"a response of {len(body)} characters")
        try:
            reply = reply_from_json(json.loads(body))
        except FormatError as error:
            raise self._garbage(str(error)) from error
        except (ValueError, RecursionError) as error:
            kind = content_type.split(";")[0] or "no content type"
            raise self._garbage(f"{self._said(body)!r} ({kind}) is not JSON") from error
        is_torn = reply.finish_reason == "length"
        if is_torn and (not reply.tool_calls or isinstance(reply.tool_calls[-1].arguments, str)):
            raise ModelError(
                "the reply was cut off at the token limit; be brief (or raise model.max_tokens)",
                kind="garbage",
            )
        if reply.finish_reason == "content_filter" and not reply.tool_calls:
            raise ModelError("the provider's content filter withheld the reply", kind="rejected")
        return reply

    def _explain(self, error: Exception) -> ModelError:
        """Return the `ModelError` that an error of the SDK amounts to."""
        import openai

        if isinstance(error, openai.APITimeoutError):
            return self._timed_out()
        if isinstance(error, openai.APIStatusError):
            return self._refused(error)
        if isinstance(error, openai.APIConnectionError):
            why = self._said(str(error.__cause__ or error)) or "no connection"
            return ModelError(
                f"cannot reach {self._where} ({why}); is it running, is model.base_url right?",
                kind="unreachable",
            )
        return self._garbage(f"{type(error).__name__}: {self._said(str(error))}")

    def _refused(self, error: Any) -> ModelError:
        status, code = error.status_code, str(error.code or "")
        said = f"{status}: {self._said(error.response.text)}"
        wait_s = retry_after_s(error.response.headers)
        if status in (401, 403):
            kind, what = "auth", f"refuses the key ({said}); check {self.config.api_key_env}"
        elif status == 429 and code == "insufficient_quota":
            kind, what = "auth", f"says that the account has no quota left ({said})"
        elif status == 429:
            kind, what = "rate_limited", f"is rate limited ({said})"
        elif status in (408, 504):
            kind, what = "timeout", f"timed out ({said})"
        elif status == 413 or code == "context_length_exceeded" or "context length" in said.lower():
            kind, what = "too_long", f"finds the conversation too long for {self.config.model!r} ({said})"
        elif status >= 500:
            kind, what = "unreachable", f"failed ({said})"
        else:
            hint = "; are model.base_url and model.model right?" if status == 404 else ""
            kind, what = "rejected", f"rejects the request ({said}){hint}"
        return ModelError(f"{self._where} {what}", kind=kind, retry_after_s=wait_s)

    def _timed_out(self) -> ModelError:
        return ModelError(
            f"no reply from {self._where} within {self.config.timeout_s:g} s (model.timeout_s)",
            kind="timeout",
        )

    def _garbage(self, what: str) -> ModelError:
        return ModelError(f"{self._where} sent no chat completion: {what}", kind="garbage")

    def _said(self, text: str) -> str:
        """Return what the provider said: one short line, without the key."""
        try:
            error = json.loads(text).get("error")
            text = error["message"] if isinstance(error, dict) else str(error)
        except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
            pass  # no JSON error object: show the text itself
        text = " ".join(str(text).split())
        if self._key:
            text = text.replace(self._key, "***")
        return text if len(text) <= 200 else f"{text[:200]}…"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return how long a provider asks to wait [s] (`Retry-After`: seconds or a date), None if not said."""
    value = headers.get("retry-after")
    if value is None:
        return None
    try:
        wait_s = float(value)
    except ValueError:
        try:
            wait_s = email.utils.parsedate_to_datetime(value).timestamp() - time.time()
        except ValueError:
            return None
    return max(0.0, wait_s) if math.isfinite(wait_s) else None


def connect(**settings: Any) -> OpenAIModel:
    """Build the model from the fields of `OpenAIConfig`, as ``configs/model/openai.yaml`` has them."""
    return OpenAIModel(OpenAIConfig(**settings))
