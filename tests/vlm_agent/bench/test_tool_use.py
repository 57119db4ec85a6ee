"""Tool use: BFCL, MetaTool, Seal-Tools, m&m's."""

import json

import pytest

from vlm_agent.bench.aggregate import figures
from vlm_agent.bench.contract import Question, Scored
from vlm_agent.bench.registry import load_benchmark
from vlm_agent.bench.scorers import bfcl, bfcl_multi_turn, tool_use
from vlm_agent.bench.scorers.calls import calls_of

AREA = {
    "name": "geo.area",
    "parameters": {
        "type": "dict",
        "properties": {
            "base": {"type": "integer"},
            "height": {"type": "float"},
            "unit": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "options": {"type": "dict"},
        },
        "required": ["base", "height"],
    },
}
GOLD = [
    {
        "geo.area": {
            "base": [10],
            "height": [5.0],
            "unit": ["square units", ""],
            "tags": [["a b", "c"], ""],
            "options": [{"deep": [1, ""], "name": ["X-1"]}, ""],
        }
    }
]


def ask(answer=GOLD, category="simple_python", tools=(AREA,)):
    return Question("1", "?", answer, category, tools=tools)


@pytest.mark.parametrize(
    ("output", "right"),
    [
        ("[geo.area(base=10, height=5.0)]", 1),
        ("geo.area(base=10, height=5)", 1),  # brackets may lack; an int passes for a float
        ("```json\n" + '[{"geo.area": {"base": 10, "height": 5}}]\n```', 1),
        (
            '[{"name": "geo_area", "arguments": "{\\"base\\": 10, \\"height\\": 5}"}]',
            1,
        ),  # dots as underscores
        ("[geo.area(base=10.0, height=5)]", 0),  # a float does not pass for an int
        ("[geo.area(base=True, height=5)]", 0),
        ("[geo.area(base=10)]", 0),  # a required one lacks
        ("[geo.area(base=10, height=5, colour='red')]", 0),  # unknown
        ("[geo.area(base=10, height=5, unit='Square-Units')]", 1),  # case and punctuation do not matter
        ("[geo.area(base=10, height=5, unit='cm')]", 0),
        ("[geo.area(base=10, height=5, tags=['A.B', 'c'])]", 1),
        ("[geo.area(base=10, height=5, tags=['c', 'a b'])]", 0),  # lists keep their order
        ("[geo.area(base=10, height=5, tags=[1])]", 0),
        ("[geo.area(base=10, height=5, options={'name': 'x 1'})]", 1),  # deep may be omitted
        ("[geo.area(base=10, height=5, options={'deep': 1})]", 0),  # name may not
        ("[geo.area(base=10, height=5, options={'name': 'X-1', 'more': 1})]", 0),
        ("[geo.area(base=10, height=5), geo.area(base=10, height=5)]", 0),
        ("[volume(base=10, height=5)]", 0),
        ("I can't", 0),
        ("", 0),
    ],
)
def test_ast(output, right):
    assert bfcl.score(output, ask()).score == right


def test_a_strict_reading_wants_the_bare_list_as_listed():
    assert bfcl.strict("[geo.area(base=10, height=5)]", ask()).score == 1
    assert bfcl.strict("geo.area(base=10, height=5)", ask()).score == 0
    assert bfcl.strict("[geo.area(base=10, height=5, unit='Square-Units')]", ask()).score == 0


def test_parallel_calls_match_in_any_order_once():
    gold = [{"geo.area": {"base": [1], "height": [2.0]}}, {"geo.area": {"base": [3], "height": [4.0]}}]
    question = ask(gold, "parallel")
    assert bfcl.score("[geo.area(base=3, height=4), geo.area(base=1, height=2)]", question).score == 1
    assert bfcl.score("[geo.area(base=3, height=4), geo.area(base=3, height=4)]", question).score == 0


def test_irrelevance_is_no_call():
    question = ask("no call", "irrelevance")
    assert bfcl.score("None of them fits.", question).score == 1  # can't be read as calls: none
    assert bfcl.score("[]", question).score == 1
    assert bfcl.score("[geo.area(base=1, height=2)]", question).score == 0


