"""The SDN list in both forms, made after the published ones; its addresses are real."""

from __future__ import annotations

import tracemalloc
from contextlib import aclosing
from datetime import date
from io import BytesIO
from pathlib import Path

import anyio
import pytest

from lbproto_compliance.countries import COUNTRIES
from lbproto_compliance.sources.batches import Attribution, Batch, Rejected, SourceError
from lbproto_compliance.sources.country_names import CODES, country_code
from lbproto_compliance.sources.ofac import Ofac
from lbproto_compliance.sources.sdn import read_list

RONIN = "0x098B716B8Aaf21512996dC57EB0615e2383E2f96"
BITCOIN = "12QtD5BFwRsdNsAZY76UVE1xyCGNTojH9h"
TRON = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
NAMESPACE = "https://sanctionslistservice.ofac.treas.gov/api/PublicationPreview/exports"


def listing(currency: str, address: str) -> str:
    kind = f"Digital Currency Address - {currency}"
    return f"<id><uid>1</uid><idType>{kind}</idType><idNumber>{address}</idNumber></id>"


PLAIN = f"""\
<?xml version="1.0" standalone="yes"?>
<sdnList xmlns="{NAMESPACE}/XML">
  <publshInformation>
    <Publish_Date>05/21/2026</Publish_Date>
    <Record_Count>3</Record_Count>
  </publshInformation>
  <sdnEntry>
    <uid>36</uid><lastName>AEROCARIBBEAN AIRLINES</lastName><sdnType>Entity</sdnType>
    <programList><program>CUBA</program></programList>
    <addressList><address><uid>25</uid><country>Cuba</country></address></addressList>
  </sdnEntry>
  <sdnEntry>
    <uid>27307</uid><lastName>LAZARUS GROUP</lastName><sdnType>Entity</sdnType>
    <programList><program>DPRK3</program><program>CYBER2</program></programList>
    <idList>
      {listing("ETH", f" {RONIN} ")}{listing("USDC", RONIN)}
      <id><uid>3</uid><idType>Registration Number</idType><idNumber>{BITCOIN}</idNumber></id>
    </idList>
    <addressList><address><uid>4</uid><country>Korea, North</country></address></addressList>
  </sdnEntry>
  <sdnEntry>
    <uid>17760</uid><firstName>Ali</firstName><lastName>KHORASHADIZADEH</lastName>
    <programList><program>CYBER2</program></programList>
    <idList>
      {listing("XBT", BITCOIN)}{listing("XBT", BITCOIN[:-1])}
      {listing("USDT", TRON)}{listing("XMR", "4monero")}
    </idList>
    <addressList><address><uid>9</uid><country>undetermined</country></address></addressList>
    <nationalityList>
      <nationality><uid>10</uid><country>Iran</country><mainEntry>true</mainEntry></nationality>
    </nationalityList>
  </sdnEntry>
</sdnList>
"""


def feature(type_id: int, inner: str) -> str:
    version = f'<FeatureVersion ID="1" ReliabilityID="1560"><Comment/>{inner}</FeatureVersion>'
    return f'<Feature ID="1" FeatureTypeID="{type_id}">{version}</Feature>'


def party(number: int, names: str, features: str) -> str:
    parts = "".join(
        f"<DocumentedNamePart><NamePartValue>{name}</NamePartValue></DocumentedNamePart>"
        for name in names.split()
    )
    return f"""
    <DistinctParty FixedRef="{number}"><Comment/>
      <Profile ID="{number}" PartySubTypeID="3">
        <Identity ID="1" FixedRef="{number}" Primary="true" False="false">
          <Alias FixedRef="{number}" AliasTypeID="1400" Primary="false"><DocumentedName ID="1">
            <DocumentedNamePart><NamePartValue>Alias</NamePartValue></DocumentedNamePart>
          </DocumentedName></Alias>
          <Alias FixedRef="{number}" AliasTypeID="1403" Primary="true">
            <DocumentedName ID="2">{parts}</DocumentedName>
            <DocumentedName ID="3"><DocumentedNamePart><NamePartValue>Лазарь</NamePartValue>
            </DocumentedNamePart></DocumentedName>
          </Alias>
        </Identity>
        {features}
      </Profile>
    </DistinctParty>"""


