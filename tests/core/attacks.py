"""Every scheme of tokens, and every attack on it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from lbproto import (
    JWT,
    PEM,
    APIKey,
    APIKeys,
    Authenticator,
    Clerk,
    StaticTokens,
)
from lbproto.testing import START, VirtualClock

ISSUER = "https://clerk.example.com"
ORIGIN = "https://app.example.com"
AUDIENCE = "lbproto"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@cache
def key_pair() -> tuple[str, APIKey]:
    return APIKey.create("machine", claims={"applications": ["a"]}, expires_at=START + 60)


class KnownKeys:
    """Keys with ids, as a key set has them."""

    def __init__(self, **keys: PrivateKey) -> None:
        self._keys = keys

    async def find(self, kid: str | None, algorithm: str) -> list[Any]:
        kind = {"RS256": rsa.RSAPrivateKey, "ES256": ec.EllipticCurvePrivateKey}[algorithm]
        return [
            key.public_key()
            for name, key in self._keys.items()
            if kid in (None, name) and isinstance(key, kind)
        ]


@dataclass(frozen=True)
class Scheme:
    """One way to verify tokens, and how its rightful tokens are made."""

    make: Callable[[VirtualClock], Authenticator]
    key: PrivateKey
    algorithm: str
    claims: dict[str, Any]

    def token(self, **changes: Any) -> str:
        """A rightful token, with these claims changed; those that are None are left out."""
        claims = {name: value for name, value in (self.claims | changes).items() if value != ()}
        return jwt.encode(claims, self.key, self.algorithm, headers={"kid": "k1"})


CLAIMS = {
    "iss": ISSUER,
    "sub": "user_1",
    "iat": START,
    "nbf": START - 10,
    "exp": START + 60,
}

SCHEMES = {
    "pem-rs256": Scheme(
        lambda clock: JWT(
            PEM(public_pem(rsa_key())), issuer=ISSUER, audience=AUDIENCE, clock=clock
        ),
        rsa_key(),
        "RS256",
        {**CLAIMS, "aud": AUDIENCE},
    ),
    "pem-es256": Scheme(
        lambda clock: JWT(
            PEM(public_pem(ec_key()).decode()), issuer=[ISSUER, "other"], clock=clock
        ),
        ec_key(),
        "ES256",
        CLAIMS,
    ),
    "key-set": Scheme(
        lambda clock: JWT(
            KnownKeys(k1=rsa_key(), k2=rsa_key(1), k3=ec_key()),
            issuer=ISSUER,
            authorized_parties=[ORIGIN],
            clock=clock,
        ),
        rsa_key(),
        "RS256",
        {**CLAIMS, "azp": ORIGIN},
    ),
    "clerk": Scheme(
        lambda clock: Clerk(
            ISSUER,
            authorized_parties=[ORIGIN],
            keys=KnownKeys(k1=rsa_key()),
            clock=clock,
        ),
        rsa_key(),
        "RS256",
        {**CLAIMS, "azp": ORIGIN, "sid": "sess_1", "v": 2, "o": {"id": "org_1", "rol": "admin"}},
    ),
}


def encode(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def claims_of(scheme: Scheme) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(scheme.token(), options={"verify_signature": False})
    return claims


def unsigned(scheme: Scheme, algorithm: str) -> str:
    return f"{encode({'alg': algorithm, 'typ': 'JWT'})}.{encode(claims_of(scheme))}."


def symmetric(scheme: Scheme, algorithm: str = "HS256") -> str:
    """Signed with the public key as if that were a shared secret: algorithm confusion."""
    signed = f"{encode({'alg': algorithm, 'kid': 'k1'})}.{encode(claims_of(scheme))}"
    mac = hmac.new(public_pem(scheme.key), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encode(mac)}"


def tampered(scheme: Scheme, **changes: Any) -> str:
    header, _, signature = scheme.token().split(".")
    return f"{header}.{encode(scheme.claims | changes)}.{signature}"


def other(scheme: Scheme) -> PrivateKey:
    return rsa_key(7) if scheme.algorithm == "RS256" else ec_key(7)


def with_header(scheme: Scheme, key: PrivateKey | None = None, **headers: Any) -> str:
    signer = key or scheme.key
    return jwt.encode(scheme.claims, signer, scheme.algorithm, headers={"kid": "k1", **headers})


def other_algorithm(scheme: Scheme) -> str:
    """Signed by the right key in a way that is good, and not accepted."""
    if scheme.algorithm == "RS256":
        return jwt.encode(scheme.claims, scheme.key, "PS256", headers={"kid": "k1"})
    return jwt.encode(scheme.claims, ec.generate_private_key(ec.SECP384R1()), "ES384")


def disguised(scheme: Scheme) -> str:
    """One algorithm's signature under the name of the other."""
    name = "ES256" if scheme.algorithm == "RS256" else "RS256"
    return f"{encode({'alg': name, 'kid': 'k1'})}.{scheme.token().partition('.')[2]}"


