"""Near and far for the tolerant reading: "least far away from me", "you could reach first"."""

from __future__ import annotations

from vlm_agent.scripted.loose.lookup import Lookup, Post
from vlm_agent.scripted.loose.tables import (
    ME,
    OWN,
    STANDPOINTS,
    YOU,
)
from vlm_agent.scripted.loose.text import idioms, terms
from vlm_agent.scripted.syntax import Degree, Description


class Nearness(Lookup):
    """Reads features of distance."""

    def anchor(self, i: int, depth: int) -> list[tuple[Description | None, int]]:
        """Return what near and far relate to at a word: None is the viewer."""
        robot = Description("the", landmark="robot", text="you")
        found: list[tuple[Description | None, int]] = [
            (None, j) for j in (*self.phrase(i, ME), *self.own_place(i, ("my", "our")))
        ]
        found += [(robot, j) for j in (*self.phrase(i, YOU), *self.own_place(i, ("your",)))]
        ends = self._standpoint(i)
        found += [(None, j) for j in ends.get("viewer", ())] + [(robot, j) for j in ends.get("robot", ())]
        if self.word(i) == "the" and found:
            return found[:1]
        found += [(d, j) for d, j in self.np(i, depth + 1) if not (d.landmark or d.is_pronoun)]
        longest = max((j for _, j in found[:1]), default=0)
        return [f for f in found if f[0] is not None or f[1] >= longest]

    def _standpoint(self, i: int) -> dict[str, list[int]]:
        """Read "where your arm is mounted", "the person talking to you", "the edge I am sitting at"."""
        text = " ".join(self.words[i : i + 12])
        out: dict[str, list[int]] = {}
        for who, pattern in STANDPOINTS:
            match = pattern.match(text)
            if match:
                out.setdefault(who, []).append(i + len(match.group().split()))
        return out

    def own_place(self, i: int, owners: tuple[str, ...]) -> list[int]:
        """Read "my own left hand", "your end of the table"."""
        if self.word(i) not in owners:
            return []
        j = i + 1
        while self.word(j) in terms(
            "own very left right near two front outstretched resting current fixed little lovely "
            "metal mechanical robotic"
        ):
            j += 1
        if self.word(j) not in OWN:
            return []
        return [
            j + 1,
            *self.phrase(
                j + 1,
                idioms(
                    "of the table; of the desk; of things; of the bench; of the workspace; of the "
                    "surface; is; are; rest; rests; is mounted; is fixed"
                ),
            ),
        ]

    def near(self, i: int, depth: int) -> list[Post]:
        """Read "closest to the mug", "the nearest one to you", "least far away from me"."""
        found: list[Post] = []
        found += [
            Post(
                (Degree("within reach", "near", anchor=Description("the", landmark="robot", text="you")),), j
            )
            for j in self._reachable(i)
        ]
        found += self._reached_first(i, depth)
        if self.word(i) in terms("on at toward towards near") and self.word(i + 2) in terms(
            "side end edge half own"
        ):
            robot = Description("the", landmark="robot", text="you")
            found += [Post((Degree("my end", "near"),), j) for j in self.own_place(i + 1, ("my", "our"))]
            found += [
                Post((Degree("your end", "near", anchor=robot),), j) for j in self.own_place(i + 1, ("your",))
            ]
        for key, is_most, j in self._nearness(i):
            for k in self._links(j):
                for anchor, end in self.anchor(k, depth):
                    degree = Degree(" ".join(self.words[i:j]), key, is_most, anchor=anchor)
                    found.append(Post((degree,), end))
                    found += [Post((degree,), m) for m in self.than_others(end)]
                    found += [Post((degree,), p.end, p.inner) for p in self.group(end, depth)]
        return found

    def _nearness(self, i: int) -> list[tuple[str, bool, int]]:
        """Read a word of nearness up to its preposition: key, most, end."""
        j = i
        while self.word(j) in terms(
            "the at with by a very single is that having absolutely in which has much from"
        ):
            j += 1
        word, following = self.word(j), self.word(j + 1)
        superlative = terms(
            "shortest smallest least lowest tiniest minimum minimal slightest littlest shorter "
            "smaller closest nearest narrowest quickest"
        )
        longest = terms("longest largest greatest biggest maximum maximal widest")
        if word in (*superlative, *longest):
            k = j + 1
            while self.word(k) in terms("possible amount of a straight line"):
                k += 1
            if self.word(k) in terms(
                "distance way reach gap path separation stretch spacing space walk hop trip route "
                "journey range travel proximity vicinity neighbourhood neighborhood"
            ):
                k += 1
                while self.word(k) in terms("away off in between itself it and"):
                    k += 1
                return [("near" if word in superlative else "far", True, k)]
        if word in ("least", "less") and following in ("far", "distant", "remote"):
            k = j + 2
            return [("near", True, k + (self.word(k) in ("away", "off")))]
        if word in ("most", "more", "really", "so") and following in ("near", "close", "nearby"):
            return [("near", True, j + 2)]
        if word in ("most", "more") and following in ("far", "distant", "remote"):
            return [("far", True, j + 2 + (self.word(j + 2) in ("away", "off")))]
        table = {
            "nearest": "near",
            "closest": "near",
            "nearer": "near",
            "closer": "near",
            "furthest": "far",
            "farthest": "far",
            "further": "far",
            "farther": "far",
            "near": "near",
            "close": "near",
        }
        key = table.get(word)
        if key is None or (word in ("near", "close") and following not in terms("to me you us by")):
            return []
        k = j + 1
        while self.word(k) in terms(
            "proximity vicinity neighbourhood position place spot range one by away off in of "
            "distance all situated located placed positioned up out lying sitting standing object "
            "thing item neighbour neighbor"
        ):
            if self.word(k) == "of" and self.word(k + 1) in terms("the them all these those"):
                break
            k += 1
        out = [(key, True, k)]
        out += [(key, True, p.end) for p in self.group(k, 9) if not p.inner]
        return out

    def _links(self, j: int) -> list[int]:
        """Return where the anchor may begin: after "to", "from", or at once."""
        ends = [j]
        if self.word(j) in terms("to from of by towards toward with between and for"):
            ends.append(j + 1)
            if self.word(j + 1) in ("of", "to"):
                ends.append(j + 2)
        return ends

    def _reachable(self, i: int) -> list[int]:
        """Read "you can reach most easily", "you have the shortest reach to"."""
        return self.phrase(
            i,
            idioms(
                "you can reach most easily; you can reach easiest; you can reach first; you can reach "
                "the easiest; you can reach quickest; you have the shortest reach to; you have the "
                "shortest way to; you have to reach least far for; you have to stretch least for; you "
                "would reach first; you would get to first; you reach first; you have to reach the "
                "least for; you need to reach least far for; easiest for you to reach; the easiest "
                "for you to reach; within your easiest reach; in easiest reach of you; the least "
                "reach for you; you can get to most easily; you can get to quickest; you can grab "
                "most easily; you can reach with the least stretching; you could reach most easily; "
                "you have the shortest distance to; you could reach first; you can get at most "
                "easily; you do not have to reach far for"
            ),
        )  # fmt: skip

    def _reached_first(self, i: int, depth: int) -> list[Post]:
        """Read "you'd reach first starting from the mug", "I come to first", "you could get to soonest"."""
        j = i
        robot = Description("the", landmark="robot", text="you")
        if self.word(j) not in terms("you i one we my your"):
            return []
        anchor = None if self.word(j) in ("i", "we", "my") else robot
        j += 1
        while self.word(j) in terms(
            "would could can will might are is arm hand gripper be have to able likely the need"
        ):
            j += 1
        ends = self.phrase(
            j,
            idioms(
                "reach; get to; come to; hit; bump into; meet; arrive at; encounter; come across; "
                "touch; grab; get hold of; pass; find; get at; come upon; run into; reach for"
            ),
        )
        found = []
        for k in ends:
            while self.word(k) in ("the", "most", "very"):
                k += 1
            if self.word(k) not in terms(
                "first soonest quickest earliest fastest easiest easily quickly sooner quicker "
                "readily least comfortably"
            ):
                continue
            k += 1
            found.append(Post((Degree("reached first", "near", anchor=anchor),), k))
            while self.word(k) in terms(
                "when if starting coming going leaving setting out start started off moving walking "
                "were you i go"
            ):
                k += 1
            if self.word(k) in ("from", "at", "leaving"):
                found += [
                    Post((Degree("reached first", "near", anchor=a),), m)
                    for a, m in self.anchor(k + 1, depth)
                ]
        return found

    def approached(self, i: int, depth: int) -> list[Post]:
        """Read "the mug is closest to", "I am nearest to"."""
        found = []
        for anchor, j in self.anchor(i, depth) + [(None, i + 1)] * (self.word(i) == "i"):
            k = j
            while self.word(k) in terms("is am are the stands sits very lies all 'm"):
                k += 1
            if k > j and self.word(k) in ("closest", "nearest") and self.word(k + 1) in ("to", "by"):
                found.append(Post((Degree("closest", "near", anchor=anchor),), k + 2))
        return found
