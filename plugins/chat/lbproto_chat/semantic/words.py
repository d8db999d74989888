"""The English of questions: what words say whatever the data are.

Each word or phrase has one or more meanings, a `Sense` each: a kind, which says how the reader uses
it, and a value. Words are given as `stem` leaves them.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["GRAINS", "NUMBERS", "ORDINALS", "PHRASES", "Sense", "stem"]


class Sense(NamedTuple):
    """One meaning of a word or phrase."""

    kind: str
    value: object = None


_ENGLISH = """
count: how many, number of, count, count of, count the, how often, how many time, tally, tally of
much: how much, what amount of, how large an amount of
which: which, what, who, whose, whom, where
when: when, timestamp, timestamp of, what time
when: at what time, at which time, what moment, at what moment, time of
list: show, list, display, give, find, get, print, rank, sort, enumerate, fetch, return, show all
list: list all

op sum: total, sum, sum of, combined, overall, altogether, in total, summed, totalling, aggregate
op avg: average, mean, avg, on average, averaged, in average, on avg
op median: median, typical, typically, middle
op stddev: standard deviation, stddev, std dev, std, stdev, volatility, deviation
op variance: variance
op max: maximum, max, greatest, top, peak, maximal
op min: minimum, min, minimal, bottom
op first: first, earliest, opening, open, initial, starting, oldest, start, begin, began, started
op last: last, latest, closing, close, final, most recent, newest, ending, end, ended, finish
op range: range, low and high, high and low
op change: change, change in, change of, rise, fall, grow, increase, decrease
op spread: spread, spread of
op distinct: different, distinct, unique, separate, individual
move: move
most max: most, busiest, most active, most often, most frequent, most frequently
most max: most common, most popular, most used, often, commonest
most min: fewest, least, quietest, least active, least often, least frequent, least common, rarest
super max: highest, high
super min: lowest, low

share: share, share of, percent, percentage, percentage of, percent of, proportion, proportion of
share: fraction, fraction of, what part of, part of, portion of, portion
ratio: ratio, ratio of, ratio between
difference: spread between, range between, difference, difference between, difference of
difference: difference in, how much more
difference: how many more, how many fewer, how much less, minus, net, gap between, imbalance, gap
compare: compare, comparison, comparison of, versus, vs, compared, compared to, compared with
compare: against, rather than, in comparison to
order max: highest first, largest first, biggest first, descending, desc, in descending order
order min: lowest first, smallest first, ascending, asc, in ascending order
more max: more, greater
more min: fewer, less

>: above, over, more than, greater than, higher than, exceeding, exceed, in excess of, beyond, >
>: and more than, but more than, and over, and above
<: and less than, but less than, and below, and under, but below
<: below, under, less than, fewer than, lower than, <, short of, beneath
>=: at least, no less than, not less than, no fewer than, not below, not under, >=, a minimum of
<=: at most, no more than, not more than, not above, not over, <=, up to, a maximum of
=: exactly, equal to, equal, =, precisely
orup: or more, and more, or above, and up, or higher, or larger, or over, +
ordown: or less, and less, or below, or lower, or fewer, or under
between: between
from: from
after: after, since, starting at, later than, starting from, beginning at
before: before, until, till, earlier than, prior to
to: to, through
no: no, without, without an, without a, lacking, without any, missing, with no, that lack, non, not
except: excluding, except, except for, other than, apart from, aside from, beside, leaving out
except: not counting, not including, ignoring
having: with, w, have, having, had, that have, with an, with a
starts: starting with, start with, beginning with, begin with, prefixed with, with prefix
starts: with the prefix
ends: ending with, ending in, end with, end in, with suffix
contains: containing

numbered: id, nr, no., with id, with number, index, with index, #