ATTACKS: dict[str, Callable[[Scheme], str]] = {
    "missing": lambda _: "",
    "garbage": lambda _: "garbage",
    "three-dots": lambda _: "...",
    "not-base64": lambda _: "!!.!!.!!",
    "null-bytes": lambda _: "\0.\0.\0",
    "emoji": lambda _: "😀.😀.😀",
    "lone-surrogate": lambda _: "\ud800",
    "truncated": lambda scheme: scheme.token()[:-20],
    "cut-signature": lambda scheme: scheme.token().rpartition(".")[0] + ".",
    "no-signature": lambda scheme: scheme.token().rpartition(".")[0],
    "tampered-subject": lambda scheme: tampered(scheme, sub="admin"),
    "tampered-expiry": lambda scheme: tampered(scheme, exp=START + 10**6),
    "tampered-signature": lambda scheme: scheme.token()[:-8] + "AAAAAAAA",
    "other-key": lambda scheme: with_header(scheme, other(scheme)),
    "alg-none": lambda scheme: unsigned(scheme, "none"),
    "alg-None": lambda scheme: unsigned(scheme, "None"),
    "alg-nOnE": lambda scheme: unsigned(scheme, "nOnE"),
    "alg-empty": lambda scheme: unsigned(scheme, ""),
    "alg-list": lambda scheme: unsigned(scheme, ["RS256"]),  # type: ignore[arg-type]
    "hs256-with-public-key": symmetric,
    "hs512-with-public-key": lambda scheme: symmetric(scheme, "HS512"),
    "algorithm-not-accepted": other_algorithm,
    "algorithm-disguised": disguised,
    "wrong-issuer": lambda scheme: scheme.token(iss="https://evil.example.com"),
    "issuer-with-slash": lambda scheme: scheme.token(iss=ISSUER + "/"),
    "no-issuer": lambda scheme: scheme.token(iss=()),
    "issuer-is-a-list": lambda scheme: jwt_raw(scheme, iss=[ISSUER]),
    "wrong-audience": lambda scheme: scheme.token(aud="somebody-else"),
    "expired": lambda scheme: scheme.token(exp=START - 3600),
    "expired-beyond-leeway": lambda scheme: scheme.token(exp=START - 5),
    "not-yet-valid": lambda scheme: scheme.token(nbf=START + 6),
    "issued-in-the-future": lambda scheme: scheme.token(iat=START + 6),
    "no-expiry": lambda scheme: scheme.token(exp=()),
    "expiry-is-text": lambda scheme: jwt_raw(scheme, exp="never"),
    "expiry-is-true": lambda scheme: jwt_raw(scheme, exp=True),
    "expiry-is-infinite": lambda scheme: jwt_raw(scheme, exp=float("inf")),
    "expiry-is-huge": lambda scheme: jwt_raw(scheme, exp=10**400),
    "expiry-is-not-a-number": lambda scheme: jwt_raw(scheme, exp=float("nan")),
    "no-subject": lambda scheme: scheme.token(sub=()),
    "empty-subject": lambda scheme: scheme.token(sub=""),
    "subject-is-a-number": lambda scheme: jwt_raw(scheme, sub=7),
    "subject-is-long": lambda scheme: scheme.token(sub="u" * 129),
    "oversized": lambda scheme: scheme.token(padding="x" * 9000),
    "deeply-nested": lambda scheme: f"{encode(b'[' * 5000)}.e30.e30",
    "embedded-jwk": lambda scheme: with_header(
        scheme, other(scheme), jwk={"kty": "oct", "k": "c2VjcmV0"}
    ),
    "embedded-jku": lambda scheme: with_header(
        scheme, other(scheme), jku="https://evil.example.com/jwks.json"
    ),
    "embedded-x5u": lambda scheme: with_header(
        scheme, other(scheme), x5u="https://evil.example.com/cert.pem"
    ),
    "critical-extension": lambda scheme: with_header(scheme, crit=["b64"], b64=False),
    "kid-is-a-path": lambda scheme: with_header(scheme, other(scheme), kid="../../etc/passwd"),
    "kid-is-sql": lambda scheme: with_header(scheme, other(scheme), kid="' OR 1=1 --"),
    "kid-is-a-number": lambda scheme: (
        f"{encode({'alg': scheme.algorithm, 'kid': 7})}.{scheme.token().partition('.')[2]}"
    ),
    "static-token": lambda _: "secret",
    "api-key": lambda _: key_pair()[0],
}

