"""Ed25519 and SHA-512 as a band checks them: runs on both interpreters, prints one line of JSON."""

import json
from binascii import hexlify, unhexlify

from bandwire.ed25519 import verify
from bandwire.sha512 import sha512

# RFC 8032, section 7.1: public key, message, signature.
VECTORS = (
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
)


def run() -> "list[str]":
    """What both interpreters must say alike."""
    said = []
    for size in (0, 3, 111, 112, 127, 128, 129, 300):
        said.append(hexlify(sha512(bytes([i & 0xFF for i in range(size)]))).decode())
    for public, message, signature in VECTORS:
        key, text, signed = unhexlify(public), unhexlify(message), unhexlify(signature)
        bent = bytes((signed[0] ^ 1,)) + signed[1:]
        told = verify(key, text, signed), verify(key, text + b"x", signed), verify(key, text, bent)
        said.append(" ".join([str(one) for one in told]))
    return said


if __name__ == "__main__":
    print(json.dumps(run()))
