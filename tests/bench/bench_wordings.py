"""How many sentences of strangers are read as the plain sentence that means the same.

python tests/bench/bench_wordings.py [1|2] [--show]

Both sets (tests/vlm_agent/data/wordings_*.yaml) were written without sight of the grammar or of other
sentences, ten and eight of a kind. Nothing moves: what is compared is the reading. "otherwise" is another
one, right or not.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main() -> None:
    """Print the counts by kind."""
    from policies.evaluation import wilson

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("which", nargs="?", default="2", choices=("1", "2"), help="which set")
    parser.add_argument("--show", action="store_true", help="print every sentence that is not read alike")
    words = parser.parse_args()
    total: Counter[str] = Counter()
    for kind, outcomes in outcomes_of(words.which).items():
        counts = Counter(outcomes.values())
        total.update(counts)
        print(f"{kind:20} " + ", ".join(f"{n} {what}" for what, n in counts.most_common()))
        for text, outcome in outcomes.items():
            if words.show and outcome != "alike":
                print(f"    {outcome}: {text}")
    n = sum(total.values())
    low, high = wilson(total["alike"], n)
    print(f"alike {total['alike']} of {n}: {total['alike'] / n:.1%} [{low:.1%}, {high:.1%}]; {dict(total)}")


def outcomes_of(which: str) -> dict[str, dict[str, str]]:
    """Return `alike`, `otherwise` or `refused` for each sentence of a set, by kind."""
    sentences, found = _data(which)["sentences"], {}
    for kind, meant in _data("plain").items():
        alike = {_reading(text) for text in meant["plain"]}
        texts = [template["text"].format(**meant["slots"]) for template in sentences[kind]]
        found[kind] = {text: _outcome(text, alike) for text in texts}
    return found


def _data(name: str) -> dict[str, Any]:
    file = ROOT / "tests" / "vlm_agent" / "data" / f"wordings_{name}.yaml"
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def _outcome(text: str, alike: set[str]) -> str:
    from vlm_agent.scripted.parse import NotUnderstood

    try:
        return "alike" if _reading(text) in alike else "otherwise"
    except NotUnderstood:
        return "refused"


def _reading(text: str) -> str:
    """Return the best reading in words, without those that it was told in."""
    from vlm_agent.scripted.parse import parse

    return re.sub(r"text='[^']*'", "", repr(parse(text).readings[0]))


if __name__ == "__main__":
    main()
