"""Every word that the tolerant reading has a use for: none of them is a misspelling."""

from __future__ import annotations

import re
from functools import lru_cache

from vlm_agent.scripted.lexicon import vocabulary_words
from vlm_agent.scripted.loose.asking import PASSED_OVER
from vlm_agent.scripted.loose.background import BACKGROUND
from vlm_agent.scripted.loose.fillers import ADDRESS, HARMLESS, TELLING
from vlm_agent.scripted.loose.idioms import HELD, PICK_IDIOMS, PUT_IDIOMS, SHALL_BE, WISHED
from vlm_agent.scripted.loose.tables import GROUP_WORDS, KIN, ME, OTHERS, PEOPLE, POSTURES, SKIP, TABLE, YOU
from vlm_agent.scripted.loose.verbs import verb_forms


@lru_cache(maxsize=1)
def known_words() -> frozenset[str]:
    """Return every word that the tolerant reading has a use for."""
    tables = [form for table in verb_forms().values() for form in table]
    listed = [
        *HARMLESS,
        *ADDRESS,
        *TELLING,
        *BACKGROUND,
        *KIN,
        *PEOPLE,
        *GROUP_WORDS,
        *SKIP,
        *POSTURES,
    ]
    patterns = [*PASSED_OVER, HELD, PICK_IDIOMS, PUT_IDIOMS, SHALL_BE, WISHED]
    in_patterns = [w for p in patterns for w in re.findall(r"[a-z']{2,}", p.pattern)]
    phrases = [w for group in (TABLE, ME, YOU, OTHERS) for phrase in group for w in phrase.split()]
    return vocabulary_words().union(tables, listed, in_patterns, phrases)
