"""Countries by the names that sanctions lists call them."""

from __future__ import annotations

__all__ = ["CODES", "country_code"]

_NAMES = """
AD Andorra|AE United Arab Emirates|AF Afghanistan|AG Antigua and Barbuda|AI Anguilla|AL Albania
AM Armenia|AO Angola|AR Argentina|AT Austria|AU Australia|AW Aruba|AZ Azerbaijan
BA Bosnia and Herzegovina|BB Barbados|BD Bangladesh|BE Belgium|BF Burkina Faso|BG Bulgaria
BH Bahrain|BI Burundi|BJ Benin|BM Bermuda|BN Brunei|BO Bolivia|BR Brazil|BS Bahamas, The
BS Bahamas|BT Bhutan|BW Botswana|BY Belarus|BZ Belize|CA Canada
CD Congo, Democratic Republic of the|CF Central African Republic|CG Congo, Republic of the
CH Switzerland|CI Cote d Ivoire|CI Cote d'Ivoire|CK Cook Islands|CL Chile|CM Cameroon|CN China
CO Colombia|CR Costa Rica|CU Cuba|CV Cape Verde|CV Cabo Verde|CW Curacao|CY Cyprus
CZ Czech Republic|CZ Czechia|DE Germany|DJ Djibouti|DK Denmark|DM Dominica|DO Dominican Republic
DZ Algeria|EC Ecuador|EE Estonia|EG Egypt|ER Eritrea|ES Spain|ET Ethiopia|FI Finland|FJ Fiji
FM Micronesia, Federated States of|FR France|GA Gabon|GB United Kingdom|GD Grenada|GE Georgia
GG Guernsey|GH Ghana|GI Gibraltar|GL Greenland|GM Gambia, The|GM Gambia|GN Guinea
GQ Equatorial Guinea|GR Greece|GT Guatemala|GU Guam|GW Guinea-Bissau|GY Guyana|HK Hong Kong
HN Honduras|HR Croatia|HT Haiti|HU Hungary|ID Indonesia|IE Ireland|IL Israel|IM Isle of Man
IN India|IQ Iraq|IR Iran|IS Iceland|IT Italy|JE Jersey|JM Jamaica|JO Jordan|JP Japan|KE Kenya
KG Kyrgyzstan|KH Cambodia|KI Kiribati|KM Comoros|KN Saint Kitts and Nevis|KP Korea, North
KP North Korea|KR Korea, South|KR South Korea|KW Kuwait|KY Cayman Islands|KZ Kazakhstan|LA Laos
LB Lebanon|LC Saint Lucia|LI Liechtenstein|LK Sri Lanka|LR Liberia|LS Lesotho|LT Lithuania
LU Luxembourg|LV Latvia|LY Libya|MA Morocco|MC Monaco|MD Moldova|ME Montenegro|MG Madagascar
MH Marshall Islands|MK North Macedonia, The Republic of|MK North Macedonia|MK Macedonia|ML Mali
MM Burma|MM Myanmar|MN Mongolia|MO Macau|MO Macao|MR Mauritania|MT Malta|MU Mauritius|MV Maldives
MW Malawi|MX Mexico|MY Malaysia|MZ Mozambique|NA Namibia|NC New Caledonia|NE Niger|NG Nigeria
NI Nicaragua|NL Netherlands|NO Norway|NP Nepal|NR Nauru|NU Niue|NZ New Zealand|OM Oman|PA Panama
PE Peru|PG Papua New Guinea|PH Philippines|PK Pakistan|PL Poland|PR Puerto Rico|PS Palestinian
PS West Bank|PT Portugal|PW Palau|PY Paraguay|QA Qatar|RO Romania|RS Serbia|RU Russia|RW Rwanda
SA Saudi Arabia|SB Solomon Islands|SC Seychelles|SD Sudan|SE Sweden|SG Singapore|SI Slovenia
SK Slovakia|SL Sierra Leone|SM San Marino|SN Senegal|SO Somalia|SR Suriname|SS South Sudan
ST Sao Tome and Principe|SV El Salvador|SY Syria|SZ Swaziland|SZ Eswatini
TC Turks and Caicos Islands|TD Chad|TG Togo|TH Thailand|TJ Tajikistan|TL Timor-Leste
TM Turkmenistan|TN Tunisia|TO Tonga|TR Turkey|TR Turkiye|TT Trinidad and Tobago|TV Tuvalu
TW Taiwan|TZ Tanzania|UA Ukraine|UG Uganda|US United States|UY Uruguay|UZ Uzbekistan
VA Holy See|VA Vatican City|VC Saint Vincent and the Grenadines|VE Venezuela
VG Virgin Islands, British|VI Virgin Islands, U.S.|VN Vietnam|VU Vanuatu|WS Samoa|YE Yemen
ZA South Africa|ZM Zambia|ZW Zimbabwe
"""

CODES = {
    entry[3:].casefold(): entry[:2]
    for line in _NAMES.split("\n")
    if line
    for entry in line.split("|")
}
"""Codes by names, in lower case."""


def country_code(name: str) -> str | None:
    """ISO 3166 alpha-2, or `None` for what is not a country, such as `undetermined`."""
    return CODES.get(name.casefold())
