"""The planner behind an OpenAI-compatible endpoint does on the table what it does in this process."""

import pytest

import habilis
from vlm_agent.bench.stats import proportion
from vlm_agent.bench.tabletop import episode_row
from vlm_agent.scripted.model import ScriptedModel
from vlm_agent.serve_model import serving

pytestmark = pytest.mark.render
FAMILIES = ("container", "beside", "referring", "impossible", "unclear", "size", "pick_up", "on_top")


def _rows(n, *overrides):
    cfg = habilis.compose("bench", [*overrides, "save=false"])
    from omegaconf import OmegaConf

    config = OmegaConf.to_container(cfg, resolve=True)
    tasks = [
        {"id": f"{k}", "seed": 50_000 + k, "family": FAMILIES[k % len(FAMILIES)], "folder": ""}
        for k in range(n)
    ]
    return [episode_row(task, build=habilis.build, config=config) for task in tasks]


def _compare(n):
    here = _rows(n)
    with serving(ScriptedModel()) as url:
        there = _rows(n, "model=openai", "model.model=scripted", f"model.base_url={url}")
    assert not any(row["void"] for row in here + there)
    score_here, score_there = (proportion([r["success"] for r in rows]) for rows in (here, there))
    low, high = score_here.ci95
    assert low <= score_there.rate <= high, (str(score_here), str(score_there))
    return here, there


def test_served_and_in_process_agree_on_one_episode_of_each_family():
    here, there = _compare(len(FAMILIES))
    assert [(r["outcome"], r["success"]) for r in here] == [(r["outcome"], r["success"]) for r in there]
    assert all(r["success"] for r in here)


@pytest.mark.slow
def test_served_score_lies_in_the_interval_of_the_in_process_one():
    _compare(40)
