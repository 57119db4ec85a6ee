"""Loading a local model of `transformers`: weights, processor and chat template, with clear errors.

There is no CPU build of torchvision for torch 2.13, and a build that does not fit takes transformers'
vision classes with it, so it is left uninstalled: images are then processed by PIL. Stock Qwen-VL
processors also want a video processor, which needs torchvision; `image_only` derives a processor that
does without. It is registered with `AutoProcessor`, so that a checkpoint saved with it loads again.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perception_tools.results import ToolSpec
from vlm_agent.tool_formats import detect_format

Json = dict[str, Any]

_VIDEO = {"qwen2_vl": "Qwen2VLProcessor", "qwen2_5_vl": "Qwen2_5_VLProcessor", "qwen3_vl": "Qwen3VLProcessor"}
_WORD = "zyxprobe"  # occurs in no template


class LoadingError(RuntimeError):
    """The model cannot be used; one line that says what to do."""


@dataclass(frozen=True)
class Loaded:
    """A model that is ready.

    Attributes:
        model: The network, in evaluation mode.
        processor: Of images and text; the tokenizer itself for a model without eyes.
        tokenizer: The tokenizer.
        sees: Whether it takes images.
        template: Its chat template.
        in_parts: Whether the template wants contents as lists of parts, else as text.
        max_positions: Longest sequence [tokens], None if it does not say.
    """

    model: Any
    processor: Any
    tokenizer: Any
    sees: bool
    template: str
    in_parts: bool
    max_positions: int | None


def load(path: str, device: str, dtype: str, chat_template: str | None, attention: str | None) -> Loaded:
    """Load a model from a folder, or from the local cache of the Hugging Face Hub; nothing is downloaded.

    Raises:
        LoadingError: Says what is missing.
    """
    transformers = import_transformers()
    try:
        config = transformers.AutoConfig.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        why = (
            _first(error)
            if Path(path).is_dir()
            else "no such folder, and no such name in the Hub's cache here"
        )
        raise LoadingError(f"no model at {path!r}: {why}; set model.path to a checkpoint's folder") from error
    sees = type(config) in transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    auto = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    processor = _processor(transformers, path, config) if sees else _tokenizer(transformers, path)
    tokenizer = getattr(processor, "tokenizer", processor)
    template = _template(processor, tokenizer, chat_template)
    try:
        model = auto.from_pretrained(
            path, dtype=dtype, local_files_only=True, attn_implementation=attention, trust_remote_code=False
        )
        model = model.to(device).eval()
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise LoadingError(f"cannot load the weights of {path!r}: {_first(error)}") from error
    text = getattr(config, "text_config", config)
    in_parts = _wants_parts(processor, template)
    return Loaded(
        model, processor, tokenizer, sees, template, in_parts, getattr(text, "max_position_embeddings", None)
    )


def import_transformers() -> Any:
    """Import transformers.

    Raises:
        LoadingError: It, or torch, is not installed, or a torchvision that does not fit is.
    """
    for name in ("torch", "transformers"):
        if importlib.util.find_spec(name) is None:
            raise LoadingError(f"model=transformers needs {name}: pip install 'habilis[models]'")
    if importlib.util.find_spec("torchvision") is not None:
        try:
            importlib.import_module("torchvision")
        except Exception as error:  # an ImportError, or a RuntimeError of an operator that is not there
            raise LoadingError(
                f"the torchvision that is installed does not fit torch ({_first(error)}) and breaks "
                "transformers' vision models; they work without: pip uninstall torchvision"
            ) from error
    return importlib.import_module("transformers")


def _processor(transformers: Any, path: str, config: Any) -> Any:
    has_torchvision = importlib.util.find_spec("torchvision") is not None
    try:
        if config.model_type in _VIDEO and not has_torchvision:
            return register_image_only(config.model_type).from_pretrained(path, local_files_only=True)
        processor = transformers.AutoProcessor.from_pretrained(path, local_files_only=True)
    except ImportError as error:
        raise LoadingError(
            f"the processor of {path!r} needs a package that is not here: {_first(error)}"
            + ("" if has_torchvision else " (torchvision is left out on purpose: see docs/brains.md)")
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise LoadingError(f"cannot load the processor of {path!r}: {_first(error)}") from error
    if getattr(processor, "image_processor", None) is None:
        raise LoadingError(
            f"{path!r} loads as {type(processor).__name__}, which takes no images: its processor_class is "
            "not known to transformers; is processor_config.json there?"
        )
    return processor


def _tokenizer(transformers: Any, path: str) -> Any:
    try:
        return transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise LoadingError(f"cannot load the tokenizer of {path!r}: {_first(error)}") from error


def register_image_only(model_type: str) -> Any:
    """Return the processor of a model type without its video processor, known to `AutoProcessor`.

    Raises:
        ValueError: No such model type among those that need it.
    """
    import transformers

    if model_type not in _VIDEO:
        raise ValueError(f"{model_type!r} needs no image-only processor; these do: {', '.join(_VIDEO)}")
    stock = getattr(transformers, _VIDEO[model_type])
    config_class = transformers.CONFIG_MAPPING[model_type]
    registered = transformers.AutoProcessor
    name = f"ImageOnly{stock.__name__}"
    known = _image_only.get(name)
    if known is None:
        known = _image_only[name] = image_only(stock)
        registered.register(config_class, known, exist_ok=True)
    return known


_image_only: dict[str, Any] = {}


def image_only(stock: Any) -> Any:
    """Derive a processor that takes images and text, and has no video processor."""
    from transformers import ProcessorMixin

    class ImageOnly(stock):
        """A processor of images and text."""

        def __init__(
            self, image_processor: Any = None, tokenizer: Any = None, chat_template: Any = None, **_: Any
        ) -> None:
            # The stock constructor insists on a video processor, so its few fields are set here.
            for kind in ("image", "video", "vision_start", "vision_end"):
                token = getattr(tokenizer, f"{kind}_token", None) or _TOKENS[kind]
                setattr(self, f"{kind}_token", token)
                setattr(self, f"{kind}_token_id", tokenizer.convert_tokens_to_ids(token))
            ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)

    ImageOnly.__name__ = ImageOnly.__qualname__ = f"ImageOnly{stock.__name__}"
    return ImageOnly


_TOKENS = {
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
}


# ---- the chat template --------------------------------------------------------------------------


def _template(processor: Any, tokenizer: Any, file: str | None) -> str:
    """Return the chat template in use: a file's, or the checkpoint's own."""
    if file is not None:
        try:
            template = Path(file).read_text(encoding="utf-8")
        except OSError as error:
            raise LoadingError(f"model.chat_template {file!r} cannot be read: {error.strerror}") from error
    else:
        template = getattr(processor, "chat_template", None) or getattr(tokenizer, "chat_template", None)
    if isinstance(template, dict):  # several by name
        template = template.get("tool_use") or template.get("default")
    if not template:
        raise LoadingError("the model has no chat template; give one: model.chat_template=FILE.jinja")
    return template


def render(loaded_processor: Any, template: str, messages: Sequence[Json], tools: Sequence[Json]) -> str:
    """Render a conversation as text, for looking at a template.

    Raises:
        LoadingError: The template refuses it.
    """
    try:
        return loaded_processor.apply_chat_template(
            list(messages), chat_template=template, tools=list(tools) or None, tokenize=False,
            add_generation_prompt=True,
        )  # fmt: skip
    except Exception as error:  # jinja2.TemplateError, TypeError, ... : whatever a template does
        raise LoadingError(f"the chat template fails: {_first(error)}") from error


def _wants_parts(processor: Any, template: str) -> bool:
    """Whether the template shows the text of a content that is a list of parts.

    Raises:
        LoadingError: It shows neither text nor parts.
    """
    parts = [{"role": "user", "content": [{"type": "text", "text": _WORD}]}]
    plain = [{"role": "user", "content": _WORD}]
    why = ""
    for messages, is_parts in ((parts, True), (plain, False)):
        try:
            text = render(processor, template, messages, ())
        except LoadingError as error:
            why = str(error)
            continue
        if _WORD in text and "'type'" not in text and '"type"' not in text:
            return is_parts
    raise LoadingError(why or "the chat template shows no user's message; give another: model.chat_template")


def check_tools(loaded: Loaded, tools: Sequence[ToolSpec], format_name: str | None) -> str:
    """Return the tool-call format of a model, after checking that its template tells it of the tools.

    Raises:
        LoadingError: It does not, or the format is unknown.
    """
    text = {"type": "text", "text": _WORD}
    messages = [{"role": "user", "content": [text] if loaded.in_parts else _WORD}]
    probe = {"name": _WORD * 2, "description": "", "parameters": {"type": "object", "properties": {}}}
    if tools and _WORD * 2 not in render(
        loaded.processor, loaded.template, messages, [{"type": "function", "function": probe}]
    ):
        raise LoadingError(
            "the model's chat template takes no tools; choose a model whose template does, or give one: "
            "model.chat_template=FILE.jinja"
        )
    found = format_name or detect_format(loaded.template)
    if found is None:
        raise LoadingError(
            "the chat template does not show how calls are written; say so: model.tool_format=hermes "
            "(or llama, mistral, pythonic, qwen_xml)"
        )
    return found


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0] if len(lines[0]) <= 300 else f"{lines[0][:300]}…"


def schema_of(specs: Sequence[ToolSpec]) -> list[Json]:
    """Return tools as chat templates take them; a copy, for templates may write into it."""
    from vlm_agent.openai_format import tools_to_json

    return json.loads(json.dumps(tools_to_json(specs)))
