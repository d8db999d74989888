"""The SDN list in XML, entry by entry: only those that have addresses of digital currencies.

It is streamed, since it is large: elements are forgotten as soon as they have been read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import IO, NamedTuple
from xml.etree.ElementTree import Element

from defusedxml.ElementTree import iterparse

from lbproto_compliance.sources.country_names import country_code

__all__ = ["Listed", "read_list"]

_CURRENCY = "Digital Currency Address - "

# Features that tell a country, the most telling first; `Location` is where somebody has been.
_COUNTRY_FEATURES = ("Nationality Country", "Citizenship Country", "Location")

# What there are many of, in either form.
_RECORDS = frozenset(
    {
        "sdnEntry",
        "Location",
        "IDRegDocument",
        "DistinctParty",
        "ProfileRelationship",
        "SanctionsEntry",
    }
)


class Listed(NamedTuple):
    """Somebody on the list.

    Attributes:
        uid: the list's number for them.
        name: the first of their names.
        programmes: under which they are sanctioned.
        listed_on: since when, or when the list was published, where it does not tell.
        country: ISO 3166 alpha-2 of their nationality, or else of where they are.
        addresses: currency and address of each.
    """

    uid: str
    name: str
    programmes: list[str]
    listed_on: date | None
    country: str | None
    addresses: list[tuple[str, str]]


def read_list(file: IO[bytes]) -> Iterator[Listed]:
    """Those on the list that have addresses.

    Raises:
        ParseError: it is cut off, or no XML.
        DefusedXmlException: it declares a document type, which the list does not.
        ValueError: it is another document, or not whole.
    """
    elements = _elements(file)
    root = next(elements)
    if root.tag == "sdnList":
        return _read_plain(elements)
    if root.tag == "Sanctions":
        return _read_advanced(elements)
    raise ValueError(f"it is not an SDN list: its root is {root.tag[:40]!r}")


def _elements(file: IO[bytes]) -> Iterator[Element]:
    """The root when it begins, then all elements when they have ended.

    Tags are without their namespace: it has changed over the years.
    """
    above: list[Element] = []
    for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
        if event == "start":
            element.tag = element.tag.rpartition("}")[2]
            if not above:
                yield element
            above.append(element)
        else:
            above.pop()
            yield element
            if element.tag in _RECORDS and above:
                above[-1].clear()


def _read_plain(elements: Iterator[Element]) -> Iterator[Listed]:
    published: date | None = None
    expected: int | None = None
    found = 0
    for element in elements:
        if element.tag == "publshInformation":  # as it is spelt there
            published = _american_date(_text(element, "Publish_Date"))
            count = _text(element, "Record_Count")
            expected = int(count) if count.isdecimal() else None
        elif element.tag == "sdnEntry":
            found += 1
            listed = _plain(element, published)
            if listed.addresses:
                yield listed
    _check_count(found, expected)


def _plain(entry: Element, published: date | None) -> Listed:
    names = (_text(entry, "firstName"), _text(entry, "lastName"))
    countries = [
        _text(place, "country")
        for kind in ("nationalityList", "citizenshipList", "addressList")
        for place in entry.findall(f"{kind}/*")
    ]
    return Listed(
        uid=_text(entry, "uid"),
        name=" ".join(name for name in names if name),
        programmes=[_clean(each.text) for each in entry.findall("programList/program")],
        listed_on=published,
        country=_first_country(countries),
        addresses=[
            (_text(each, "idType").removeprefix(_CURRENCY), _text(each, "idNumber"))
            for each in entry.findall("idList/id")
            if _text(each, "idType").startswith(_CURRENCY)
        ],
    )


def _read_advanced(elements: Iterator[Element]) -> Iterator[Listed]:
    """Parties, and behind them what they are sanctioned for: so nobody is told before the end."""
    reading = _Advanced()
    for element in elements:
        reading.read(element)
    _check_count(reading.parties, None)
    for profile, listed in reading.listed.items():
        programmes, listed_on = reading.entries.get(profile, ([], None))
        yield listed._replace(programmes=programmes, listed_on=listed_on or reading.issued)


class _Advanced:
    """What has been read of the advanced form.

    Attributes:
        issued: when the list was.
        parties: how many there are.
        listed: those with addresses, by profile.
        entries: programmes and date, by profile.
    """

    def __init__(self) -> None:
        self.issued: date | None = None
        self.parties = 0
        self.listed: dict[str, Listed] = {}
        self.entries: dict[str, tuple[list[str], date | None]] = {}
        self._features: dict[str, str] = {}
        self._countries: dict[str, str] = {}
        self._locations: dict[str, str] = {}

    def read(self, element: Element) -> None:
        identity = element.get("ID", "")
        match element.tag:
            case "DateOfIssue":
                self.issued = _date(element)
            case "FeatureType":
                self._features[identity] = _clean(element.text)
            case "Country" if identity:
                self._countries[identity] = _clean(element.text)
            case "Location":
                country = element.find("LocationCountry")
                if country is not None:
                    self._locations[identity] = country.get("CountryID", "")
            case "DistinctParty":
                self.parties += 1
                self._party(element)
            case "SanctionsEntry":
                dates = [_date(each) for each in element.findall("EntryEvent/Date")]
                self.entries[element.get("ProfileID", "")] = (
                    [
                        _clean(each.text)
                        for each in element.findall("SanctionsMeasure/Comment")
                        if _clean(each.text)
                    ],
                    min((each for each in dates if each), default=None),
                )

    def _party(self, party: Element) -> None:
        addresses = []
        countries: dict[str, list[str]] = {}
        for feature in party.iter("Feature"):
            kind = self._features.get(feature.get("FeatureTypeID", ""), "")
            if kind.startswith(_CURRENCY):
                currency = kind.removeprefix(_CURRENCY)
                addresses += [
                    (currency, _clean(each.text)) for each in feature.iter("VersionDetail")
                ]
            for place in feature.iter("VersionLocation"):
                location = self._locations.get(place.get("LocationID", ""), "")
                countries.setdefault(kind, []).append(self._countries.get(location, ""))
        profile = party.find("Profile")
        if not addresses or profile is None:
            return
        self.listed[profile.get("ID", "")] = Listed(
            uid=party.get("FixedRef", ""),
            name=_primary_name(profile),
            programmes=[],
            listed_on=None,
            country=_first_country(
                [name for kind in _COUNTRY_FEATURES for name in countries.get(kind, [])]
            ),
            addresses=addresses,
        )


def _primary_name(profile: Element) -> str:
    """The first spelling of the primary name; others are in other scripts."""
    for path in ("Identity/Alias[@Primary='true']/DocumentedName", "Identity/Alias/DocumentedName"):
        name = profile.find(path)
        if name is not None:
            return " ".join(_clean(part.text) for part in name.iter("NamePartValue"))
    return ""


def _check_count(found: int, expected: int | None) -> None:
    if found == 0:
        raise ValueError("the list is empty")
    if expected is not None and found != expected:
        raise ValueError(f"it says that it has {expected} entries, and has {found}")


def _first_country(names: list[str]) -> str | None:
    return next((code for code in map(country_code, names) if code is not None), None)


def _american_date(text: str) -> date | None:
    month, _, rest = text.partition("/")
    day, _, year = rest.partition("/")
    return _day(year, month, day)


def _date(element: Element) -> date | None:
    return _day(*(_text(element, part) for part in ("Year", "Month", "Day")))


def _day(year: str, month: str, day: str) -> date | None:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        return None


def _text(element: Element, path: str) -> str:
    return _clean(element.findtext(path))


def _clean(text: str | None) -> str:
    return " ".join((text or "").split())
