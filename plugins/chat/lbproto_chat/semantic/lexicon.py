"""The words of one table and of English, and how those of a question are found among them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice, product
from typing import NamedTuple

from lbproto_chat.semantic.layer import Table
from lbproto_chat.semantic.tokens import Token
from lbproto_chat.semantic.words import PHRASES, Sense, stem

__all__ = ["Item", "Lexicon"]

_MAX_READINGS = 16
"""Of a question whose words have several meanings; more are not looked at."""


class Item(NamedTuple):
    """A word or phrase of the question with one meaning."""

    kind: str
    value: object
    text: str


class Lexicon:
    """The phrases of a table.

    Args:
        table: declares them.
    """

    def __init__(self, table: Table) -> None:
        self._own: dict[tuple[str, ...], list[Sense]] = {}
        self._ids = [(re.compile(each.like), each) for each in table.ids]
        for entity in table.entities:
            self._add("entity", entity, entity.words)
        for measure in table.measures:
            self._add("measure", measure, measure.words)
            self._add("sums", measure, measure.sums)
            self._add("verb", measure, measure.verbs)
            for adjectives, most, more in ((measure.high, "max", ">"), (measure.low, "min", "<")):
                for adjective in adjectives:
                    comparative, superlative = _compared(adjective)
                    self._add("super", (most, measure), [superlative])
                    self._add("comparative", (more, measure), [comparative])
        for metric in table.metrics:
            self._add("metric", metric, metric.words)
        for dimension in table.dimensions:
            self._add("dimension", dimension, dimension.words)
            for label, words in dimension.labels.items():
                self._add("label", (dimension, label), words)
        for filter_ in table.filters:
            self._add("filter", filter_, filter_.words)
        for unit in table.units:
            self._add("unit", unit, unit.words)
        for text in (*table.words, table.name.replace("_", " ")):
            if _phrase(text) not in self._own:
                self._add("context", None, [text])
        self._longest = max(map(len, (*self._own, *PHRASES)))
        self._words = dict.fromkeys(word for phrase in (*self._own, *PHRASES) for word in phrase)

    def _add(self, kind: str, value: object, phrases: Iterable[str]) -> None:
        for phrase in phrases:
            senses = self._own.setdefault(_phrase(phrase), [])
            if all(sense.value is not value for sense in senses):
                senses.append(Sense(kind, value))

    def read(self, tokens: Sequence[Token]) -> tuple[list[list[Item]], list[str], dict[str, str]]:
        """What tokens mean, in each way that they can be taken.

        Returns:
            The ways; the words that are not known; words that are, less a slip, as they are right.
        """
        slips: dict[str, str] = {}
        words = [self._word(each, slips) for each in tokens]
        places: list[list[Item]] = []
        unknown = []
        place = 0
        while place < len(tokens):
            items, length = self._at(tokens, words, place)
            if places and places[-1][0].kind in ("starts", "ends", "contains"):
                items, length = [Item("text", tokens[place].text, tokens[place].text)], 1
            if items[0].kind == "unknown":
                unknown.append(items[0].text)
            places.append(items)
            place += length
        ways = [list(way) for way in islice(product(*places), _MAX_READINGS)]
        return ways, unknown, slips

    def _at(
        self, tokens: Sequence[Token], words: Sequence[str], place: int
    ) -> tuple[list[Item], int]:
        token = tokens[place]
        for length in range(min(self._longest, len(tokens) - place), 0, -1):
            phrase = tuple(words[place : place + length])
            text = " ".join(each.text for each in tokens[place : place + length])
            if phrase in self._own:
                return [Item(*sense, text) for sense in self._own[phrase]], length
            if phrase in PHRASES and not (length == 1 and token.slot):
                return [Item(*sense, text) for sense in PHRASES[phrase]], length
        if token.slot is not None:
            return [Item(type(token.slot).__name__.lower(), token.slot, token.text)], 1
        for like, identifier in self._ids:
            if like.fullmatch(token.text):
                value = token.text.lower() if identifier.lower else token.text
                return [Item("id", (identifier.column, value), token.text)], 1
        return [Item("unknown", None, token.text)], 1

    def _word(self, token: Token, slips: dict[str, str]) -> str:
        word = stem(token.text)
        if token.slot is not None or any(like.fullmatch(token.text) for like, _ in self._ids):
            return word
        plain = self._plain(word)
        if plain is not None:
            return plain
        right = self._right(word)
        if right is None:
            return word
        slips[token.text] = right
        return right

    def _plain(self, word: str) -> str | None:
        """The known word of which it is a form: "exceeded", "paying"."""
        if word in self._words:
            return word
        for ending, others in (("ed", ("", "e")), ("ing", ("", "e"))):
            if len(word) > len(ending) + 2 and word.endswith(ending):
                base = word.removesuffix(ending)
                doubled = base[:-1] if base[-1] == base[-2] else base
                for form in (*(base + other for other in others), doubled):
                    if form in self._words:
                        return form
        return None

    def _right(self, word: str) -> str | None:
        """The one known word that a word with a slip or two is.

        Its first letter counts as right, and so does its end: "traders" are neither trades nor
        traded.
        """
        allowed = 2 if len(word) > 7 else 1 if len(word) > 4 else 0
        if not allowed or not word.isalpha():
            return None
        letters = set(word)
        found = [
            known
            for known in self._words
            if known[0] == word[0]
            and abs(len(known) - len(word)) <= allowed
            and len(known) > 3
            and word[:-1] != known[:-1]
            and not word.startswith(known)
            and not known.startswith(word)
            and len(letters.difference(known)) <= allowed  # cheap, and enough for most
            and _slips(word, known, allowed) <= allowed
        ]
        return found[0] if len(found) == 1 else None


def _phrase(text: str) -> tuple[str, ...]:
    return tuple(map(stem, text.replace("-", " ").split()))


def _compared(adjective: str) -> tuple[str, str]:
    """Its comparative and its superlative."""
    if len(adjective) > 7:
        return f"more {adjective}", f"most {adjective}"
    if adjective.endswith("e"):
        base = adjective[:-1]
    elif adjective.endswith("y"):
        base = adjective[:-1] + "i"
    elif re.fullmatch(r"[^aeiou]+[aeiou][^aeiouwxy]", adjective):
        base = adjective + adjective[-1]
    else:
        base = adjective
    return base + "er", base + "est"


def _slips(word: str, other: str, most: int) -> int:
    """How many letters are wrong, missing, too many or swapped; or more than `most`."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, start=1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
