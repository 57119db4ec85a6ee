"""`habilis bench score`: what comes in wrong is said in one line, and nothing is scored."""

import json

import pytest

import habilis

ANSWERS = {"val_Jigsaw_1": "(A)", "val_Jigsaw_2": "(B)", "val_Counting_1": "(C)"}
GOOD = [{"id": "val_Jigsaw_1", "output": "(A)"}]


@pytest.fixture
def score(bench, write_rows, tmp_path):
    (tmp_path / "gold").mkdir()
    (tmp_path / "gold" / "answers.json").write_text(json.dumps(ANSWERS))

    def run(rows, *more):
        said = write_rows(rows)
        return bench("score", "benchmark=blink", f"data={tmp_path / 'gold'}", f"predictions={said}", *more)

    return run


def test_mean_of_task_accuracies_and_missing_rows_are_wrong(score):
    code, got, _ = score([*GOOD, {"id": "val_Counting_1", "output": "C"}])
    # Jigsaw: 1 of 2 (one has no answer), Counting: 1 of 1; (0.5 + 1) / 2.
    assert code == 0 and got["score"] == 0.75 and got["n"] == 3 and got["missing"] == 1
    assert got["totals"]["row_weighted"] == pytest.approx(2 / 3)
    assert got["categories"]["Jigsaw"]["n"] == 2 and got["void"] == 0
    assert 0 <= got["ci95"][0] <= 0.75 <= got["ci95"][1] <= 1


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([*GOOD, '{"id": "val_Jigsaw_2", "outp'], "line 2 is not JSON (cut off?)"),
        ([*GOOD, *GOOD], "line 2: id 'val_Jigsaw_1' was already in line 1"),
        ([{"id": "val_Jigsaw_1", "answer": "(A)"}], "no column 'output' (columns: id, answer)"),
        ([{"idx": "val_Jigsaw_1", "output": "(A)"}], "no column 'id' (columns: idx, output)"),
        ([{"id": "val_Jigsaw_1", "output": 3}], "output must be text"),
        ([{"id": ["x"], "output": "A"}], "id must be text"),
        ([{"id": "val_Jigsaw_9", "output": "A"}], "1 of 1 ids are not in the ground truth: 'val_Jigsaw_9'"),
        (["[1, 2]"], "must be an object"),
        ([], "holds no predictions"),
    ],
)
def test_bad_predictions_are_one_line(score, rows, words):
    code, got, err = score(rows)
    assert code == 2 and got is None
    assert words in err and err.count("\n") == 1 and "Traceback" not in err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["score", "benchmark=blink", "data=/nowhere", "predictions={said}"], "does not exist"),
        (["score", "benchmark=blink", "data={empty}", "predictions={said}"], "no data of blink"),
        (["score", "benchmark=blink", "data={empty}", "predictions=/nowhere.jsonl"], "can't be read"),
        (["score", "benchmark=blink", "data={empty}"], "needs predictions="),
        (["score", "benchmark=blink", "predictions={said}"], "needs data="),
        (["score", "benchmark=blnk"], "did you mean 'blink'"),
        (["scroe", "benchmark=blink"], "knows no 'scroe'"),
    ],
)
def test_bad_usage_is_one_line(bench, write_rows, tmp_path, argv, words):
    said = write_rows(GOOD)
    (tmp_path / "empty").mkdir()
    code, _, err = bench(*(a.format(said=said, empty=tmp_path / "empty") for a in argv))
    assert code == 2 and words in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "not JSON"), ("[1]", "one JSON object"), ("{}", "holds no rows")],
)
def test_bad_ground_truth(bench, write_rows, tmp_path, text, words):
    (tmp_path / "answers.json").write_text(text)
    code, _, err = bench("score", "benchmark=blink", f"data={tmp_path}", f"predictions={write_rows(GOOD)}")
    assert code == 2 and words in err and err.count("\n") == 1


def test_unknown_scorer_lists_the_known(score):
    code, _, err = score(GOOD, "scorer=v9")
    assert code == 2 and "scorers: official, strict" in err


def test_void_rows_are_no_answers_and_strict_refuses_them(score):
    rows = [{"id": "val_Jigsaw_1", "void": True}, {"id": "val_Jigsaw_2", "output": "B"}]
    code, got, _ = score(rows)
    assert code == 0 and got["void"] == 1 and got["n"] == 2  # the void one is in no denominator
    code, _, err = score(rows, "--strict")
    assert code == 2 and "1 rows are void" in err


def test_marks_are_written_whole(score, tmp_path):
    code, _, _ = score(GOOD, f"marks={tmp_path / 'marks.jsonl'}")
    rows = [json.loads(line) for line in (tmp_path / "marks.jsonl").read_text().splitlines()]
    assert code == 0 and [r["score"] for r in rows] == [1, 0, 0]
    assert [r["note"] for r in rows] == ["", "missing", "missing"]


def test_a_full_disk_is_one_line(score):
    code, _, err = score(GOOD, "marks=/dev/full/x")
    assert code == 1 and err.count("\n") == 1 and "/dev/full" in err


@pytest.mark.parametrize("target", ["marks={}", "--json {}"])
def test_a_full_device_is_one_line_and_stays_a_device(score, tmp_path, capsys, target):
    score(GOOD)
    full = tmp_path / "full"
    full.symlink_to("/dev/full")
    words = ["score", "benchmark=blink", f"data={tmp_path / 'gold'}"]
    words += [f"predictions={tmp_path / 'predictions.jsonl'}", *target.format(full).split()]
    assert habilis.main(["bench", *words]) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "the disk is full" in err and str(full) in err
    assert full.is_symlink()


def test_a_link_is_written_through(score, tmp_path):
    (tmp_path / "there").write_text("old and longer than it will be\n" * 40)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    code, _, _ = score(GOOD, f"marks={tmp_path / 'link'}")
    assert code == 0 and (tmp_path / "link").is_symlink()
    assert len((tmp_path / "there").read_text().splitlines()) == 3


def test_a_score_over_void_rows_alone_is_none(score):
    code, got, err = score([{"id": row_id, "void": True} for row_id in ANSWERS])
    assert code == 1 and got["score"] is None and got["void"] == 3 and "every row is void (3)" in err


def test_recorded_blink_answers_are_all_right(bench, sample, write_rows):
    folder = sample("blink")
    said = []
    for file in folder.glob("*.val.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        said += [{"id": r["idx"], "output": r["answer"]} for r in rows]
    code, got, _ = bench("score", "benchmark=blink", f"data={folder}", f"predictions={write_rows(said)}")
    assert code == 0 and got["n"] == 212 and got["score"] == 1


def test_listing_names_every_licence(bench):
    code, got, _ = bench("--list")
    assert code == 0 and len(got["benchmarks"]) >= 3
    assert all(row["licence"] and row["citation"] and row["home"] for row in got["benchmarks"])
