"""Text to tokens: normalisation, misspellings, and longest-phrase look-up in the lexicon."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache

from vlm_agent.scripted.lexicon import Entry, lexicon, longest_phrase, vocabulary_words
from vlm_agent.scripted.loose.fillers import HARMLESS, TELLING
from vlm_agent.scripted.syntax import Frame

_PATTERN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|->|[.,;:!?()&+\n]")
_BREAKS = {".", "!", "?", ";", "\n"}
_EXPANSIONS = {
    "i'd": "i would", "i'll": "i will", "i'm": "i am", "you'd": "you would", "we'd": "we would",
    "what's": "what is", "where's": "where is", "that's": "that is", "there's": "there is", "it's": "it is",
    "how's": "how is", "which's": "which is", "let's": "let us", "isn't": "is not", "aren't": "are not",
    "don't": "do not", "dont": "do not", "doesn't": "does not", "can't": "can not", "mustn't": "must not",
    "shouldn't": "should not", "wanna": "want to", "gonna": "going to", "gimme": "give me",
    "whats": "what is", "wheres": "where is", "id": "i would", "im": "i am", "lets": "let us",
    "thats": "that is", "&": "and", "+": "and", "->": "to", "cannot": "can not", "you're": "you are",
    "they're": "they are", "i've": "i have", "you've": "you have", "who's": "who is",
}  # fmt: skip
_SHORTEST_CORRECTED = 4
_LONGEST_CORRECTED = 16
AFTER_MODAL = frozenset(
    "go be sit stand get come move live stay rest end wind find join have now then please also".split()
)
_CONTENT = {
    "NOUN", "COLOR", "ONE", "SIZE", "EXTREME", "TONE", "COMP", "FORM", "SOFT", "FOREIGN", "DECOR",
    "EMPTY", "STATE",
}  # fmt: skip


@dataclass(frozen=True)
class Word:
    """A word of the text: normal form, and the characters it came from."""

    form: str
    start: int
    end: int


@dataclass(frozen=True)
class Lexeme:
    """A phrase of the text with its entry in the lexicon; `WORD` if it has none."""

    entry: Entry
    phrase: str
    start: int
    end: int


@dataclass(frozen=True)
class Sentence:
    """Lexemes between full stops, the frame they are meant in, and what was corrected."""

    lexemes: tuple[Lexeme, ...]
    frame: Frame | None = None
    notes: tuple[str, ...] = ()


def split_words(text: str) -> list[Word]:
    """Split text into lower-case words and punctuation; contractions are expanded."""
    plain = "".join(_plain(character) for character in text)
    words = []
    for match in _PATTERN.finditer(plain):
        form = match.group()
        parts = _EXPANSIONS.get(form, _contracted(form)).split()
        if len(parts) == 1 and form.endswith("'s") and form not in vocabulary_words():
            parts = [form[:-2], "'s"]
        words += [Word(part, match.start(), match.end()) for part in parts]
    return words


_STEMS = {"won't": "will", "can't": "can", "shan't": "shall"}


def _contracted(form: str) -> str:
    """Expand "you'll", "he'd", "we've", "didn't"."""
    for ending, word in (
        ("n't", "not"),
        ("'ll", "will"),
        ("'d", "would"),
        ("'ve", "have"),
        ("'re", "are"),
        ("'m", "am"),
    ):
        if form.endswith(ending) and len(form) > len(ending):
            stem = form.removesuffix(ending)
            return f"{_STEMS.get(form, stem)} {word}"
    return form


def _plain(character: str) -> str:
    """Return one lower-case character without accent, so that positions stay those of the text."""
    if character in "\u2019\u2018\u02bc`":
        return "'"
    base = unicodedata.normalize("NFD", character)[0].lower()
    return base if len(base) == 1 else character


def sentences(text: str) -> list[Sentence]:
    """Split text at full stops and read each part with the lexicon."""
    parts: list[list[Word]] = [[]]
    for word in split_words(text):
        if word.form in _BREAKS:
            parts.append([])
        else:
            parts[-1].append(word)
    return [_sentence(part) for part in parts if part]


def _sentence(words: list[Word]) -> Sentence:
    notes: list[str] = []
    corrected = []
    for word in words:
        form = correct(word.form)
        if form != word.form:
            notes.append(f"read {word.form!r} as {form!r}")
        corrected.append(replace(word, form=form))
    lexemes = _look_up(corrected)
    frames: list[Frame] = [x.entry.value for x in lexemes if x.entry.terminal == "FRAME"]
    kept = [x for x in lexemes if x.entry.terminal not in ("FRAME", "FILLER")]
    return Sentence(tuple(_tidy(kept)), frames[-1] if frames else None, tuple(notes))


_UNITS = {
    "mm": 0.001, "millimeter": 0.001, "millimetre": 0.001, "cm": 0.01, "centimeter": 0.01, "centimetre": 0.01,
    "dm": 0.1, "m": 1.0, "meter": 1.0, "metre": 1.0, "inch": 0.0254, "inches": 0.0254,
}  # fmt: skip


def _length_at(words: list[Word], i: int) -> tuple[float, int] | None:
    """Return a length [m] at a word ("10 cm", "10cm", "five centimetres") and how many words it takes."""
    joined = re.fullmatch(r"([0-9]{1,4})([a-z]+)", words[i].form)
    if joined and joined.group(2) in _UNITS:
        return int(joined.group(1)) * _UNITS[joined.group(2)], 1
    entry = lexicon().get(words[i].form)
    number = entry.value if entry and entry.terminal == "NUM" else None
    if re.fullmatch(r"[0-9]{1,4}", words[i].form):
        number = int(words[i].form)
    if words[i].form in ("a", "an", "one"):
        number = 1
    if number is None or i + 1 == len(words):
        return None
    unit = words[i + 1].form
    size = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
    return (number * size, 2) if size else None


def _look_up(words: list[Word]) -> list[Lexeme]:
    """Match the longest phrase at each word, left to right."""
    lexemes: list[Lexeme] = []
    i = 0
    while i < len(words):
        entry, length = _longest(words, i)
        phrase = " ".join(w.form for w in words[i : i + length])
        entry = _in_context(entry, phrase, words, i)
        lexemes.append(Lexeme(entry, phrase, words[i].start, words[i + length - 1].end))
        i += length
    return lexemes


def _longest(words: list[Word], i: int) -> tuple[Entry, int]:
    """Return the entry of the longest phrase at a word, and its number of words."""
    measured = _length_at(words, i)
    if measured is not None:
        return Entry("LENGTH", measured[0]), measured[1]
    for length in range(min(longest_phrase(), len(words) - i), 0, -1):
        phrase = " ".join(w.form for w in words[i : i + length])
        entry = lexicon().get(phrase)
        if entry is not None and _may_stand(entry, phrase, words, i, i + length):
            return entry, length
    form = words[i].form
    return Entry("COMMA") if form in ",:()" else Entry("WORD", form), 1


def _may_stand(entry: Entry, phrase: str, words: list[Word], start: int, end: int) -> bool:
    """Whether a phrase reads as one here: "in the left bowl" is not "in the left" and a bowl."""
    following = lexicon().get(words[end].form) if end < len(words) else None
    if entry.terminal == "ONSIDE" and following and not phrase.endswith(("side", "part", "end", "corner")):
        return following.terminal not in _CONTENT
    if entry.terminal == "GESTURE" and phrase in ("home", "stop", "freeze", "halt"):
        return following is None or following.terminal in ("FILLER", "THEN", "AND")
    if entry.terminal == "A" and phrase.startswith("one of") and start:
        before = lexicon().get(words[start - 1].form)
        return before is None or before.terminal not in _CONTENT
    if (
        entry.terminal == "FILLER"
        and phrase in ("you can", "you see")
        and start
        and words[start - 1].form == "do"
    ):
        return False
    return True


def _in_context(entry: Entry, phrase: str, words: list[Word], i: int) -> Entry:
    """Settle the few words whose kind depends on their neighbours."""
    before = words[i - 1].form if i else ""
    after = words[i + 1].form if i + 1 < len(words) else ""
    if phrase == "first" and (before in ("the", "very") or after == "from"):
        return Entry("ORD", 1)
    if phrase == "can" and i and after in AFTER_MODAL:
        return Entry("SHOULD", "can")
    if phrase == "can" and not i and after in ("the", "a", "an", "it", "this", "that"):
        return Entry("WILL", "can")
    if entry.terminal == "WORD" and phrase.endswith("ly") and len(phrase) > 5:
        return Entry("FILLER")
    if phrase == "before" and i and after in ("the", "that", "this", "it"):  # a place, not a time
        return lexicon()["in front of"]
    if phrase == "robot" and (not i or before == ",") and after not in ("'s", ""):
        return Entry("FILLER")
    return entry


def _tidy(lexemes: list[Lexeme]) -> list[Lexeme]:
    """Drop commas at the ends and doubled commas (left where fillers were dropped)."""
    tidy: list[Lexeme] = []
    for lexeme in lexemes:
        is_comma = lexeme.entry.terminal == "COMMA"
        if not (is_comma and (not tidy or tidy[-1].entry.terminal == "COMMA")):
            tidy.append(lexeme)
    while tidy and tidy[-1].entry.terminal == "COMMA":
        tidy.pop()
    return tidy


# ---- misspellings -------------------------------------------------------------------------------


def correct(word: str) -> str:
    """Return the word of the lexicon that is one edit away, if just one is; else the word itself.

    One edit is an insertion, deletion, substitution or transposition. A transposition or a doubled
    letter wins over the rest. The first letter must be right unless the first two were swapped.
    """
    known = vocabulary_words()
    if word in TELLING or word in HARMLESS:
        return word
    if word in known or not word.isalpha() or not 3 <= len(word) <= _LONGEST_CORRECTED:
        return word
    if word.endswith("ly") and len(word) > 6:
        return word
    for candidates in _near(word):
        if candidates:
            return candidates[0] if _agree(candidates) else word
    return word


def suggestions(word: str) -> list[str]:
    """Return the words that `correct` could not choose between."""
    return [c for candidates in _near(word) for c in candidates]


def _near(word: str) -> tuple[list[str], list[str]]:
    """Return the known words one slip away, and those another edit away."""
    slips, edits = [], []
    for candidate in sorted(vocabulary_words() - _foreign_words()):
        if len(candidate) < 3 or abs(len(candidate) - len(word)) > 1:
            continue
        kind = _edit(word, candidate)
        if kind == "slip":
            slips.append(candidate)
        elif kind == "edit" and candidate[0] == word[0] and len(word) >= _SHORTEST_CORRECTED:
            edits.append(candidate)
    return slips, edits


@lru_cache(maxsize=1)
def _foreign_words() -> frozenset[str]:
    table = lexicon()
    return frozenset(p for p, entry in table.items() if entry.terminal in ("FOREIGN", "CANT"))


def _agree(candidates: list[str]) -> bool:
    entries = {lexicon().get(c, Entry("", c)) for c in candidates}
    meanings = {
        (e.terminal, getattr(e.value, "names", e.value), getattr(e.value, "key", None)) for e in entries
    }
    return len(meanings) == 1


def _edit(a: str, b: str) -> str:
    """Return "slip" (swapped or doubled letters), "edit" (another single edit) or "" for a -> b."""
    if a == b:
        return ""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    rest_a, rest_b = a[start:], b[start:]
    if len(a) == len(b):
        if len(rest_a) > 1 and rest_a[0] == rest_b[1] and rest_a[1] == rest_b[0] and rest_a[2:] == rest_b[2:]:
            return "slip"
        return "edit" if rest_a[1:] == rest_b[1:] else ""
    longer, shorter = (rest_a, rest_b) if len(a) > len(b) else (rest_b, rest_a)
    if longer[1:] != shorter:
        return ""
    whole = a if len(a) > len(b) else b
    return "slip" if start and whole[start] == whole[start - 1] else "edit"
