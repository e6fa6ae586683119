"""Keyed hashes: what stands for a person, a recording or its audio after they were erased.

Pure. Where the secret lies is settings' business. The surprise: a plain hash would not do, because whoever knows a file
or a name could ask of any tombstone whether it is that one; without the secret nobody can.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping


class Seal:
    """One deployment's secret; whoever holds another one recognises nothing and can sign nothing."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @property
    def id(self) -> str:
        """Name the secret without telling it: 16 hex."""
        return self.hash("seal")[:16]

    def hash(self, *said: str) -> str:
        """Return 64 hex that stand for these words in this order."""
        return hmac.new(self._secret, "\0".join(said).encode(), hashlib.sha256).hexdigest()

    def sign(self, document: Mapping[str, object]) -> str:
        """Return the signature of a document, whatever the order of its fields."""
        return self.hash("document", json.dumps(document, sort_keys=True, ensure_ascii=True))

    def has_signed(self, document: Mapping[str, object], signature: str) -> bool:
        """Tell whether the document is as it was when it was signed with this secret."""
        return hmac.compare_digest(self.sign(document), signature)