def sanction(number: int, dates: list[tuple[int, int, int]], programmes: str) -> str:
    events = "".join(
        f'<EntryEvent ID="1" EntryEventTypeID="1"><Date CalendarTypeID="1"><Year>{year}</Year>'
        f"<Month>{month}</Month><Day>{day}</Day></Date></EntryEvent>"
        for year, month, day in dates
    )
    measures = "".join(
        f'<SanctionsMeasure ID="2" SanctionsTypeID="1"><Comment>{name}</Comment></SanctionsMeasure>'
        for name in programmes.split()
    )
    return f"""
    <SanctionsEntry ID="{number}" ProfileID="{number}" ListID="1550">{events}
      <SanctionsMeasure ID="1" SanctionsTypeID="1705"><Comment/></SanctionsMeasure>{measures}
    </SanctionsEntry>"""


ADVANCED = f"""\
<?xml version="1.0" encoding="utf-8"?>
<Sanctions xmlns="{NAMESPACE}/ADVANCED_XML" Version="1">
  <DateOfIssue CalendarTypeID="1"><Year>2026</Year><Month>5</Month><Day>21</Day></DateOfIssue>
  <ReferenceValueSets>
    <CountryValues><Country ID="11091">Iran</Country><Country ID="11100">Korea, North</Country>
    </CountryValues>
    <FeatureTypeValues>
      <FeatureType ID="10" FeatureTypeGroupID="1">Nationality Country</FeatureType>
      <FeatureType ID="25" FeatureTypeGroupID="1">Location</FeatureType>
      <FeatureType ID="344" FeatureTypeGroupID="1">Digital Currency Address - XBT</FeatureType>
      <FeatureType ID="345" FeatureTypeGroupID="1">Digital Currency Address - ETH</FeatureType>
    </FeatureTypeValues>
  </ReferenceValueSets>
  <Locations>
    <Location ID="1"><LocationCountry CountryID="11100" CountryRelevanceID="1"/></Location>
    <Location ID="2"><LocationCountry CountryID="11091" CountryRelevanceID="1"/></Location>
    <Location ID="3"><LocationAreaCode AreaCodeID="1"/></Location>
  </Locations>
  <DistinctParties>
  {party(36, "AEROCARIBBEAN AIRLINES", feature(25, '<VersionLocation LocationID="1"/>'))}
  {
    party(
        27307,
        "LAZARUS GROUP",
        feature(25, '<VersionLocation LocationID="3"/><VersionLocation LocationID="1"/>')
        + feature(345, f'<VersionDetail DetailTypeID="1432">{RONIN}</VersionDetail>'),
    )
}
  {
    party(
        17760,
        "KHORASHADIZADEH Ali",
        feature(344, f'<VersionDetail DetailTypeID="1432">{BITCOIN}</VersionDetail>')
        + feature(25, '<VersionLocation LocationID="1"/>')
        + feature(10, '<VersionLocation LocationID="2"/>')
        + feature(344, '<VersionDetail DetailTypeID="1432">1nonsense</VersionDetail>'),
    )
}
  </DistinctParties>
  <SanctionsEntries>
  {sanction(36, [(1986, 12, 10)], "CUBA")}
  {sanction(27307, [(2022, 4, 14), (2019, 9, 13)], "DPRK3 CYBER2")}
  </SanctionsEntries>
</Sanctions>
"""


def list_of(path: Path, text: str, chain: str) -> Ofac:
    file = path / "SDN.XML"
    file.write_text(text)
    return Ofac(chain, file)


async def batches_of(source: Ofac, checkpoint: str | None = None) -> list[Batch]:
    async with aclosing(source.batches(checkpoint)) as batches:
        return [batch async for batch in batches]


def batches_now(source: Ofac) -> list[Batch]:
    """The same, to its end, in a loop of its own."""
    return anyio.run(batches_of, source)


def read(path: Path, text: str, chain: str) -> tuple[list[Attribution], list[Rejected]]:
    batches = batches_now(list_of(path, text, chain))
    rows = [row for batch in batches for row in batch.rows if isinstance(row, Attribution)]
    return rows, [one for batch in batches for one in batch.rejected]


