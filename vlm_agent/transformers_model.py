"""`transformers`: a local vision-language model as a `ChatModel`, on CPU or GPU, without a server.

Any model whose chat template takes tools: the template tells it of the tools, and the calls are read in
the format that the template teaches (`tool_formats.py`), or decoding is constrained to it
(`constrained.py`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from perception_tools.results import ToolSpec
from vlm_agent.chat_messages import chat_messages
from vlm_agent.model import Message, ModelError, Reply
from vlm_agent.tool_formats import FORMATS, ToolFormatError, format_of, read_reply

Json = dict[str, Any]


@dataclass(frozen=True)
class TransformersConfig:
    """Settings of a local model.

    Attributes:
        path: Folder of the checkpoint, or its name in the local cache of the Hub; nothing is downloaded.
        device: `auto` (the first GPU, else CPU), `cpu`, `cuda`, `cuda:1`.
        dtype: Type of the weights; `auto` takes that of the checkpoint.
        attention: Implementation of attention as transformers names it; None leaves it to transformers.
        num_threads: Threads of torch on CPU; None leaves them as they are.
        tool_format: How calls are written (`tool_formats.py`); None finds out from the chat template.
        chat_template: File with a chat template in place of the checkpoint's.
        constrained: Let the model write nothing but valid calls (needs `llguidance`).
        max_calls: Most calls of a constrained reply.
        max_tokens: Longest reply [tokens].
        timeout_s: Longest time for a reply [s].
        temperature: 0 takes the likeliest token; else tokens are sampled.
        top_p: Smallest set of tokens to sample from, by probability.
        seed: Seed of the sampling: equal conversations get equal replies.
        max_image_px: Longest side of an image that the model is shown [px]; larger ones are scaled down.
        images_in_tool_results: Show images inside tool results; else in a user message after them.
        stop: Texts that end a reply.
    """

    path: str
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    attention: str | None = None
    num_threads: int | None = None
    tool_format: str | None = None
    chat_template: str | None = None
    constrained: bool = False
    max_calls: int = 4
    max_tokens: int = 1024
    timeout_s: float = 300.0
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_image_px: int = 1024
    images_in_tool_results: bool = False
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what no model could take."""
        if not self.path:
            raise ValueError("model.path is empty; set the folder of a checkpoint")
        if self.tool_format is not None:
            format_of(self.tool_format)
        least = {"max_tokens": 1, "max_calls": 1, "max_image_px": 28}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise ValueError(f"model.{name} must be at least {low}, got {getattr(self, name)}")
        if not self.timeout_s > 0 or self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError(
                "model.timeout_s must be positive, temperature at least 0 and top_p in (0, 1], got "
                f"{self.timeout_s}, {self.temperature}, {self.top_p}"
            )


def _check_folder(path: str) -> None:
    """Refuse a path without a checkpoint; names of the Hub's cache are looked up when the model is loaded.

    Raises:
        ValueError: Says what is missing.
    """
    folder = Path(path).expanduser()
    if not folder.is_dir():
        if not path.startswith(("/", ".", "~")):
            return
        why = "there is no such folder"
    elif not (folder / "config.json").is_file():
        why = "the folder has no config.json"
    else:
        return
    raise ValueError(f"no model at {path!r}: {why}; set model.path to a folder that save_pretrained wrote")