def test_variables_keep_their_name():
    # The possible answer is text where an integer is declared: the name of a variable.
    question = ask([{"geo.area": {"base": ["width"], "height": [5.0]}}])
    assert bfcl.score("[geo.area(base=width, height=5)]", question).score == 1
    assert bfcl.score("[geo.area(base=depth, height=5)]", question).score == 0


def test_every_gold_answer_of_the_sample_matches_itself(sample):
    from vlm_agent.bench.sources import load_questions

    benchmark = load_benchmark("bfcl")
    questions = load_questions(benchmark, str(sample("bfcl")))
    assert len(questions) == 1040
    wrong = []
    for question in questions:
        if question.category == "irrelevance":
            continue
        mark = benchmark.scorers["official"].score([fill(p, question) for p in question.answer], question)
        wrong += [] if mark.score == 1 else [(question.id, mark.note)]
    assert not wrong


def fill(possible, question):
    """Return a call with the first possible value of every parameter that is required or may not lack."""
    (name, values), *_ = possible.items()
    tool = next(t for t in question.tools if t["name"] == name)
    required = tool["parameters"].get("required", ())
    return {name: {k: pick(v) for k, v in values.items() if "" not in v or k in required}}


def pick(values):
    value = next((v for v in values if v != ""), "")
    if isinstance(value, dict):
        return {k: pick(v) for k, v in value.items() if "" not in v}
    if isinstance(value, list):
        return [pick([v]) if isinstance(v, dict) else v for v in value]
    return value


# ---- multi-turn ----------------------------------------------------------------------------------


class Drawer:
    """A backend: a drawer that things are put into."""

    def __init__(self):
        self.things = []
        self._opened = 0

    def _load_scenario(self, config):
        self.things = list(config.get("things", []))

    def put(self, thing):
        self.things.append(thing)
        return f"{len(self.things)} things"

    def look(self):
        self._opened += 1
        return ", ".join(self.things)


def turns(*said):
    gold = [["put(thing='a')"], ["look()"]]
    facts = {"config": {"Drawer": {"things": ["z"]}}}
    question = Question("1", "?", gold, "multi_turn_base", facts=facts)
    return bfcl_multi_turn.score(list(said), question, {"Drawer": Drawer})


def test_multi_turn_compares_states_and_required_results():
    assert turns("[put(thing='a')]", "[look()]").score == 1
    assert turns("[look(), put(thing='a')]", "[look(), look()]").score == 1  # more looking changes nothing
    assert turns("[put(thing='b')]", "[look()]").note == "another state after turn 1"
    assert turns("[put(thing='a')]", "[]").note == "no call in turn 2"
    assert turns("[put(thing='a')]").score == 0
    assert turns("[put(thing='a')]", "[open(x=1)]").note == "a required result lacks in turn 2"
    assert not turns("what?", "[look()]").is_parsed
    assert turns("[put('a')]", ["look()"]).score == 1  # positional arguments, and calls as a list of texts
    assert turns([["put(thing='a')"], ["look()"]], [[{"name": "look", "arguments": {}}]]).score == 1  # steps


def test_a_turn_that_requires_nothing_is_not_checked():
    question = Question("1", "?", [[], ["put(thing='a')"]], "multi_turn_miss_func")
    said = ["[look(), put(thing='a')]", "[look()]"]  # too early, which the next turn's state does not show
    assert bfcl_multi_turn.score(said, question, {"Drawer": Drawer}).score == 1
    said = ["[put(thing='b')]", "[put(thing='a')]"]
    mark = bfcl_multi_turn.score(said, question, {"Drawer": Drawer})
    assert mark.note == "another state after turn 2"


def test_long_context_is_told_to_the_backends():
    class Long(Drawer):
        def _load_scenario(self, config, long_context=False):
            self.things = ["much"] * (9 if long_context else 0)

    for category, number in (("multi_turn_long_context", 10), ("multi_turn_base", 1)):
        question = Question("1", "?", [["put(thing='a')"]], category)
        mark = bfcl_multi_turn.score([["put(thing='a')"]], question, {"Drawer": Long})
        assert mark.score == 1
        is_long = "long" in category
        assert bfcl_multi_turn.Session({"D": Long}, {}, is_long=is_long).run([("put", {"thing": 1})]) == [
            f"{number} things"
        ]