@pytest.mark.parametrize(
    ("text", "listed_on"), [(PLAIN, date(2026, 5, 21)), (ADVANCED, date(2019, 9, 13))]
)
def test_who_is_listed_and_why(tmp_path: Path, text: str, listed_on: date) -> None:
    rows, rejected = read(tmp_path, text, "ethereum")
    assert rejected == []
    assert rows == [
        Attribution(
            address=RONIN.lower(),
            label="LAZARUS GROUP [DPRK3, CYBER2]",
            category="sanctioned",
            source="OFAC SDN",
            source_url="https://sanctionssearch.ofac.treas.gov/Details.aspx?id=27307",
            listed_on=listed_on,
            confidence=1.0,
            country="KP",
            entity="OFAC 27307",
        )
    ]
    assert read(tmp_path, text, "polygon") == (rows, [])


@pytest.mark.parametrize(
    ("text", "label", "malformed"),
    [
        (PLAIN, "Ali KHORASHADIZADEH [CYBER2]", BITCOIN[:-1]),
        (ADVANCED, "KHORASHADIZADEH Ali", "1nonsense"),
    ],
)
def test_a_malformed_address_is_set_aside(
    tmp_path: Path, text: str, label: str, malformed: str
) -> None:
    [row], [rejected] = read(tmp_path, text, "bitcoin")
    assert (row.address, row.label, row.country) == (BITCOIN, label, "IR")
    assert row.listed_on == date(2026, 5, 21)
    assert rejected.place == "entry 17760"
    assert "Malformed address" in rejected.reason
    assert rejected.row.endswith(f"XBT {malformed}")


def test_a_token_is_of_the_chain_that_its_address_is_of(tmp_path: Path) -> None:
    [row], rejected = read(tmp_path, PLAIN, "tron")
    assert (row.address, row.entity, rejected) == (TRON, "OFAC 17760", [])
    assert read(tmp_path, PLAIN, "solana") == ([], [])


@pytest.mark.anyio
async def test_it_goes_on_behind_a_checkpoint(tmp_path: Path) -> None:
    source = list_of(tmp_path, PLAIN, "bitcoin")
    [batch] = await batches_of(source)
    assert batch.done == 1
    assert await batches_of(source, batch.checkpoint) == []


@pytest.mark.parametrize("text", [PLAIN, ADVANCED])
def test_a_list_that_is_cut_off_clears_nobody(tmp_path: Path, text: str) -> None:
    for place in (0, 10, len(text) // 2, len(text) * 9 // 10, len(text) - 5):
        with pytest.raises(SourceError, match="cut off or no XML"):
            batches_now(list_of(tmp_path, text[:place], "bitcoin"))


BOMB = """\
<?xml version="1.0"?>
<!DOCTYPE sdnList [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<sdnList><sdnEntry><uid>&b;</uid></sdnEntry></sdnList>"""
READER = """\
<?xml version="1.0"?>
<!DOCTYPE sdnList SYSTEM "file:///etc/passwd"><sdnList/>"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<html/>", "it is not an SDN list: its root is 'html'"),
        ("<sdnList/>", "the list is empty"),
        ("<Sanctions/>", "the list is empty"),
        (PLAIN.replace("<Record_Count>3<", "<Record_Count>4<"), "it has 4 entries, and has 3"),
        (BOMB, "declares entities"),
        (READER, "declares entities"),
    ],
)
def test_what_is_no_list_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(SourceError, match=reason):
        batches_now(list_of(tmp_path, text, "bitcoin"))


def test_countries_as_the_list_calls_them() -> None:
    assert [country_code(name) for name in ("Iran", "KOREA, NORTH", "undetermined", "")] == [
        "IR",
        "KP",
        None,
        None,
    ]
    assert set(CODES.values()) <= COUNTRIES


def test_a_long_list_is_not_held_in_memory() -> None:
    head, _, rest = PLAIN.partition("  <sdnEntry>")
    entry = "  <sdnEntry>" + rest.partition("</sdnEntry>")[0] + "</sdnEntry>\n"
    text = head.replace(">3<", ">1003<") + entry * 1_000 + "  <sdnEntry>" + rest
    file = BytesIO(text.encode())
    tracemalloc.start()
    try:
        found = len(list(read_list(file)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 2
    assert peak < 500_000  # all elements at once are 1.7 MB
