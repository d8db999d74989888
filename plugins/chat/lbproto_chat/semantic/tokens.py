"""A question's text, cut into words and typed slots: numbers, times, dates, spans.

Nothing here knows what a question is about. Text is taken as it is: anything but a slot is a word,
and what is neither (control characters, brackets, quotes) parts them.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from lbproto_chat.semantic.words import NUMBERS, ORDINALS

__all__ = ["MAX_CHARACTERS", "Clock", "Moments", "Nth", "Number", "Token", "tokens"]

MAX_CHARACTERS = 1000
"""Of a question; a longer one is not read."""


class Number(NamedTuple):
    """A number as it was written."""

    value: Decimal


class Nth(NamedTuple):
    """A place in an order, from 1."""

    place: int


class Moments(NamedTuple):
    """From a moment until before another: what a date, or a date with a time, names.

    A date that was said without its year is in the year 1.
    """

    start: datetime
    end: datetime


class Clock(NamedTuple):
    """A time of a day that is not said, and how long what it names is: a second, a minute."""

    since_midnight: timedelta
    length: timedelta


class Token(NamedTuple):
    """A piece of the question: its text, and what it is if that is not a word."""

    text: str
    slot: Number | Nth | Moments | Clock | None = None


_MONTHS = "january february march april may june july august september october november december"
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS.split())
_PLACES = {name[:3]: place for place, name in enumerate(_MONTHS.split(), start=1)}
_SCALES = {"k": 1000, "m": 1_000_000, "bn": 1_000_000_000}

_TOKEN = re.compile(
    rf"""
    (?a:  # digits are those of ASCII
      (?P<iso>\d{{4}}-\d\d-\d\d)
        (?:(?:[T ]|\s+at\s+)(?P<iso_time>\d\d:\d\d(?::\d\d)?)(?:\.\d+)?Z?)?(?![\w-])
    | (?P<clock>\d{{1,2}}:\d\d(?::\d\d)?)(?:\s?(?P<half>[ap]m)\b)?(?![\d:])
    | (?P<hour>\d{{1,2}})\s?(?P<hour_half>[ap]m)\b
    | (?P<d1>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m1>{_MONTH})\b\.?(?:,?\s+(?P<y1>\d{{4}}))?
    | (?P<m2>{_MONTH})\b\.?\s+(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\b(?!:)(?:,?\s+(?P<y2>\d{{4}}))?
    | (?P<m3>{_MONTH})\b\.?\s+(?P<y3>\d{{4}})
    | (?P<nth>\d{{1,3}})(?:st|nd|rd|th)\b
    | (?P<number>(?:\d{{1,3}}(?:,\d{{3}})+|\d+)(?:\.\d+)?|\.\d+)
        (?:(?P<scale>k|m|bn)\b)?(?:['’]s\b)?(?=$|[^\w]|[a-zA-Z]{{2,4}}\b)
    )
    | (?P<word>\w[\w’'-]*)
    | (?P<sign>>=|<=|>|<|=|≥|≤|[$€£]|%|&|\+|/)
    """,
    re.VERBOSE | re.IGNORECASE,
)
_SIGNS = {"≥": ">=", "≤": "<=", "%": "percent"}


def tokens(text: str) -> list[Token]:
    """The tokens of a question of at most `MAX_CHARACTERS`."""
    text = unicodedata.normalize("NFKC", text)
    found = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if match["word"]:
            found += _word(match["word"])
        elif match["sign"]:
            if match[0] != "/":
                found.append(Token(_SIGNS.get(match[0], match[0])))
        elif kind is not None:
            token = _slot(match)
            if token is not None:
                found.append(token)
    return found


def _word(word: str) -> list[Token]:
    value = NUMBERS.get(word.lower())
    if value is not None:
        return [Token(word, Number(Decimal(value)))]
    if word.lower() in ORDINALS:
        return [Token(word, Nth(ORDINALS[word.lower()]))]
    # A word with hyphens is several, but for what may be an id.
    if "-" in word:
        return [each for part in word.split("-") if part for each in _word(part)]
    return [Token(word)]


def _slot(match: re.Match[str]) -> Token | None:
    try:
        slot = _value(match)
    except (ValueError, OverflowError):  # the 31st of February
        return Token(match[0])
    return Token(match[0], slot)


def _value(match: re.Match[str]) -> Number | Nth | Moments | Clock:
    if match["iso"]:
        day = date.fromisoformat(match["iso"])
        return _moments(day, _clock(match["iso_time"], None) if match["iso_time"] else None)
    if match["clock"]:
        return _clock(match["clock"], match["half"])
    if match["hour"]:
        return _clock(match["hour"] + ":00", match["hour_half"])
    for day_group, month, year in (("d1", "m1", "y1"), ("d2", "m2", "y2")):
        if match[month]:
            return _moments(
                date(
                    int(match[year] or 1), _PLACES[match[month][:3].lower()], int(match[day_group])
                )
            )
    if match["m3"]:
        start = datetime(int(match["y3"]), _PLACES[match["m3"][:3].lower()], 1, tzinfo=UTC)
        return Moments(start, (start + timedelta(days=31)).replace(day=1))
    if match["nth"]:
        return Nth(int(match["nth"]))
    scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
    return Number(Decimal(match["number"].replace(",", "")) * scale)


def _moments(day: date, clock: Clock | None = None) -> Moments:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    if clock is None:
        return Moments(start, start + timedelta(days=1))
    start += clock.since_midnight
    return Moments(start, start + clock.length)


def _clock(text: str, half: str | None) -> Clock:
    hour, minute, *second = map(int, text.split(":"))
    if half is not None:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    if hour > 23 or minute > 59 or sum(second) > 59:
        raise ValueError(text)
    length = timedelta(seconds=1) if second else timedelta(minutes=1)
    return Clock(timedelta(hours=hour, minutes=minute, seconds=sum(second)), length)