class TransformersModel:
    """A chat model in this process; loaded with the first request, one request at a time."""

    def __init__(self, config: TransformersConfig) -> None:
        """Remember the settings; nothing heavy happens here.

        Raises:
            ValueError: `path` is a folder's, and there is no checkpoint.
        """
        _check_folder(config.path)
        self.config = config
        self._lock = threading.Lock()
        self._loaded: Any = None
        self._constraint: Any = None

    @property
    def name(self) -> str:
        """Name for traces and reports."""
        return f"transformers:{self.config.path.rstrip('/').rpartition('/')[2]}"

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[ToolSpec],
        cancel: threading.Event | None = None,
    ) -> Reply:
        """Return the next assistant turn; a set `cancel` ends it after the token that is being computed.

        Raises:
            ModelError: No usable turn; the message says what to do.
        """
        from vlm_agent.transformers_loading import LoadingError

        cancel = cancel or threading.Event()
        deadline = time.perf_counter() + self.config.timeout_s
        with ExitStack() as turn:
            self._wait_for_turn(turn, cancel, deadline)
            try:
                return self._complete(messages, tools, cancel, deadline)
            except LoadingError as error:
                raise ModelError(str(error), kind="rejected") from error

    def _wait_for_turn(self, turn: ExitStack, cancel: threading.Event, deadline: float) -> None:
        while not self._lock.acquire(timeout=0.02):
            if cancel.is_set():
                raise ModelError("the request was cancelled", kind="cancelled")
            if time.perf_counter() > deadline:
                raise self._timed_out()
        turn.callback(self._lock.release)
        if cancel.is_set():
            raise ModelError("the request was cancelled", kind="cancelled")

    def _complete(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], cancel: threading.Event, deadline: float
    ) -> Reply:
        from vlm_agent.transformers_loading import check_tools

        loaded = self._ready()
        format_name = check_tools(loaded, tools, self.config.tool_format)
        inputs = self._inputs(messages, tools)
        prompt = int(inputs["input_ids"].shape[1])
        if loaded.max_positions is not None and prompt + self.config.max_tokens > loaded.max_positions:
            raise ModelError(
                f"the conversation has {prompt} tokens and a reply may have {self.config.max_tokens}, but "
                f"the model takes {loaded.max_positions}; lower model.max_image_px or model.max_tokens",
                kind="too_long",
            )
        guide = self._guide(tools, format_name, prompt)
        tokens = self._generate(inputs, guide, cancel, deadline)[prompt:]
        if cancel.is_set():
            raise ModelError("the request was cancelled", kind="cancelled")
        is_whole = bool(tokens) and tokens[-1] in self._ends()
        if not is_whole and time.perf_counter() > deadline:
            raise self._timed_out()
        return self._reply(tokens, prompt, format_name, is_whole or len(tokens) < self.config.max_tokens)

    # ---- loading --------------------------------------------------------------------------------

    def _ready(self) -> Any:
        if self._loaded is None:
            from vlm_agent.transformers_loading import LoadingError, import_transformers, load

            import_transformers()
            cfg = self.config
            if cfg.num_threads is not None:
                import torch

                torch.set_num_threads(cfg.num_threads)
            self._loaded = load(
                str(Path(cfg.path).expanduser()), self._device(), cfg.dtype, cfg.chat_template, cfg.attention
            )
            if cfg.constrained:
                from vlm_agent.constrained import Constraint

                try:
                    width = self._loaded.model.get_output_embeddings().weight.shape[0]
                    self._constraint = Constraint(self._loaded.tokenizer, width)
                except (ImportError, ValueError) as error:
                    raise LoadingError(str(error)) from error
        return self._loaded

    def _device(self) -> str:
        if self.config.device != "auto":
            return self.config.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

    # ---- the request ----------------------------------------------------------------------------

    def _inputs(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> Any:
        """Return tokens and pixels on the model's device.

        Raises:
            ModelError: The template or the processor refuses the conversation.
        """
        from vlm_agent.transformers_loading import schema_of

        loaded = self._loaded
        chat = chat_messages(
            messages,
            in_parts=loaded.in_parts,
            sees=loaded.sees,
            max_image_px=self.config.max_image_px,
            images_in_tool_results=self.config.images_in_tool_results,
            control=tuple(str(t) for t in loaded.tokenizer.added_tokens_decoder.values()),
        )
        try:
            inputs = loaded.processor.apply_chat_template(
                chat, chat_template=loaded.template, tools=schema_of(tools) or None, tokenize=True,
                add_generation_prompt=True, return_dict=True, return_tensors="pt",
            )  # fmt: skip
        except Exception as error:  # a template raises what it likes
            why = " ".join(str(error).split())[:300]
            raise ModelError(
                f"the model's chat template or processor refuses the conversation ({type(error).__name__}: "
                f"{why})",
                kind="rejected",
            ) from error
        return inputs.to(loaded.model.device, dtype=loaded.model.dtype)

    def _guide(self, tools: Sequence[ToolSpec], format_name: str, prompt: int) -> Any:
        if self._constraint is None or not tools:
            return None
        try:
            return self._constraint.processor(
                tools, format_name, self.config.max_calls, prompt, self.config.max_tokens
            )
        except ValueError as error:
            raise ModelError(f"{error}; say model.constrained=false", kind="rejected") from error

    def _generate(self, inputs: Any, guide: Any, cancel: threading.Event, deadline: float) -> list[int]:
        import torch

        cfg, model = self.config, self._loaded.model

        def is_over(input_ids: Any, scores: Any, **_: Any) -> Any:
            over = cancel.is_set() or time.perf_counter() > deadline
            return torch.full((input_ids.shape[0],), over, dtype=torch.bool, device=input_ids.device)

        sampled = {"do_sample": True, "temperature": cfg.temperature, "top_p": cfg.top_p, "top_k": 0}
        greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        settings = dict(greedy if cfg.temperature == 0 else sampled)
        if cfg.stop:
            settings |= {"stop_strings": list(cfg.stop), "tokenizer": self._loaded.tokenizer}
        gpus = [model.device] if model.device.type == "cuda" else []
        with torch.inference_mode(), torch.random.fork_rng(devices=gpus):
            torch.manual_seed(cfg.seed)
            try:
                out = model.generate(
                    **inputs,
                    max_new_tokens=cfg.max_tokens,
                    pad_token_id=self._pad(),
                    stopping_criteria=[is_over],
                    logits_processor=[guide] if guide is not None else None,
                    **settings,
                )
            except torch.OutOfMemoryError as error:
                raise ModelError(
                    "the device has no memory left for this conversation; lower model.max_image_px",
                    kind="too_long",
                ) from error
            except (RuntimeError, ValueError, IndexError) as error:
                why = " ".join(str(error).split())[:300]
                raise ModelError(
                    f"the model failed: {type(error).__name__}: {why}", kind="rejected"
                ) from error
        return out[0].tolist()

    def _ends(self) -> set[int]:
        found = self._loaded.model.generation_config.eos_token_id
        ends = found if isinstance(found, list) else [found]
        return {k for k in (*ends, self._loaded.tokenizer.eos_token_id) if k is not None}

    def _pad(self) -> int | None:
        tokenizer = self._loaded.tokenizer
        return tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def _timed_out(self) -> ModelError:
        return ModelError(f"no reply within {self.config.timeout_s:g} s (model.timeout_s)", kind="timeout")

    # ---- the reply ------------------------------------------------------------------------------

    def _reply(self, tokens: list[int], prompt: int, format_name: str, is_whole: bool) -> Reply:
        """Read the calls of a reply.

        Raises:
            ModelError: Torn at the limit, or with a call that cannot be read.
        """
        text = self._text(tokens)
        torn = "the reply was cut off at the token limit; be brief (or raise model.max_tokens)"
        try:
            said, calls = read_reply(text, format_name)
        except ToolFormatError as error:
            why = str(error) if is_whole else torn
            raise ModelError(why, kind="garbage") from error
        if not is_whole and (not calls or isinstance(calls[-1].arguments, str)):
            raise ModelError(torn, kind="garbage")
        ids = [c.id for c in calls]
        calls = tuple(replace(c, id="") if ids.count(c.id) > 1 else c for c in calls)
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": len(tokens),
            "total_tokens": prompt + len(tokens),
        }
        finish = "tool_calls" if calls else "stop" if is_whole else "length"
        return Reply(said, calls, usage, finish)

    def _text(self, tokens: list[int]) -> str:
        """Decode, without the special tokens that are no marks of a format."""
        tokenizer = self._loaded.tokenizer
        marks = {mark for f in FORMATS.values() for mark in f.marks}
        drop = {
            k for k in tokenizer.all_special_ids if tokenizer.convert_ids_to_tokens(k) not in _MARKS | marks
        }
        return tokenizer.decode([t for t in tokens if t not in drop], skip_special_tokens=False)


_MARKS = {"<tool_call>", "</tool_call>", "[ARGS]", "[CALL_ID]", "<|python_end|>", "<think>", "</think>"}


def load_local(**settings: Any) -> TransformersModel:
    """Build the model from the fields of `TransformersConfig`, as ``configs/model/transformers.yaml`` has."""
    return TransformersModel(TransformersConfig(**settings))
