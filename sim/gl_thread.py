"""The thread that owns the GL context: all GL work of a process runs there, one piece after another.

EGL contexts are bound to threads. EGL is tried first, then OSMesa; MUJOCO_GL=egl|osmesa|disabled
overrides.
"""
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import atexit
import os
import queue
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

import mujoco

T = TypeVar("T")


class RenderingUnavailable(RuntimeError):
    """No OpenGL here; the message names the package to install."""


class RenderThread:
    """Runs functions one after another in the thread that owns the GL context."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="habilis-render", daemon=True)
        self._context: Any = None
        self.backend = ""
        self.live: set[GlScene] = set()
        self.num_created = 0
        self._thread.start()
        atexit.register(self._shutdown)

    def call(self, function: Callable[[], T]) -> T:
        """Run a function in the GL thread and return its result or raise its error."""
        if threading.current_thread() is self._thread:
            return function()
        future: Future[T] = Future()
        self._queue.put((function, future))
        return future.result()

    def post(self, function: Callable[[], Any]) -> None:
        """Run a function in the GL thread some time later."""
        self._queue.put((function, Future()))

    def make_current(self) -> None:
        """Create the context on first use (in the GL thread)."""
        if self._context is None:
            self._context, self.backend = _create_context()
        self._context.make_current()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            function, future = item
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)
            del item, function, future

    def _shutdown(self) -> None:
        def free_all() -> None:
            for scene in list(self.live):
                scene.free()
            if self._context is not None:
                self._context.free()
                self._context = None

        self.post(free_all)
        self._queue.put(None)
        self._thread.join(timeout=5.0)


def _create_context() -> tuple[Any, str]:
    wanted = os.environ.get("MUJOCO_GL", "").lower().strip()
    if wanted in ("disable", "disabled", "off", "false", "0"):
        raise RenderingUnavailable(
            f"rendering is switched off by MUJOCO_GL={wanted}; unset it to see pictures"
        )
    backends = (wanted,) if wanted in ("egl", "osmesa") else ("egl", "osmesa")
    before = {name: os.environ.get(name) for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM")}
    reasons = []
    for backend in backends:
        try:
            return _open_backend(backend), backend
        except Exception as error:
            first_line = next(iter(str(error).strip().splitlines()), type(error).__name__)
            reasons.append(f"{backend}: {first_line}")
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    raise RenderingUnavailable(
        f"no OpenGL for rendering ({'; '.join(reasons)}). "
        "Install one: apt-get install libegl1 libgl1-mesa-dri (EGL) or libosmesa6 (OSMesa)"
    )


def _open_backend(backend: str) -> Any:
    # PyOpenGL binds to one platform at import, so what another attempt loaded is unloaded first;
    # MuJoCo's own loader reads MUJOCO_GL when it makes its first context.
    if os.environ.get("PYOPENGL_PLATFORM", backend) != backend:
        for name in [n for n in sys.modules if n.split(".")[0] == "OpenGL" or n.startswith("mujoco.egl")]:
            del sys.modules[name]
    os.environ["PYOPENGL_PLATFORM"] = os.environ["MUJOCO_GL"] = backend
    if backend == "egl":
        from mujoco.egl import GLContext
    else:
        from mujoco.osmesa import GLContext
    return GLContext(64, 64)


_thread: RenderThread | None = None
_thread_lock = threading.Lock()
_is_forked = False


def render_thread() -> RenderThread:
    """Return the process's GL thread, starting it on first use.

    Raises:
        RenderingUnavailable: In a forked child of a process that had rendered.
    """
    global _thread
    if _is_forked:
        raise RenderingUnavailable(
            "OpenGL does not survive a fork and this process was forked after rendering had begun; "
            "start workers with multiprocessing's spawn method"
        )
    with _thread_lock:
        if _thread is None:
            _thread = RenderThread()
        return _thread


def _after_fork() -> None:
    global _is_forked, _thread_lock
    _is_forked, _thread_lock = _thread is not None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def rendering_backend() -> str:
    """Return the GL backend in use, opening it if need be: "egl" or "osmesa".

    Raises:
        RenderingUnavailable: Says which package to install.
    """
    gl = render_thread()
    gl.call(gl.make_current)
    return gl.backend


class GlScene:
    """GL objects of one model; made, used and freed in the GL thread."""

    def __init__(self, gl: RenderThread, model: mujoco.MjModel) -> None:
        gl.make_current()
        self._gl = gl
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
        context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self.context: mujoco.MjrContext | None = context
        self.scene = mujoco.MjvScene(model, maxgeom=2000)
        gl.live.add(self)
        gl.num_created += 1
        self._seen_created = gl.num_created

    def render(self, rect: mujoco.MjrRect) -> None:
        """Draw the scene into the offscreen buffer."""
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, self.context)  # others draw here too
        if self._seen_created != self._gl.num_created:
            # MuJoCo 4.0: when another context was made since, the first image comes out dark.
            mujoco.mjr_render(rect, self.scene, self.context)
            self._seen_created = self._gl.num_created
        mujoco.mjr_render(rect, self.scene, self.context)

    def free(self) -> None:
        """Release GL memory; idempotent."""
        if self.context is not None:
            self._gl.make_current()
            self.context.free()
            self.context = None
            self._gl.live.discard(self)
