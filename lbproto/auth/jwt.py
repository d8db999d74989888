"""JSON Web Tokens of an identity provider, verified by the rules of RFC 8725.

The algorithms are the application's, never the token's: what a token says of itself (`alg`, `kid`)
only chooses among the keys that it may have been signed by. Keys that a token brings along (`jwk`,
`jku`, `x5u`) are not looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from lbproto.auth.base import Identity
from lbproto.clock import Clock, SystemClock
from lbproto.errors import Unauthorized, UsageError
from lbproto.transport import Peer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

__all__ = ["JWT", "PEM", "KeySource", "check_key"]

_MAX_LENGTH = 8_192
_MAX_SUBJECT = 128
_MIN_RSA_BITS = 2_048
_YEAR_10000 = 253_402_300_800
_ALGORITHMS = ("RS256", "ES256")
_MALFORMED = "the token is malformed"
_NO_EXTRA = "tokens need PyJWT with its cryptography: pip install 'lbproto[jwt]'"


class KeySource(Protocol):
    """A source of the public keys that verify tokens."""

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PublicKeyTypes]:
        """The keys that a token may have been signed by.

        Args:
            kid: the key's id, as the token says; None where it says none.
            algorithm: one of those that the application accepts.

        Raises:
            Overloaded: the keys cannot be had now.
        """
        ...


class PEM(KeySource):
    """Public keys that are known.

    Args:
        keys: each in PEM form.

    Raises:
        UsageError: none is given, or one is not a public key for RS256 (RSA of at least 2048
            bits) or ES256 (P-256); or PyJWT is not installed.
    """

    def __init__(self, *keys: str | bytes) -> None:
        if not keys:
            raise UsageError("PEM needs at least one public key")
        self._keys = [_load(key) for key in keys]

    async def find(self, kid: str | None, algorithm: str) -> Sequence[PublicKeyTypes]:  # noqa: ARG002 - a PEM key has no id
        return [key for known, key in self._keys if known == algorithm]


class JWT:
    """Accepts tokens that an identity provider has signed.

    A token has to carry `exp`, `iss` and `sub`; `nbf` and `iat` hold where they are there. The
    identity's user is `sub`, its claims are the token's.

    Args:
        keys: what it is verified by: `PEM(...)`, `JWKS(url)`, or a source of your own.
        issuer: who may have issued it, one or several.
        audience: whom it is to be for, one or several; None: a token that names an audience is
            refused, since it is meant for somebody else.
        authorized_parties: values of `azp` that are accepted, where a token has one; None for any.
        algorithms: of RS256 and ES256.
        leeway: seconds that the provider's clock may differ.
        clock: what the times are measured by.

    Raises:
        UsageError: another algorithm, or PyJWT is not installed.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str | Collection[str],
        audience: str | Collection[str] | None = None,
        authorized_parties: Collection[str] | None = None,
        algorithms: Collection[str] = _ALGORITHMS,
        leeway: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        _need_extra()
        if not algorithms or set(algorithms) - set(_ALGORITHMS):
            raise UsageError(f"JWT: algorithms must be among {', '.join(_ALGORITHMS)}")
        self._keys = keys
        self._issuers = _several(issuer)
        self._audience = None if audience is None else _several(audience)
        self._authorized_parties = authorized_parties
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway
        self._clock = clock or SystemClock()

    async def authenticate(self, token: str, peer: Peer) -> Identity:  # noqa: ARG002 - the port's
        if not token:
            raise Unauthorized("the token is missing")
        if len(token) > _MAX_LENGTH:
            raise Unauthorized(f"a token has at most {_MAX_LENGTH} characters")
        claims = await self._verified(token)
        self._check_times(claims)
        self._check_party(claims)
        subject = claims["sub"]
        if not subject or len(subject) > _MAX_SUBJECT:
            raise Unauthorized(f"the token's subject must have 1 to {_MAX_SUBJECT} characters")
        return Identity(subject, claims, float(claims["exp"]))

    async def _verified(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature, issuer and audience are right."""
        import jwt

        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthorized(_MALFORMED) from None
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._algorithms:
            raise Unauthorized("the token is signed by an algorithm that is not accepted")
        if "crit" in header:  # RFC 7515, section 4.1.11: an extension nobody here understands
            raise Unauthorized("the token needs an extension that is not known")
        for key in await self._keys.find(kid, algorithm):
            try:
                return jwt.decode(
                    token,
                    key,  # type: ignore[arg-type]  # of the kind that the algorithm needs
                    algorithms=[algorithm],
                    audience=self._audience,
                    issuer=self._issuers,
                    options={
                        "require": ["exp", "iss", "sub"],
                        # By our own clock, below.
                        "verify_exp": False,
                        "verify_nbf": False,
                        "verify_iat": False,
                    },
                )
            except jwt.InvalidSignatureError:
                continue
            except jwt.InvalidIssuerError:
                raise Unauthorized("the token is of another issuer") from None
            except jwt.InvalidAudienceError:
                raise Unauthorized("the token is for another audience") from None
            except jwt.MissingRequiredClaimError as error:
                raise Unauthorized(f"the token lacks {error.claim!r}") from None
            except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
                raise Unauthorized(_MALFORMED) from None
        raise Unauthorized("the token is not signed by a key that is accepted")

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now = self._clock.now()
        for name in ("exp", "nbf", "iat"):
            if name in claims and not _is_time(claims[name]):
                raise Unauthorized(_MALFORMED)
        if claims["exp"] <= now - self._leeway:
            raise Unauthorized("the token has expired")
        if max(claims.get("nbf", 0), claims.get("iat", 0)) > now + self._leeway:
            raise Unauthorized("the token is not valid yet")

    def _check_party(self, claims: Mapping[str, Any]) -> None:
        party = claims.get("azp")
        accepted = self._authorized_parties
        if accepted is not None and party is not None and party not in accepted:
            raise Unauthorized("the token's authorized party is not accepted")


def check_key(key: PublicKeyTypes) -> str | None:
    """The algorithm that a public key is good for; None where it is for none that we accept."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _MIN_RSA_BITS:
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1):
        return "ES256"
    return None


def _load(pem: str | bytes) -> tuple[str, PublicKeyTypes]:
    _need_extra()
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(pem.encode() if isinstance(pem, str) else pem)
    except ValueError:
        raise UsageError("PEM: this is not a public key in PEM form") from None
    algorithm = check_key(key)
    if algorithm is None:
        raise UsageError("PEM: a key must be RSA of at least 2048 bits, or elliptic on P-256")
    return algorithm, key


def _need_extra() -> None:
    try:
        import cryptography  # noqa: F401 - whether they are there
        import jwt  # noqa: F401 - whether it is there
    except ImportError:
        raise UsageError(_NO_EXTRA) from None


def _several(values: str | Iterable[str]) -> list[str]:
    return [values] if isinstance(values, str) else list(values)


def _is_time(value: object) -> bool:
    """Whether this is a NumericDate, RFC 7519 section 2, of a year that there is."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _YEAR_10000
    )
