"""The training loop: advance, log, evaluate, save; interrupted anywhere, it goes on to the same result."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

from policies.evaluation import EvalConfig, Evaluation
from policies.networks import PolicyNet
from policies.training.checkpoint import (
    has_checkpoint,
    load_checkpoint,
    previous_of,
    random_state,
    save_checkpoint,
    set_random_state,
)
from policies.training.distributed import Ranks, agree
from policies.training.trainer import Diverged, Trainer, check_finite

LAST: Final = "last"
STOPS: Final = ("", "time", "interrupted", "reached")
"""Why training stops early; of several processes' reasons the latest in this list counts for all."""


@dataclass(frozen=True)
class LoopConfig:
    """How long to train, and what happens meanwhile.

    Attributes:
        env_steps: Steps of single environments in all.
        eval_every: Environment steps between evaluations, 0 for none but the last.
        save_every: Environment steps between checkpoints, 0 for none but the last.
        stop_at: Stop when an evaluation's success rate reaches this; above 1 never.
        max_wall_s: Stop, resumable, after this time in one sitting [s]; 0 for no limit.
        eval: The evaluation.
    """

    env_steps: int = 200_000
    eval_every: int = 20_000
    save_every: int = 20_000
    stop_at: float = 2.0
    max_wall_s: float = 0.0
    eval: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        """Refuse numbers that make no training."""
        if self.env_steps < 1:
            raise ValueError(f"env_steps is {self.env_steps}; train at least 1 step")
        if self.eval_every < 0 or self.save_every < 0:
            raise ValueError("eval_every and save_every are numbers of steps, 0 or more")


class Observer(Protocol):
    """Who is told how training goes, and keeps what it makes."""

    def metrics(self, env_steps: int, values: Mapping[str, float]) -> None:
        """Take the metrics of one advance, or of an evaluation."""
        ...

    def best(self, net: PolicyNet, env_steps: int, evaluation: Evaluation) -> None:
        """Keep the best policy so far."""
        ...

    def rewind(self, env_steps: int) -> None:
        """Forget what was logged after these steps; training goes on from there."""
        ...


