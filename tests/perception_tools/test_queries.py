"""Words of queries: synonyms, plurals, alternatives, order words, and what is not understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perception_tools.queries import COLORS, CONTAINERS, SHAPES, ObjectQuery, parse_query
from perception_tools.tool import BadArguments


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("object", ObjectQuery()),
        ("everything", ObjectQuery()),
        ("red block", ObjectQuery(("red",), ("box",))),
        ("the red blocks", ObjectQuery(("red",), ("box",))),
        ("Grey CAN", ObjectQuery(("gray",), ("cylinder",))),
        ("violet ball", ObjectQuery(("purple",), ("sphere",))),
        ("cup", ObjectQuery((), ("mug",))),
        ("dishes", ObjectQuery((), ("bowl",))),
        ("plate", ObjectQuery((), ("tray",))),
        ("container", ObjectQuery((), CONTAINERS)),
        ("red", ObjectQuery(("red",), ())),
        ("cube", ObjectQuery((), ("box",), is_cube=True)),
        ("red-coloured cubes", ObjectQuery(("red",), ("box",), is_cube=True)),
        ("large blue cylinder", ObjectQuery(("blue",), ("cylinder",), order=(("volume", 1),))),
        ("smallest thing", ObjectQuery((), (), order=(("volume", -1),))),
        ("tallest", ObjectQuery((), (), order=(("height", 1),))),
        ("dark green box", ObjectQuery(("green",), ("box",), order=(("lightness", -1),))),
        ("all of the boxes on the table", ObjectQuery((), ("box",))),
    ],
)
def test_one_phrase(text, expected):
    assert parse_query(text) == (expected,)


def test_alternatives_share_the_last_noun():
    assert parse_query("red or green ball") == (
        ObjectQuery(("red",), ("sphere",)),
        ObjectQuery(("green",), ("sphere",)),
    )
    assert parse_query("bowl, red block and mug") == (
        ObjectQuery((), ("bowl",)),
        ObjectQuery(("red",), ("box",)),
        ObjectQuery((), ("mug",)),
    )
    # the form that open-vocabulary detectors take
    assert parse_query("red block . blue mug .") == (
        ObjectQuery(("red",), ("box",)),
        ObjectQuery(("blue",), ("mug",)),
    )


def test_every_colour_and_shape_is_its_own_word():
    for color in COLORS:
        for shape in SHAPES:
            assert parse_query(f"{color} {shape}") == (ObjectQuery((color,), (shape,)),)


@pytest.mark.parametrize("text", ["banana", "red banana", "shiny block", "blok"])
def test_unknown_words_are_named_and_the_known_ones_listed(text):
    with pytest.raises(BadArguments) as error:
        parse_query(text)
    wrong = text.split()[0] if text in ("shiny block", "banana", "blok") else "banana"
    assert repr(wrong) in str(error.value)
    for word in ("purple", "cylinder", "container", "large"):
        assert word in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "   ", " . ", "the", "and or", "on the"])
def test_nothing_to_look_for(text):
    with pytest.raises(BadArguments, match="colours: red"):
        parse_query(text)


def test_a_novel_is_refused_shortly():
    with pytest.raises(BadArguments) as error:
        parse_query("red block " * 1000)
    assert "10000 characters" in str(error.value)
    assert len(str(error.value)) < 500


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text):
    try:
        queries = parse_query(text)
    except BadArguments:
        return
    assert all(set(q.colors) <= set(COLORS) and set(q.shapes) <= set(SHAPES) for q in queries)
