"""Keys that signatures are verified with, and which algorithm each is for.

A key is used with an algorithm of its own kind only, and that algorithm has to be among those that
the service was told: what the token says of itself decides nothing (RFC 8725, 3.1 and 3.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import PyJWK
from jwt.exceptions import PyJWKError, PyJWTError

Key = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey

MIN_RSA_BITS = 2048

# RFC 7518, 3.2: a key of the hash's size or larger.
HMAC = {"HS256": 32, "HS384": 48, "HS512": 64}
"""The symmetric algorithms, and how many bytes a secret has at least."""

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_CURVES = {"ES256": "secp256r1", "ES384": "secp384r1", "ES512": "secp521r1"}
_EDWARDS = "EdDSA"

ASYMMETRIC = (*_RSA, *_CURVES, _EDWARDS)
ALGORITHMS = (*HMAC, *ASYMMETRIC)
"""All that can be chosen. `none` isn't one of them."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """One key. `kid` is its name among others, `algorithm` the only one that it is meant for."""

    key: Key
    kid: str | None = None
    algorithm: str | None = None

    def serves(self, algorithm: str) -> bool:
        """Whether signatures by this algorithm can be this key's."""
        if self.algorithm not in (None, algorithm):
            return False
        if isinstance(self.key, bytes):
            return len(self.key) >= HMAC.get(algorithm, len(self.key) + 1)
        if isinstance(self.key, RSAPublicKey):
            return algorithm in _RSA and self.key.key_size >= MIN_RSA_BITS
        if isinstance(self.key, EllipticCurvePublicKey):
            return _CURVES.get(algorithm) == self.key.curve.name
        return algorithm == _EDWARDS


class VerificationKeys:
    """Some keys, from one source."""

    def __init__(self, keys: Iterable[VerificationKey]) -> None:
        self._keys = tuple(keys)

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, kid: str | None, algorithm: str) -> VerificationKey | None:
        """The key of that name for that algorithm.

        A token that names none is taken to mean the only one that it can mean. A key without a
        name, such as the one in JWT_PUBLIC_KEY, is whatever tokens call it.
        """
        fitting = [key for key in self._keys if key.serves(algorithm)]
        if kid is not None:
            fitting = [key for key in fitting if key.kid in (None, kid)]
        return fitting[0] if len(fitting) == 1 else None


def from_pem(text: str) -> VerificationKey:
    """A public key in PEM form. ValueError for anything else, a private key included."""
    try:
        key = load_pem_public_key(text.encode())
    except Exception:  # cryptography raises several kinds, and their words could quote it
        raise ValueError("must be a public key in PEM form") from None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        raise ValueError("must be an RSA, EC or Ed25519 key")
    return VerificationKey(key)


def from_jwks(document: object, algorithms: Iterable[str]) -> VerificationKeys:
    """The keys of a JWK set that are good for any of these algorithms (RFC 7517).

    Others are left out: sets hold keys for encryption too, and kinds of keys that are yet to come.
    ValueError when it is no JWK set, or holds no key that is of use.
    """
    given = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(given, list):
        raise ValueError("is no JWK set: an object with a list of keys")
    wanted = tuple(algorithms)
    found = [key for jwk in given if (key := _from_jwk(jwk)) is not None]
    usable = [key for key in found if any(map(key.serves, wanted))]
    if not usable:
        raise ValueError(f"holds no public key for {', '.join(wanted)}")
    return VerificationKeys(usable)


def _from_jwk(jwk: Any) -> VerificationKey | None:
    if not isinstance(jwk, Mapping) or jwk.get("use", "sig") != "sig" or "d" in jwk:
        return None
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    kid, algorithm = jwk.get("kid"), jwk.get("alg")
    try:
        key = PyJWK(dict(jwk)).key
    except (PyJWTError, PyJWKError, ValueError, TypeError, KeyError):
        return None
    # A secret has no place in a set that everybody may read.
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        return None
    return VerificationKey(
        key,
        kid if isinstance(kid, str) else None,
        algorithm if isinstance(algorithm, str) else None,
    )
