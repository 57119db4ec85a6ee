"""Rows are run once, survive crashes and hangs of their worker, and are resumed."""

import json
import os
import time

import pytest

from vlm_agent.bench.runner import RowFile, read_rows, run_rows


def double(task):
    return {"id": task["id"], "value": 2 * task["x"]}


def die_on_three(task):
    if task["x"] == 3:
        os._exit(9)
    return double(task)


def hang_on_three(task):
    if task["x"] == 3:
        time.sleep(600)
    return double(task)


TASKS = [{"id": f"row_{x}", "x": x} for x in range(5)]


@pytest.mark.parametrize("workers", [0, 2])
def test_every_task_gives_one_row(workers):
    rows = list(run_rows(TASKS, double, workers=workers, timeout_s=60))
    assert sorted((r["id"], r["value"]) for r in rows) == [(f"row_{x}", 2 * x) for x in range(5)]


@pytest.mark.parametrize(("work", "word"), [(die_on_three, "ProcessExpired"), (hang_on_three, "Timeout")])
def test_lost_worker_voids_its_row_only_after_a_second_try(work, word):
    rows = {r["id"]: r for r in run_rows(TASKS, work, workers=2, timeout_s=6)}
    assert len(rows) == 5
    void = rows.pop("row_3")
    assert void["void"] and void["tries"] == 2 and word in void["message"]
    assert all(not r.get("void") for r in rows.values())


def test_row_file_resumes_after_a_torn_line_and_forgets_void_rows(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"id": "a", "value": 1}\n{"id": "b", "void": true}\n{"id": "c", "val')
    rows = RowFile(path)
    assert set(rows.done) == {"a"}
    rows.append({"id": "b", "value": 2})
    rows.close()
    assert read_rows(path) == [{"id": "a", "value": 1}, {"id": "b", "value": 2}]


def test_damage_before_the_last_line_is_an_error(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("{oops\n" + json.dumps({"id": "a"}) + "\n")
    with pytest.raises(ValueError, match="line 1"):
        read_rows(path)
