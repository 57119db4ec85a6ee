"""Before a robot is listened to, what is done for the first time has been done once."""

import gc

import pytest

import habilis
import habilis_planner
from vlm_agent.rehearsal import drawn_picture, rehearse


def test_the_drawn_picture_is_understood(monkeypatch):
    frozen = []
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(True))
    cfg = habilis.compose("run", [])
    outcomes = rehearse(lambda camera: habilis.build_picture(cfg, camera, None))
    assert outcomes == ("answered", "answered") and frozen


def test_the_picture_has_a_table_to_stand_on():
    camera = drawn_picture()
    frame = camera.capture()
    assert camera.plane is not None and frame.rgb.shape == (240, 320, 3)
    assert (frame.depth_m > 0.7).all() and (frame.depth_m < 0.81).all()


@pytest.mark.parametrize("model", ["scripted", "openai"])
def test_it_comes_before_the_network_and_asks_no_other_model(monkeypatch, model):
    order = []
    monkeypatch.setattr("vlm_agent.rehearsal.settle", lambda: order.append("settled"))
    monkeypatch.setattr(habilis_planner, "remote_world", lambda cfg: order.append("network") or cfg.model)
    words = ["transport=dds", f"model={model}"]
    words += ["model.model=none", "model.base_url=http://127.0.0.1:9/v1"] if model == "openai" else []
    cfg = habilis.compose("run", words)
    assert habilis_planner._rehearsed_world(cfg) == cfg.model  # the configuration is as it was
    assert order == ["settled", "network"]