ONLY = {
    "key-set": {
        "unknown-kid": lambda scheme: with_header(scheme, kid="k9"),
        "kid-of-another-key": lambda scheme: with_header(scheme, kid="k2"),
        "wrong-party": lambda scheme: scheme.token(azp="https://evil.example.com"),
    },
    "clerk": {
        "unknown-kid": lambda scheme: with_header(scheme, kid="k9"),
        "wrong-party": lambda scheme: scheme.token(azp="https://evil.example.com"),
        "pending-session": lambda scheme: scheme.token(sts="pending"),
    },
    "pem-rs256": {"no-audience": lambda scheme: scheme.token(aud=())},
    "pem-es256": {"unasked-audience": lambda scheme: scheme.token(aud="lbproto")},
}


def jwt_raw(scheme: Scheme, **claims: Any) -> str:
    """Signed by the right key, with claims that a library would not write."""
    header = encode({"alg": scheme.algorithm, "kid": "k1"})
    signed = f"{header}.{encode(scheme.claims | claims)}".encode()
    algorithm = jwt.get_algorithm_by_name(scheme.algorithm)
    return f"{signed.decode()}.{encode(algorithm.sign(signed, scheme.key))}"


def other_id(key: str) -> str:
    return f"lbk_{'0' * 16}_{key.rpartition('_')[2]}"


def changed(**changes: Any) -> APIKeys:
    _, record = key_pair()
    return APIKeys({record.id: replace(record, **changes)}, clock=VirtualClock())


def static() -> StaticTokens:
    return StaticTokens({"secret": "ada"})


OPAQUE: dict[str, tuple[Callable[[], Authenticator], Callable[[], str]]] = {
    "static-missing": (static, lambda: ""),
    "static-wrong": (static, lambda: "secreT"),
    "static-longer": (static, lambda: "secret1"),
    "static-prefix": (static, lambda: "secre"),
    "static-null": (static, lambda: "secret\0"),
    "static-surrogate": (static, lambda: "\ud800"),
    "static-huge": (static, lambda: "secret" * 100_000),
    "key-missing": (changed, lambda: ""),
    "key-other-secret": (changed, lambda: key_pair()[0][:-4] + "AAAA"),
    "key-other-id": (changed, lambda: other_id(key_pair()[0])),
    "key-no-prefix": (changed, lambda: key_pair()[0].removeprefix("lbk_")),
    "key-other-prefix": (changed, lambda: "lbx" + key_pair()[0][3:]),
    "key-truncated": (changed, lambda: key_pair()[0][:-1]),
    "key-longer": (changed, lambda: key_pair()[0] + "A"),
    "key-newline": (changed, lambda: key_pair()[0] + "\n"),
    "key-digest-shown": (changed, lambda: f"lbk_{key_pair()[1].id}_{key_pair()[1].digest}"),
    "key-disabled": (lambda: changed(disabled=True), lambda: key_pair()[0]),
    "key-expired": (lambda: changed(expires_at=START), lambda: key_pair()[0]),
    "key-a-jwt": (changed, SCHEMES["pem-rs256"].token),
    "key-surrogate": (changed, lambda: "lbk_" + "\ud800" * 60),
}

MATRIX = [
    pytest.param(scheme, attack, id=f"{name}-{title}")
    for name, scheme in SCHEMES.items()
    for title, attack in (ATTACKS | ONLY[name]).items()
]


def secrets() -> list[str]:
    """What no log may show: each secret part of what is sent in these tests."""
    key, record = key_pair()
    pem = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    signatures = [scheme.token().rpartition(".")[2] for scheme in SCHEMES.values()]
    return [key.split("_", 2)[2], record.digest, pem.splitlines()[1], *signatures]
