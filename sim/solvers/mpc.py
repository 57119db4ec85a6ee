"""Sampling-based model-predictive control of any task: plans in a second batch of the same model.

Each control step, or every few, the state of every environment is copied into `samples` simulations,
action sequences around the last plan are rolled out in them by the task's own step and dense reward, and the
plan moves to the samples' mean, weighted by exp(return / temperature): MPPI (Williams et al., 2017,
arXiv 1707.02342); with temperature 0 to the best sample: predictive sampling (Howell et al., 2022,
arXiv 2212.00541, section 4). Sequences are linear splines of a few knots, as in the latter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sim.batch.env import BatchEnv, EnvConfig
from sim.batch.solver import Solver


@dataclass(frozen=True)
class MpcConfig:
    """Settings of the planner; its cost is samples * horizon / replan physics steps per step.

    Attributes:
        samples: Sequences rolled out per environment and plan; one is the last plan, one is to do nothing.
        horizon: Control steps looked ahead.
        knots: Knots of the splines.
        replan: Control steps that are acted out of each plan.
        noise: Standard deviation of the knots around the plan, in units of the action, of the boldest
            sample; the others share it down to a quarter.
        temperature: Of the weights, relative to the standard deviation of the returns; 0 takes the best.
        discount: Factor on rewards per control step.
        seed: Of the noise.
    """

    samples: int = 32
    horizon: int = 12
    knots: int = 4
    replan: int = 2
    noise: float = 0.8
    temperature: float = 0.1
    discount: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse plans of nothing."""
        for name in ("samples", "horizon", "knots", "replan"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; use at least 1")
        if not (2 <= self.knots <= self.horizon and self.replan <= self.horizon and self.samples >= 3):
            raise ValueError(
                f"{self.samples} samples, {self.knots} knots, {self.replan} steps of a horizon of "
                f"{self.horizon}: use at least 3 samples, 2 knots, and a horizon of at least knots and replan"
            )
        if self.noise <= 0.0 or self.temperature < 0.0 or not 0.0 < self.discount <= 1.0:
            raise ValueError(
                f"noise is {self.noise}, temperature {self.temperature}, discount {self.discount}; "
                "use noise > 0, temperature >= 0, discount in (0, 1]"
            )


class MpcSolver(Solver):
    """Plans under the nominal model and the dense reward, whatever the environment's are.

    Args:
        env: The environment.
        config: Settings.
    """

    def __init__(self, env: BatchEnv, config: MpcConfig | None = None) -> None:
        """See the class."""
        super().__init__(env)
        self.config = c = config or MpcConfig()
        n, device = env.num_envs, env.device
        task = type(env.task)(replace(env.task.config, preset="nominal", reward="dense"))
        imagined = EnvConfig(
            num_envs=n * c.samples,
            auto_reset=False,
            fault_dir=env.config.fault_dir,
            physics=env.config.physics,
        )
        self.plan_env = BatchEnv(task, imagined, env.physics.model)
        self._rows = torch.arange(n, device=device).repeat_interleave(c.samples)
        self._knots = torch.zeros(n, c.knots, env.num_actions, device=device)
        at = torch.linspace(0.0, 1.0, c.knots, device=device)
        self._spline = _hat(torch.linspace(0.0, 1.0, c.horizon, device=device), at)
        self._shift = _hat((at + c.replan / max(c.horizon - 1, 1)).clamp(max=1.0), at)
        self._bold = torch.linspace(0.25, 1.0, c.samples - 2, device=device)[:, None, None] * c.noise
        self._random = torch.Generator(device=device).manual_seed(c.seed)
        self._step = 0

    def act(self, obs: Mapping[str, Tensor]) -> Tensor:
        """See `Solver.act`."""
        begun = self.env.episode_step == 0
        if begun.any():
            self._knots[begun] = 0.0
            self._step = 0
        phase = self._step % self.config.replan
        if phase == 0:
            self._plan(shift=self._step > 0)
        self._step += 1
        return torch.einsum("k,nka->na", self._spline[phase], self._knots)

    def _plan(self, shift: bool) -> None:
        """Improve the plan once."""
        c, n = self.config, self.env.num_envs
        if shift:
            self._knots = self._shift @ self._knots
        noise = torch.randn(
            n, c.samples - 2, *self._knots.shape[1:], generator=self._random, device=self._knots.device
        )
        last = self._knots[:, None]
        knots = torch.cat((last, torch.zeros_like(last), last + self._bold * noise), 1).clamp(-1.0, 1.0)
        returns = self.rollout(self._spline @ knots)
        if c.temperature == 0.0:
            self._knots = knots[torch.arange(n, device=knots.device), returns.argmax(-1)]
            return
        spread = returns.std(-1, keepdim=True) + 1e-6
        weights = torch.softmax(returns / (c.temperature * spread), -1)
        self._knots = torch.einsum("ns,nska->nka", weights, knots)

    def rollout(self, actions: Tensor) -> Tensor:
        """Return the discounted rewards of sequences from the present states.

        Args:
            actions: In [-1, 1], (num_envs, samples, horizon, num_actions).

        Returns:
            (num_envs, samples); simulations that diverge are worth the least.
        """
        flat = actions.flatten(0, 1)
        self.plan_env.copy_state(self.env, self._rows)
        total = torch.zeros(len(flat), device=flat.device)
        diverged = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
        for k in range(flat.shape[1]):
            _, reward, _, _, info = self.plan_env.step(flat[:, k])
            total += self.config.discount**k * reward
            diverged |= info["fault"]
        total[diverged] = total.min()
        return total.view(actions.shape[:2])


def _hat(at: Tensor, knots: Tensor) -> Tensor:
    """Return weights (len(at), len(knots)) of linear interpolation between evenly spaced knots in [0, 1]."""
    return torch.clamp(1.0 - (at[:, None] - knots).abs() * (len(knots) - 1), min=0.0)