def test_multi_turn_without_its_backends_says_what_to_install():
    question = Question("1", "?", [[]], "multi_turn_base", facts={"backends": ["TradingBot"]})
    try:
        import bfcl_eval  # noqa: F401
    except ImportError:
        with pytest.raises(ValueError, match="pip install bfcl-eval"):
            bfcl_multi_turn.score(["[]"], question)


# ---- choosing, filling, planning -----------------------------------------------------------------


def test_metatool_wants_all_and_no_other():
    question = Question("1", "?", ["Map", "News"], choices=("Map", "MapPro", "News"))
    assert tool_use.selection("I'd use News and the Map tool.", question).score == 1
    assert tool_use.selection("Map", question).score == 0
    assert tool_use.selection("News, MapPro", question).score == 0  # MapPro is not Map
    assert tool_use.selection("Map, News, MapPro", question).score == 0
    assert tool_use.strict_selection("News, Map", question).score == 1
    assert tool_use.strict_selection("News and Map", question).score == 0


def seal(output, gold):
    return tool_use.seal(output, Question("1", "?", gold))


def test_seal_tools_counts_and_its_quirks():
    gold = [{"api": "f", "parameters": {"a": 1, "b": "x"}, "responses": ["API_call_0"]}]
    text = json.dumps(gold)
    assert seal(text, gold).score == 1
    assert seal("Sure: " + text.replace('"', "'") + " Done.", gold).score == 1  # quotes are turned
    assert seal(text.replace('"x"', '"it\'s"'), gold).parts["format"] == 0  # so an apostrophe is fatal
    assert seal(json.dumps([{"api": "f", "parameters": {}}]), gold).parts["format"] == 0  # no responses
    twice = seal(json.dumps(gold + gold), gold)
    assert twice.parts["right_tools"] == 2 and twice.parts["gold_tools"] == 1  # counted each time
    assert tool_use.strict_seal(json.dumps(gold + gold), Question("1", "?", gold)).parts["right_tools"] == 1
    assert seal(text.replace("1,", '"1",', 1), gold).parts["right_parameters"] == 2  # compared as text


def test_seal_tools_is_micro_averaged():
    gold = [{"api": "f", "parameters": {"a": 1}, "responses": ["r"]}]
    two = [*gold, {"api": "g", "parameters": {}, "responses": ["r"]}]
    rows = [Question("1", "?", gold), Question("2", "?", two)]
    marks = [tool_use.seal(json.dumps(gold), row) for row in rows]
    scored = [Scored(row, mark) for row, mark in zip(rows, marks, strict=True)]
    got = figures(scored, aggregate=load_benchmark("seal_tools").aggregate)
    # Tools: 2 right of 2 said, of 3 wanted: P 1, R 2/3, F1 0.8. Parameters: all.
    assert got.score == pytest.approx(0.8)
    assert got.totals["tool_recall"] == pytest.approx(2 / 3) and got.totals["parameter_f1"] == 1


def test_mnms():
    gold = [
        {"id": 0, "name": "look", "args": {"image": "x"}},
        {"id": 1, "name": "say", "args": {"text": "<node-0>.text"}},
    ]
    question = Question("1", "?", gold)
    assert tool_use.mnms(json.dumps(gold), question).parts == {
        "tool_f1": 1,
        "argument_f1": 1,
        "edge_f1": 1,
        "plan": 1,
        "edit_distance": 0,
    }
    short = tool_use.mnms("plan: " + json.dumps({"nodes": gold[:1]}), question).parts
    # One of two tools: F1 2/3; no edge of one: 0; one insertion of two: 0.5.
    assert (
        short["tool_f1"] == pytest.approx(2 / 3) and short["edge_f1"] == 0 and short["edit_distance"] == 0.5
    )
    assert not tool_use.mnms("no plan", question).is_parsed


def test_calls_in_every_shape():
    call = [("f", {"a": 1})]
    for output in ('[{"name": "f", "arguments": {"a": 1}}]', '{"f": {"a": 1}}', "[f(a=1)]", "f(a=1)"):
        assert calls_of(output) == call, output
    nested = [{"type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    assert calls_of(nested) == call
    assert calls_of("[]") == [] and calls_of("") == [] and calls_of("hello there") is None
