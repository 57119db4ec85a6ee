"""A hierarchy of networks as one folder: an ONNX file per level and how they join; runs without torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from policies.hierarchy import GoalEntry, HierarchicalPolicy, Level
from policies.onnx_policy import OnnxPolicy, read_policy_file, spec_from_json, spec_to_json
from policies.policy import ArraySpec, PolicySpec
from policies.runs import write_files

LEVELS: Final = "levels.json"
"""File that makes a folder a hierarchy."""
FORMAT: Final = 1
_CARD: Final = "card.md"


@dataclass(frozen=True)
class LevelFile:
    """One level, stored.

    Attributes:
        name: What messages and the file in the folder call it.
        file: The level's ONNX file; or a folder with one.
        goal: See `policies.hierarchy.Level`, here and below.
        unit: Unit of the goal.
        rename: Names of its observations outside.
        prefix: Put before the names of its actions.
    """

    name: str
    file: Path
    goal: tuple[GoalEntry, ...] = ()
    unit: str = "1"
    rename: Mapping[str, str] = field(default_factory=dict)
    prefix: str = ""

    @property
    def onnx(self) -> Path:
        """The ONNX file."""
        return self.file / "policy.onnx" if self.file.is_dir() else self.file

    def load(self) -> Level:
        """Return the level, its network loaded.

        Raises:
            ValueError: If there is no ONNX file, or it is damaged.
        """
        return Level(OnnxPolicy(self.onnx), self.goal, self.unit, self.rename, self.prefix, self.name)


class StoredHierarchy(HierarchicalPolicy):
    """A hierarchy that came from a folder.

    Attributes:
        about: Where it comes from.
    """

    def __init__(
        self, levels: Sequence[Level], obs: Mapping[str, ArraySpec], about: Mapping[str, Any]
    ) -> None:
        """See the class."""
        super().__init__(levels, obs)
        self.about = dict(about)


def save_hierarchy(
    folder: Path,
    levels: Sequence[LevelFile],
    obs: Mapping[str, ArraySpec] | None = None,
    about: Mapping[str, Any] | None = None,
) -> HierarchicalPolicy:
    """Write a hierarchy into one folder: the levels' ONNX files, `levels.json`, `card.md`.

    Args:
        folder: Where; it is made.
        levels: From the top to the bottom. A script has no file: only networks are stored.
        obs: Observations that the environment or the robot offers; see `HierarchicalPolicy`.
        about: Where it comes from, JSON values; see `policies.artifact.save_policy`.

    Returns:
        The policy as it is stored.

    Raises:
        ValueError: If the levels do not fit together, or two have one name.
        OSError: If it can't be written.
    """
    from policies.card import card

    about = dict(about or {})
    names = [level.name for level in levels]
    if len(set(names)) < len(names) or not all(n.isidentifier() for n in names):
        raise ValueError(f"levels are named {', '.join(names)}; use different names of letters and digits")
    whole = HierarchicalPolicy([level.load() for level in levels], obs)
    needed = {k: v for k, v in whole.spec.obs.items() if k in whole.reads}
    whole = StoredHierarchy(whole.levels, needed, about)
    contents = [read_policy_file(level.onnx) for level in levels]
    rows = [_row(level, data) for level, data in zip(levels, contents, strict=True)]
    text = {"format": FORMAT, "spec": json.loads(spec_to_json(whole.spec)), "levels": rows, "about": about}
    text["sha256"] = _digest(text)
    network = {
        "kind": "levels",
        "levels": names,
        "acts every [s]": [x.policy.spec.step_dt for x in whole.levels],
    }
    task = about.get("task")
    files = {f"{level.name}.onnx": data for level, data in zip(levels, contents, strict=True)}
    files[_CARD] = card(about, whole.spec, task, network).encode()
    files[LEVELS] = (json.dumps(text, indent=1, allow_nan=False) + "\n").encode()
    write_files(folder, files)
    return whole


def load_hierarchy(path: Path, device: str = "cpu") -> StoredHierarchy:
    """Load what `save_hierarchy` wrote; it runs in onnxruntime on the CPU whatever `device` is.

    Args:
        path: The folder, or its `levels.json`.
        device: Not used; so that all loaders of policies are called alike.

    Raises:
        ValueError: If a file is missing or was changed, or it is of another version.
    """
    path = path / LEVELS if path.is_dir() else path
    try:
        text = json.loads(read_policy_file(path))
        version, digest, rows = text["format"], text.pop("sha256"), text["levels"]
        if version != FORMAT:
            raise ValueError(f"it has format {version}, this program reads {FORMAT}")
        if _digest(text) != digest:
            raise ValueError("it was changed after it was made (its sha256 does not fit)")
        levels = [_level(row, path.parent) for row in rows]
        spec = spec_from_json(json.dumps(text["spec"]))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no hierarchy of habilis: {error!r}; export it again") from error
    except ValueError as error:
        raise ValueError(f"{path} is refused: {error}; export it again") from error
    found = StoredHierarchy(levels, spec.obs, text["about"])
    _check_same(path, found.spec, spec)
    return found


def _row(level: LevelFile, data: bytes) -> dict[str, Any]:
    """Return a level as JSON values; goals without limits have null there."""
    goal = [
        {k: None if v in (float("-inf"), float("inf")) else v for k, v in asdict(g).items()}
        for g in level.goal
    ]
    joined = {"goal": goal, "unit": level.unit, "rename": dict(level.rename), "prefix": level.prefix}
    return {
        "name": level.name,
        "file": f"{level.name}.onnx",
        "sha256": hashlib.sha256(data).hexdigest(),
        **joined,
    }


def _level(row: Mapping[str, Any], folder: Path) -> Level:
    name = row["file"]
    if name != Path(name).name:
        raise ValueError(f"it names the file {name!r} outside its folder")
    if hashlib.sha256(read_policy_file(folder / name)).hexdigest() != row["sha256"]:
        raise ValueError(f"{name} is another file than the one that was stored (its sha256 does not fit)")
    goal = tuple(GoalEntry(**{k: v for k, v in entry.items() if v is not None}) for entry in row["goal"])
    return LevelFile(row["name"], folder / name, goal, row["unit"], row["rename"], row["prefix"]).load()


def _check_same(path: Path, found: PolicySpec, stored: PolicySpec) -> None:
    if found != stored:
        raise ValueError(f"{path} states other observations or actions than its levels have; export it again")


def _digest(text: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything but the digest."""
    return hashlib.sha256(json.dumps(text, sort_keys=True, allow_nan=False).encode()).hexdigest()