@dataclass
class _Counters:
    """What the loop itself remembers, besides the trainer's state."""

    next_eval: int = 0
    next_save: int = 0
    best_rate: float = -1.0
    best_return: float = float("-inf")
    best_steps: int = 0
    rate: float = -1.0
    wall_s: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
        reason: `done`, `reached` (the success rate asked for), `interrupted` or `time`.
        env_steps: Environment steps in all.
        wall_s: Time in all sittings [s].
        best_rate: Best success rate of the evaluations, -1 if there was none.
        best_steps: Environment steps of that policy.
        last: The last evaluation of this sitting, None if there was none.
    """

    reason: str
    env_steps: int
    wall_s: float
    best_rate: float
    best_steps: int
    last: Evaluation | None

    @property
    def is_finished(self) -> bool:
        """Whether there is nothing to resume."""
        return self.reason in ("done", "reached")


class TrainingLoop:
    """Trains, in the process that calls it.

    Args:
        trainer: The algorithm with its environments.
        folder: Where checkpoints go; of several processes (`RANK`), each has its own.
        config: How long, how often.
        evaluate: Runs the evaluation of `config.eval`.
        observer: Who is told; with several processes only that of the first.
        about: What a checkpoint must agree in, such as task and algorithm; JSON values.
    """

    def __init__(
        self,
        trainer: Trainer,
        folder: Path,
        config: LoopConfig,
        evaluate: Callable[[PolicyNet], Evaluation],
        observer: Observer,
        about: Mapping[str, Any],
    ) -> None:
        """See the class."""
        self._trainer, self._config, self._evaluate = trainer, config, evaluate
        self._observer, self._about = observer, dict(about)
        self._ranks = ranks = Ranks.from_environ()
        self._is_first = ranks.is_first
        name = LAST if ranks.is_first else f"{LAST}_rank{ranks.rank}"
        self._checkpoint = folder / "checkpoints" / name
        self._counters = _Counters(config.eval_every, config.save_every)
        self._stop = ""
        self._last: Evaluation | None = None

    def run(self) -> Outcome:
        """Train until done or stopped; Ctrl-C and SIGTERM save first.

        Raises:
            Diverged: If numbers are not finite any more; the last checkpoint is good.
            OSError: If a checkpoint can't be written; the one before is good.
        """
        began, config = time.monotonic(), self._config
        if self._has_checkpoint():
            self._resume()
        before = self._counters.wall_s
        handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGINT, signal.SIGTERM)}
        reason = ""
        try:
            while self._trainer.env_steps < config.env_steps:
                self._advance()
                self._counters.wall_s = before + time.monotonic() - began
                if config.max_wall_s and time.monotonic() - began > config.max_wall_s:
                    self._stop = self._stop or "time"
                asked = "reached" if self._counters.rate >= config.stop_at else self._stop
                reason = STOPS[agree(STOPS.index(asked))]
                if reason:
                    break
                if config.save_every and self._trainer.env_steps >= self._counters.next_save:
                    self._counters.next_save = _next(self._trainer.env_steps, config.save_every)
                    self._save()
            reason = reason or "done"
            if reason == "done" and not config.eval_every:
                self._evaluate_now()
            self._save()
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        c = self._counters
        return Outcome(reason, self._trainer.env_steps, c.wall_s, c.best_rate, c.best_steps, self._last)

    # ---- parts --------------------------------------------------------------------------------------

    def _advance(self) -> None:
        steps, began = self._trainer.env_steps, time.monotonic()
        values = dict(self._trainer.advance())
        check_finite(values)
        spent = max(time.monotonic() - began, 1e-9)
        now = self._trainer.env_steps
        if self._is_first:
            self._observer.metrics(now, values | {"speed/env_steps_per_s": (now - steps) / spent})
        if self._config.eval_every and (now >= self._counters.next_eval or now >= self._config.env_steps):
            self._counters.next_eval = _next(now, self._config.eval_every)
            self._evaluate_now()

    def _evaluate_now(self) -> None:
        if not self._is_first:
            return
        random = random_state()  # building and running a network draws numbers; training must not notice
        try:
            self._judge(self._trainer.net())
        finally:
            set_random_state(random)

    def _judge(self, net: PolicyNet) -> None:
        now, c = self._trainer.env_steps, self._counters
        if not all(bool(p.isfinite().all()) for p in net.state_dict().values()):
            raise Diverged("a weight became nan; training stopped and the last checkpoint is kept")
        self._last = found = self._evaluate(net)
        c.rate, mean = found.rate, sum(found.returns) / len(found.returns)
        self._observer.metrics(now, {"eval/success": found.rate, "eval/return": mean})
        if (found.rate, mean) > (c.best_rate, c.best_return):
            c.best_rate, c.best_return, c.best_steps = found.rate, mean, now
            self._observer.best(net, now, found)

    def _save(self) -> None:
        tree = {
            "about": self._about,
            "env_steps": self._trainer.env_steps,
            "processes": self._ranks.world_size,
            "loop": asdict(self._counters),
            "random": random_state(),
            "trainer": self._trainer.state(),
        }
        try:
            # Where one of several processes dies while another has saved, both still have the one before.
            save_checkpoint(self._checkpoint, tree, keep_previous=self._ranks.is_many)
        except OSError as error:
            kept = "the one before is kept" if has_checkpoint(self._checkpoint) else "there is none yet"
            raise OSError(
                f"the checkpoint {self._checkpoint} cannot be written ({error}); {kept}; "
                "free some space and resume"
            ) from error

    def _has_checkpoint(self) -> bool:
        """Return whether there is something to go on from; all processes have it, or none."""
        has = int(has_checkpoint(self._checkpoint))
        if agree(has) != -agree(-has):
            raise ValueError(
                "not every process has a checkpoint; resume with as many as before, or start a new run"
            )
        return bool(has)

    def _load(self) -> dict[str, Any]:
        """Return the newest checkpoint that all processes have."""
        tree = load_checkpoint(self._checkpoint)
        common = -agree(-tree["env_steps"])
        previous = previous_of(self._checkpoint)
        if tree["env_steps"] != common and has_checkpoint(previous):
            tree = load_checkpoint(previous)
        if agree(int(tree["env_steps"] != common)):
            raise ValueError("the processes' checkpoints are of different steps; start a new run")
        return tree

    def _resume(self) -> None:
        tree = self._load()
        for key, value in self._about.items():
            stored = tree["about"].get(key)
            if json.dumps(stored, sort_keys=True) != json.dumps(value, sort_keys=True):
                raise ValueError(f"the checkpoint was made with {key}={stored}, this run has {key}={value}")
        if tree.get("processes", self._ranks.world_size) != self._ranks.world_size:
            raise ValueError(
                f"the checkpoint is of {tree['processes']} processes, these are {self._ranks.world_size}; "
                "resume with as many as before"
            )
        self._trainer.load_state(tree["trainer"])
        self._counters = _Counters(**tree["loop"])
        set_random_state(tree["random"])
        if self._is_first:
            self._observer.rewind(self._trainer.env_steps)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stop:  # asked twice: now
            raise KeyboardInterrupt
        self._stop = "interrupted"
        if self._is_first:
            print("stopping after this step, to go on from there; once more stops at once", file=sys.stderr)


def _next(now: int, every: int) -> int:
    """Return the first multiple of `every` after `now`."""
    return (now // every + 1) * every
