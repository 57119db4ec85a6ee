"""From the pieces of a sentence to steps, left to right."""

from __future__ import annotations

from dataclasses import dataclass, replace

from vlm_agent.scripted.loose.pieces import HOLDING_VERBS
from vlm_agent.scripted.loose.places import Item
from vlm_agent.scripted.loose.text import terms
from vlm_agent.scripted.loose.verbs import PICK
from vlm_agent.scripted.syntax import IT, Description, Mention, Move, PickUp, Step, Target, Task, descendants

_LIFT = terms("bring remove move pull haul draw get take tug work guide")

_CARRY = terms("carry bring move take transport get convey haul guide")


class _Impossible(Exception):
    """The pieces make no step."""


@dataclass
class _Frame:
    """What has been said of one step so far."""

    verb: str = ""
    kind: str = ""
    form: str = ""
    things: tuple[Description, ...] = ()
    more: tuple[Description, ...] = ()
    place: Target | None = None
    is_wished: bool = False
    is_held: bool = False
    is_stated: bool = False
    has_where: bool = False
    has_with: bool = False
    has_posture: bool = False
    is_topic: bool = False
    is_home: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing from it."""
        if self.kind in ("fill", "contain", "support", "top"):
            return bool(self.things and self.more)
        if self.kind == "pick":
            return bool(self.things)
        return bool(self.things and (self.place or self.is_held))


def is_possible(items: tuple[Item, ...]) -> bool:
    """Whether pieces read so far may become steps: a quick look at the last two."""
    last = items[-1] if items else None
    before = items[-2] if len(items) > 1 else None
    if last is None or before is None:
        return True
    same = {"thing", "place", "held"}
    if last.kind == before.kind and last.kind in terms("thing stop want shall be posture"):
        return last.kind != "thing" or any(
            i.kind in terms("fill contain give want shall where") for i in items[:-1]
        )
    return not (last.kind == before.kind and last.kind in same and last.kind != "thing")


def task_of(items: tuple[Item, ...]) -> Task | None:
    """Return the task that the pieces of a whole text make; None if they make none."""
    try:
        steps = _Steps().build(items)
    except _Impossible:
        return None
    return Task(steps) if steps else None


class _Steps:
    """Builds steps from pieces, left to right."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.frame = _Frame()
        self.mentions: list[Description] = []
        self.pending: Target | None = (
            None  # a place spoken of: "there is a gap left of the mug; put it there"
        )

    def build(self, items: tuple[Item, ...]) -> tuple[Step, ...]:
        """Return the steps.

        Raises:
            _Impossible: They make none.
        """
        for at, item in enumerate(items):
            getattr(self, f"_{item.kind}")(item, items[at + 1] if at + 1 < len(items) else None)
        self._flush(is_last=True)
        return self._finished()

    # ---- pieces ----------------------------------------------------------------------------------

    def _stop(self, item: Item, following: Item | None) -> None:
        frame = self.frame
        if item.value in (".", ";", "then"):
            self._flush(is_last=False)
        elif frame.things and not (
            frame.verb or frame.place or frame.is_wished or frame.kind or frame.is_held
        ):
            frame.is_topic = True

    def _start(self) -> None:
        if self.frame.verb or self.frame.is_complete or (self.frame.is_topic and self.frame.things):
            self._flush(is_last=False)

    def _put(self, item: Item, following: Item | None) -> None:
        self._verb(item, "put")

    def _pick(self, item: Item, following: Item | None) -> None:
        self._verb(item, "pick")

    def _give(self, item: Item, following: Item | None) -> None:
        self._verb(item, "give")

    def _settle(self, item: Item, following: Item | None) -> None:
        """Read "give the ball a new home ..."."""
        if not self.frame.things or self.frame.kind != "give":
            raise _Impossible
        self.frame.verb, self.frame.kind = "put", "put"

    def _lift(self, item: Item, following: Item | None) -> None:
        """Read "give the ball a lift", "the ball: up it comes"."""
        if not self.frame.things or self.frame.kind not in ("", "give") or self.frame.place:
            raise _Impossible
        self.frame.verb, self.frame.kind = "pick up", "pick"

    def _fill(self, item: Item, following: Item | None) -> None:
        if item.form == "ed" and not self.frame.is_wished:
            raise _Impossible
        if self.frame.verb or self.frame.is_complete:
            self._start()
        elif self.frame.things and not self.frame.is_wished:
            self._start()
        self.frame.verb, self.frame.kind = item.value, "fill"
        if item.value in ("top", "crown", "cap", "adorn"):
            self.frame.kind = "top"

    def _contain(self, item: Item, following: Item | None) -> None:
        frame = self.frame
        is_need = item.value in terms("need require lack miss deserve await want crave")
        if not (frame.things and (frame.is_wished or is_need)) or frame.verb or frame.place:
            raise _Impossible
        if is_need and (frame.is_wished or item.form not in ("s", "ing")):
            raise _Impossible
        frame.verb, frame.kind = (
            item.value,
            "support" if item.value in ("support", "bear", "carry") else "contain",
        )

    def _verb(self, item: Item, kind: str) -> None:
        frame = self.frame
        if item.form in ("ed", "ing") and frame.things and not frame.verb and frame.is_wished:
            frame.verb, frame.kind, frame.form = item.value, kind, item.form  # "I want the ball placed ..."
            if frame.place is not None and kind == "pick":
                raise _Impossible
            return
        if item.form == "ed" and not frame.is_wished:
            raise _Impossible
        if frame.verb or (frame.things and frame.is_complete) or (frame.is_topic and frame.things):
            self._start()
            frame = self.frame
        if frame.things and not frame.is_wished:
            raise _Impossible  # "the ball put": a statement
        frame.verb, frame.kind, frame.form = item.value, kind, item.form

    def _used(self, item: Item, following: Item | None) -> None:
        """Read "use the bowl for the ball"."""
        frame = self.frame
        if frame.verb != "use" or not frame.things or frame.more:
            raise _Impossible
        frame.has_with = True
        frame.kind = "support" if item.value == "on" else "fill"

    def _placefor(self, item: Item, following: Item | None) -> None:
        """Read "the right place for the ball is the bowl"."""
        if self.frame.things:
            raise _Impossible
        self._want(item, following)
        self.frame.is_home = True

    def _with(self, item: Item, following: Item | None) -> None:
        if (
            self.frame.kind not in ("fill", "top")
            or self.frame.verb == "use"
            or not self.frame.things
            or self.frame.more
        ):
            raise _Impossible
        self.frame.has_with = True

    def _where(self, item: Item, following: Item | None) -> None:
        frame = self.frame
        if frame.place is not None and not frame.things and not frame.verb:
            frame.is_stated = False  # "on the tray is where it should be"
            return
        if not (frame.things and frame.is_stated) or frame.verb or frame.place:
            raise _Impossible
        frame.has_where = True

    def _behold(self, item: Item, following: Item | None) -> None:
        """Read "see the ball? ...": a mention."""
        if self.frame != _Frame():
            self._start()
        if self.frame != _Frame():
            raise _Impossible
        self.frame.is_topic = True

    def _home(self, item: Item, following: Item | None) -> None:
        """Read "its home is the bowl", "the ball's place is in the bowl"."""
        frame = self.frame
        if item.form != "'s":
            self._start()
            if self.frame != _Frame():
                raise _Impossible
            frame = self.frame
            frame.things = (IT,)
        if not frame.things or frame.verb or frame.place:
            raise _Impossible
        frame.place, frame.is_wished = item.value, True

    def _thing(self, item: Item, following: Item | None) -> None:
        frame = self.frame
        if not frame.things:
            frame.things = item.value
        elif frame.has_where or frame.has_with or frame.kind in ("contain", "support"):
            if frame.more:
                raise _Impossible
            frame.more = item.value
        elif frame.is_home and frame.is_stated and frame.place is None:
            frame.place = Target("to", item.value)
        else:
            raise _Impossible

    def _place(self, item: Item, following: Item | None) -> None:
        frame = self.frame
        if frame.kind in ("contain", "support") and frame.more and item.value.anchors == (IT,):
            frame.kind = "support" if item.value.relation in ("on", "above") else "contain"
            return
        if frame.place is not None or frame.has_where or frame.kind in ("fill", "contain", "support"):
            raise _Impossible
        frame.place = item.value

    def _held(self, item: Item, following: Item | None) -> None:
        if self.frame.place is not None:
            raise _Impossible
        self.frame.is_held = True

    def _shall(self, item: Item, following: Item | None) -> None:
        frame = self.frame
        if not (frame.things or frame.place):
            raise _Impossible  # somebody else should: "my son would like to put ..."
        if frame.verb and not frame.is_complete and frame.form != "ing":
            raise _Impossible
        if frame.verb:
            self._start()
            frame = self.frame
        frame.is_wished = True

    def _want(self, item: Item, following: Item | None) -> None:
        if self.frame.verb or self.frame.is_complete or (self.frame.things and not self.frame.is_wished):
            self._start()
        self.frame.is_wished = True

    def _be(self, item: Item, following: Item | None) -> None:
        self.frame.is_stated = True

    def _posture(self, item: Item, following: Item | None) -> None:
        if not self.frame.things or (self.frame.verb and (self.frame.kind != "put" or self.frame.place)):
            raise _Impossible
        self.frame.has_posture = True
        self.frame.is_stated = self.frame.is_stated or item.form == "ed"

    def _mention(self, item: Item, following: Item | None) -> None:
        if self.steps or self.frame != _Frame():
            raise _Impossible
        self.mentions += item.value

    # ---- steps -----------------------------------------------------------------------------------

    def _flush(self, *, is_last: bool) -> None:
        frame, self.frame = self.frame, _Frame()
        if frame.kind in ("fill", "contain", "support", "top"):
            self._flush_container(frame)
        elif frame.has_where:
            self._flush_where(frame)
        elif frame.verb or frame.place is not None or frame.is_held:
            self._flush_action(frame, is_last=is_last)
        elif frame.things:
            if frame.is_wished or (frame.is_stated and not frame.is_topic):
                raise _Impossible
            if self.steps and any(not t.is_pronoun for t in frame.things):
                raise _Impossible
            self.mentions += () if self.steps else frame.things

    def _flush_container(self, frame: _Frame) -> None:
        if not (frame.things and frame.more) or len(frame.things) != 1:
            raise _Impossible
        (container,) = frame.things
        if container.is_pronoun:
            container = self._mentioned()
            self.mentions.clear()
        self.steps.append(
            Move(frame.more, Target("on" if frame.kind in ("support", "top") else "inside", (container,)))
        )

    def _flush_where(self, frame: _Frame) -> None:
        if not frame.more or not frame.is_wished or frame.verb:
            raise _Impossible
        self.steps.append(Move(frame.more, Target("to", frame.things)))

    def _flush_action(self, frame: _Frame, *, is_last: bool) -> None:
        place, things = frame.place, frame.things
        if place is not None and not (things or frame.verb or frame.is_wished) and place.relation != "there":
            if self.pending or self.steps or self.mentions:
                raise _Impossible
            self.pending = place
            return
        if place is not None and place.relation == "there" and self.pending:
            place, self.pending = self.pending, None
        if frame.kind == "give":
            raise _Impossible
        if (
            frame.kind == "pick"
            and place is not None
            and place.relation == "there"
            and frame.verb in HOLDING_VERBS
        ):
            place = None  # "and hold it there"
        if frame.kind == "pick" and place is not None and frame.verb in HOLDING_VERBS:
            if not place.is_motion or place.relation == "there":
                raise _Impossible
        if place is None:
            self._flush_held(frame, is_last=is_last)
            return
        if not frame.verb and frame.is_stated and not frame.is_wished:
            raise _Impossible  # "the ball is in the bowl" asks for nothing
        if not frame.verb and not frame.is_wished and self.steps:
            raise _Impossible
        if not things:
            if not frame.verb or not (self.steps or self.mentions) or frame.form == "ed":
                raise _Impossible
            things = (IT,)
        if place.relation == "there":
            if things in ((IT,), (Description("them"),)) and self.steps and isinstance(self.steps[-1], Move):
                return  # "..., so put it there"
            raise _Impossible
        self.steps.append(Move(things, place))

    def _flush_held(self, frame: _Frame, *, is_last: bool) -> None:
        is_pick = frame.kind == "pick" or (
            frame.is_held and (frame.is_wished or frame.verb in PICK or frame.verb in _LIFT)
        )
        if not is_pick:
            moved_along = (
                frame.verb in _CARRY
                and frame.things == (IT,)
                and self.steps
                and isinstance(self.steps[-1], PickUp)
            )
            if moved_along:
                return
            after_move = bool(self.steps) and isinstance(self.steps[-1], Move)
            if (
                frame.kind == "put"
                and frame.things == (IT,)
                and after_move
                and frame.verb in terms("add put place insert store move")
            ):
                return  # "the bowl lacks the ball; add it"
            is_new = (
                not (self.steps or self.mentions)
                and len(frame.things) == 1
                and not frame.things[0].is_pronoun
            )
            if frame.kind == "put" and is_new and not is_last:
                self.mentions += frame.things  # "carry the ball over and set it down ..."
                return
            raise _Impossible
        if frame.form == "ed" and not (frame.is_wished):
            raise _Impossible
        things = frame.things
        if not things:
            if not self.steps:
                raise _Impossible
            return  # "and hold on"
        if len(things) != 1 or (things != (IT,) and things[0].wants_many):
            raise _Impossible
        self.steps.append(PickUp(things[0]))

    def _mentioned(self) -> Description:
        if len(self.mentions) != 1:
            raise _Impossible
        return self.mentions[0]

    def _finished(self) -> tuple[Step, ...]:
        """Return the steps with pronouns bound to what was mentioned before them.

        Raises:
            _Impossible: There is no step, or something was mentioned for nothing.
        """
        steps: list[Step] = []
        for step in self.steps:
            if isinstance(step, Move) and step.objects == (IT,) and steps and isinstance(steps[-1], Move):
                anchors = step.target.anchors
                if step.target == steps[-1].target or anchors == (IT,):
                    continue  # the same again: "the bowl is where it belongs, so put it in there"
            steps.append(step)
        if not steps or self.pending:
            raise _Impossible
        first = steps[0]
        if isinstance(first, Move) and first.target.anchors == (IT,) and not self.mentions:
            raise _Impossible  # "at it" points to nothing
        last = steps[-1]
        if (
            isinstance(last, PickUp)
            and any(isinstance(s, PickUp) and not s.object.is_pronoun for s in steps[:-1])
            and not last.object.is_pronoun
        ):
            raise _Impossible  # two things in one hand
        if self.mentions:
            steps = self._bound(steps)
        return tuple(steps)

    def _bound(self, steps: list[Step]) -> list[Step]:
        first = steps[0]
        pronouns = [d for d in descendants(first) if isinstance(d, Description) and d.is_pronoun]
        if len(self.mentions) == 1 and len(pronouns) == 1:
            what = self.mentions[0]
            if isinstance(first, PickUp):
                return [PickUp(what), *steps[1:]]
            assert isinstance(first, Move)
            if first.objects == (IT,):
                return [replace(first, objects=(what,)), *steps[1:]]
            if first.target.anchors == (IT,):
                return [replace(first, target=replace(first.target, anchors=(what,))), *steps[1:]]
        if pronouns:
            raise _Impossible
        return [*(Mention(m) for m in self.mentions), *steps]