per: per, for each, each, every, in each, in every, for every, of each, of every, grouped by
per: group by, broken down by, split by, divided by, split up by, by each, breakdown by
per: aggregated by, separately by, at each, as per, broken down per, split per
by: by
any: in a, in one, in any, in a single, within a, within one, of any, of a, in any one, of one
any: of a single, a, an, any, single, one single, a single, by a, of an, in an
bucket: bucket, interval, window, bin, step, candle
sorted: sorted by, ordered by, sort by, order by, ranked by, rank by, according to, in terms of
sorted: measured by, by total, by the
and: and, but, &, plus, as well as, along with, together with, and also
or: or
than: than
of: of
is: is, are, was, were, come from, came from, happen, be, been, belong to
in: in, at, during, on, within, among, amongst, inside, out of, throughout, into
only: only, just, solely
follow: what about, how about, and what about, and how about, same, the same, instead, now, then
that: that time, that, then, this
refers: it, its, them, their, they, those, these, of them, of those, of these

filler: the, please, can, could, would, you, tell, me, i, know, would like, i'd like
filler: see, there, do, did, does, done, doing, for, us, let, want, need, hi, hello, hey
filler: thanks, thank you, ok, okay
filler: so, also, too, how do, how did, how does
filler: anyone, anybody, someone, somebody, something, anything, my, our, your, data, dataset
filler: table, take place, took place, occur, made, make, executed, execute, being, his
filler: we, up, out, utc, gmt, exist, appear, found, contain, contained, include, including
filler: exact, as, here, one, ones, ever, actually, whole, entire, full, happening, level, figure
filler: given, come, came, all, all of, seen, saw, recorded, record, reach, account for, made up of
filler: respectively, many, much, hold, held, has, changed hand, change hand, hand, place, placed
filler: processed, process, carried, carry, involved, involve, involving, observed, observe, get
filler: register, registered, breakdown, breakdown of, distribution, distribution of, split, went
filler: go, number, data set
filler: ran, run, use, across, used, per cent of the, quick
filler: over time, overview, overview of, summary, summarise, summarize, me the, been made, row
filler: entry, exchanged, going, put, through the, transact, conduct, filled
filler: conclude
"""
"""A kind, its value where it has one, and the words and phrases that have it."""

GRAINS = {
    "millisecond": "millisecond, ms",
    "second": "second, sec, secondly",
    "minute": "minute, min, minutely",
    "hour": "hour, hourly, hr",
    "day": "day, daily, date",
    "week": "week, weekly",
    "month": "month, monthly",
    "year": "year, yearly, annual",
}
"""Lengths of time, as `date_trunc` calls them, and the words for them."""

_COUNTED = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen
fifteen sixteen seventeen eighteen nineteen twenty"""
_PLACES = "third fourth fifth sixth seventh eighth ninth tenth"

NUMBERS = {word: value for value, word in enumerate(_COUNTED.split())}
NUMBERS |= {"thirty": 30, "forty": 40, "fifty": 50, "hundred": 100, "thousand": 1000, "dozen": 12}

ORDINALS = {word: place for place, word in enumerate(_PLACES.split(), start=3)}
"""Places in an order; "first" and "second" have other meanings besides."""


def stem(word: str) -> str:
    """A word without its plural, in lower case."""
    word = word.lower().replace("’", "'").removesuffix("'s").removesuffix("'")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _phrases() -> dict[tuple[str, ...], tuple[Sense, ...]]:
    found: dict[tuple[str, ...], tuple[Sense, ...]] = {}
    lines = [line.partition(": ") for line in _ENGLISH.splitlines() if line]
    entries = [(Sense(*head.split()), text) for head, _, text in lines]
    entries += [(Sense("grain", grain), text) for grain, text in GRAINS.items()]
    for sense, text in entries:
        for phrase in text.split(", "):
            found.setdefault(tuple(map(stem, phrase.split())), (sense,))
    return found


PHRASES = _phrases()
"""What words and phrases, stemmed, mean; the first declaration of a phrase holds."""
