"""Every test vector of BIP 173 and BIP 350, and BIP 341's addresses of taproot outputs."""

from __future__ import annotations

import pytest

from lbproto_compliance.addresses import MalformedAddress, bech32, parse

VALID_BECH32 = [
    "A12UEL5L",
    "a12uel5l",
    "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs",
    "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
    f"11{'q' * 82}c8247j",
    "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w",
    "?1ezyfcl",
]

VALID_BECH32M = [
    "A1LQFN3A",
    "a1lqfn3a",
    "an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6",
    "abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx",
    f"11{'l' * 82}ludsr8",
    "split1checkupstagehandshakeupstreamerranterredcaperredlc445v",
    "?1v759aa",
]

INVALID = [
    ("\x201nwldj5", "alphabet"),
    ("\x7f1axkwrx", "alphabet"),
    ("\x801eym55h", "alphabet"),
    (
        "an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx",
        "length",
    ),
    ("pzry9x0s0muk", "encoding"),
    ("1pzry9x0s0muk", "encoding"),
    ("x1b4n0q5v", "alphabet"),
    ("li1dgmt3", "length"),
    ("de1lg7wt\xff", "alphabet"),
    ("A1G7SGD8", "checksum"),
    ("10a06t8", "encoding"),
    ("1qzzfhee", "encoding"),
    ("\x201xj0phk", "alphabet"),
    ("\x7f1g6xzxy", "alphabet"),
    ("\x801vctc34", "alphabet"),
    (
        "an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4",
        "length",
    ),
    ("qyrz8wqd2c9m", "encoding"),
    ("1qyrz8wqd2c9m", "encoding"),
    ("y1b0jsk6g", "alphabet"),
    ("lt1igcx5c0", "alphabet"),
    ("in1muywd", "length"),
    ("mm1crxm3i", "alphabet"),
    ("au1s5cgom", "alphabet"),
    ("M1VUXWEZ", "checksum"),
    ("16plkw9", "encoding"),
    ("1p2gdwpf", "encoding"),
]

ADDRESSES = [  # with the scripts that they stand for
    (
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "0014751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    ("BC1SW50QGDZ25J", "6002751e"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
    # BIP 341
    (
        "bc1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dps59h4z5",
        "512053a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343",
    ),
    (
        "bc1pz37fc4cn9ah8anwm4xqqhvxygjf9rjf2resrw8h8w4tmvcs0863sa2e586",
        "5120147c9c57132f6e7ecddba9800bb0c4449251c92a1e60371ee77557b6620f3ea3",
    ),
    (
        "bc1punvppl2stp38f7kwv2u2spltjuvuaayuqsthe34hd2dyy5w4g58qqfuag5",
        "5120e4d810fd50586274face62b8a807eb9719cef49c04177cc6b76a9a4251d5450e",
    ),
    (
        "bc1pwyjywgrd0ffr3tx8laflh6228dj98xkjj8rum0zfpd6h0e930h6saqxrrm",
        "5120712447206d7a5238acc7ff53fbe94a3b64539ad291c7cdbc490b7577e4b17df5",
    ),
    (
        "bc1pwl3s54fzmk0cjnpl3w9af39je7pv5ldg504x5guk2hpecpg2kgsqaqstjq",
        "512077e30a5522dd9f894c3f8b8bd4c4b2cf82ca7da8a3ea6a239655c39c050ab220",
    ),
    (
        "bc1pjxmy65eywgafs5tsunw95ruycpqcqnev6ynxp7jaasylcgtcxczs6n332e",
        "512091b64d5324723a985170e4dc5a0f84c041804f2cd12660fa5dec09fc21783605",
    ),
]

INVALID_ADDRESSES = [
    ("tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty", "network"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "checksum"),
    ("BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2", "version"),
    ("bc1rw5uspcuh", "length"),
    ("bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90", "length"),
    ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "length"),
    ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7", "encoding"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du", "encoding"),
    ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3pjxtptv", "encoding"),
    ("bc1gmk9yu", "length"),
    # BIP 173 had these as valid: Bech32 of versions for which BIP 350 has Bech32m
    ("bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx", "encoding"),
    ("BC1SW50QA3JX3S", "encoding"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvg6kdaj", "encoding"),
    # BIP 350
    ("tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", "network"),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "encoding"),
    ("tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", "encoding"),
    ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "encoding"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "encoding"),
    ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "encoding"),
    ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "alphabet"),
    ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "version"),
    ("bc1pw5dgrnzv", "length"),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "length"),
    ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "encoding"),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "encoding"),
    ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "encoding"),
]


@pytest.mark.parametrize(
    ("text", "modified"),
    [*((text, False) for text in VALID_BECH32), *((text, True) for text in VALID_BECH32M)],
)
def test_valid_texts(text: str, modified: bool) -> None:
    decoded = bech32.decode(text)
    assert decoded.prefix == text.lower().rpartition("1")[0]
    assert decoded.modified is modified


@pytest.mark.parametrize(("text", "reason"), INVALID)
def test_invalid_texts(text: str, reason: str) -> None:
    with pytest.raises(MalformedAddress) as refused:
        bech32.decode(text)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("text", "script"), ADDRESSES)
def test_valid_addresses(text: str, script: str) -> None:
    prefix, version, program = bech32.decode_witness(text)
    opcode = version + 0x50 if version else 0
    assert bytes([opcode, len(program), *program]).hex() == script
    if prefix == "bc":
        assert parse("bitcoin", text) == text.lower()
    else:
        with pytest.raises(MalformedAddress) as refused:
            parse("bitcoin", text)
        assert refused.value.reason == "network"


@pytest.mark.parametrize(("text", "reason"), INVALID_ADDRESSES)
def test_invalid_addresses(text: str, reason: str) -> None:
    with pytest.raises(MalformedAddress) as refused:
        parse("bitcoin", text)
    assert refused.value.reason == reason
