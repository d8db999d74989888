from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lbproto import InvalidRequest, NotFound
from lbproto_compliance.addresses import MalformedAddress, parse
from lbproto_compliance.chains import CHAINS

PRIVATE_KEY = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"  # an example of Bitcoin's wiki


@pytest.mark.parametrize(
    ("chain", "text"),
    [
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        ("bitcoin", "1111111111111111111114oLvT2"),  # a hash of zeros
        ("bitcoin", "3P14159f73E4gFr7JterCCQh9QjiTjiZrG"),
        ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
        ("solana", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
        ("solana", "So11111111111111111111111111111111111111112"),
        ("solana", "1" * 32),
        ("polygon", "0x0000000000000000000000000000000000000000"),
        ("bsc", "0xbf4ed7b27f1d666546e30d74d50d173d20bca754"),
    ],
)
def test_an_address_is_itself(chain: str, text: str) -> None:
    assert parse(chain, text) == text


@pytest.mark.parametrize(
    "text",
    [
        "0x52908400098527886E0F7030069857D2E4169EE7",  # EIP 55's own
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ],
)
def test_the_case_of_an_evm_address_is_its_checksum_where_it_is_mixed(text: str) -> None:
    assert parse("ethereum", text) == text.lower()
    assert parse("ethereum", text.lower()) == text.lower()
    assert parse("ethereum", "0x" + text[2:].upper()) == text.lower()
    mistaken = text[:2] + text[2:].swapcase()
    if text[2:] not in (text[2:].lower(), text[2:].upper()):
        with pytest.raises(MalformedAddress) as refused:
            parse("ethereum", mistaken)
        assert refused.value.reason == "checksum"


@pytest.mark.parametrize(
    ("chain", "text", "reason"),
    [
        ("bitcoin", "", "length"),
        ("bitcoin", "1" * 10_000, "length"),
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "checksum"),
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf", "length"),
        ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7Div0Na", "alphabet"),
        ("bitcoin", " 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "alphabet"),
        ("bitcoin", "bitcoin:1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "alphabet"),
        ("bitcoin", "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "network"),
        ("bitcoin", "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", "network"),
        ("bitcoin", "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "network"),
        ("bitcoin", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "version"),
        ("bitcoin", PRIVATE_KEY, "length"),
        ("bitcoin", "0xbf4ed7b27f1d666546e30d74d50d173d20bca754", "alphabet"),
        ("bitcoin", "bc1q\u212a508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "alphabet"),
        ("ethereum", "bf4ed7b27f1d666546e30d74d50d173d20bca754", "encoding"),
        ("ethereum", "0Xbf4ed7b27f1d666546e30d74d50d173d20bca754", "encoding"),
        ("ethereum", "0x", "length"),
        ("ethereum", "0xbf4ed7b27f1d666546e30d74d50d173d20bca75", "length"),
        ("ethereum", "0xbf4ed7b27f1d666546e30d74d50d173d20bca7541", "length"),
        ("ethereum", "0xbf4ed7b27f1d666546e30d74d50d173d20bca75g", "alphabet"),
        ("ethereum", "0xbf4ed7b27f1d666546e30d74d50d173d20bca75\u0664", "alphabet"),
        ("ethereum", "vitalik.eth", "encoding"),
        ("tron", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "version"),
        ("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6T", "checksum"),
        ("tron", "27P5XkQGiwDBfBKNQyp1RBVCHoPxSiLnnsu", "network"),
        ("solana", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyT", "length"),
        ("solana", "1" * 33, "length"),
        ("solana", "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1l", "alphabet"),
        ("solana", PRIVATE_KEY, "length"),
    ],
)
def test_what_is_no_address_is_refused_for_a_reason(chain: str, text: str, reason: str) -> None:
    with pytest.raises(MalformedAddress, match=rf"^Malformed address \({reason}\): ") as refused:
        parse(chain, text)
    assert refused.value.reason == reason
    assert not text or text not in refused.value.message


def test_a_chain_that_there_is_not_is_said_so_with_those_that_there_are() -> None:
    with pytest.raises(NotFound, match="there is no chain 'dogecoin', but bitcoin, ethereum"):
        parse("dogecoin", "D5pRGVDfqyRZe6jUcWcJeWSeuAWCVhvzwe")
    for chain in CHAINS:
        with pytest.raises(InvalidRequest):
            parse(chain, "no address of any chain")


ADDRESS_LIKE = st.one_of(
    st.text(max_size=200),
    st.from_regex(r"(bc|tb|bcrt|BC)1[02-9ac-hj-np-z]{0,90}", fullmatch=True),
    st.from_regex(r"[1-9A-HJ-NP-Za-km-z]{20,60}", fullmatch=True),
    st.from_regex(r"0[xX][0-9a-fA-F]{36,44}", fullmatch=True),
)


@given(st.sampled_from(sorted(CHAINS)), ADDRESS_LIKE)
@example("bitcoin", "bc1\u0130")
@example("bitcoin", "\ud800")
@example("solana", "\0")
def test_whatever_comes_is_an_address_or_refused(chain: str, text: str) -> None:
    try:
        address = parse(chain, text)
    except MalformedAddress:
        return
    assert address.isascii()
    assert parse(chain, address) == address


@given(st.data())
def test_no_single_mistake_is_missed(data: st.DataObject) -> None:
    chain, address, alphabet = data.draw(
        st.sampled_from(
            [
                ("bitcoin", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "123ABCabc"),
                ("bitcoin", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "qpzry9x8"),
                ("tron", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", "123ABCabc"),
            ]
        )
    )
    place = data.draw(st.integers(4, len(address) - 1))
    other = data.draw(st.sampled_from(alphabet.replace(address[place], "")))
    with pytest.raises(MalformedAddress):
        parse(chain, address[:place] + other + address[place + 1 :])
