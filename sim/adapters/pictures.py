"""Pictures of environments, drawn when asked for."""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim.batch.env import BatchEnv
from sim.rendering import Renderer


class Pictures:
    """Draws environments with camera `view`; keeps a renderer for each one shown.

    Args:
        env: The environment.
        width: Image width [px].
        height: Image height [px].
    """

    def __init__(self, env: BatchEnv, width: int = 480, height: int = 480) -> None:
        """See the class."""
        self._env, self._size = env, (width, height)
        self._shown: dict[int, tuple[int, Any, Renderer]] = {}

    def of(self, index: int) -> NDArray[np.uint8]:
        """Return environment `index` as it is now, (height, width, 3).

        Raises:
            RenderingUnavailable: No OpenGL; says which package to install.
        """
        episode = int(self._env.episode[index])
        if self._shown.get(index, (-1,))[0] != episode:  # colours and light may differ in each
            self._open(index, episode)
        _, data, renderer = self._shown[index]
        for name in ("qpos", "mocap_pos", "mocap_quat"):
            if getattr(data, name).size:
                getattr(data, name)[...] = self._env.physics.field(name)[index].cpu().numpy()
        return renderer.view("view", with_depth=False).rgb

    def close(self) -> None:
        """Release the renderers; idempotent."""
        for _, _, renderer in self._shown.values():
            renderer.close()
        self._shown.clear()

    def _open(self, index: int, episode: int) -> None:
        if index in self._shown:
            self._shown.pop(index)[2].close()
        model, data = self._env.physics.mj_data(index)
        width, height = self._size
        model.vis.global_.offwidth, model.vis.global_.offheight = width, height
        renderer = Renderer(model, data, threading.Lock(), width=width, height=height)
        self._shown[index] = (episode, data, renderer)
