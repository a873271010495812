"""Private keys and the signing guard, behind one boundary (SPEC 6.3): the only place where secrets arise."""

from relay.keys.files import KdfCost, KeyKind
from relay.keys.guard import Guard, Statement
from relay.keys.keyring import Keyring, PublicKeys, add_submitter, generate, open_identity, public_keys
from relay.keys.reporters import ReporterKey, create_reporter_key, open_reporter_key
from relay.keys.secret import PassphraseFile, PassphraseVariable, Secret, read_passphrase
from relay.keys.signer import LocalSigner, open_signer

__all__ = [
    "Guard",
    "KdfCost",
    "KeyKind",
    "Keyring",
    "LocalSigner",
    "PassphraseFile",
    "PassphraseVariable",
    "PublicKeys",
    "ReporterKey",
    "Secret",
    "Statement",
    "add_submitter",
    "create_reporter_key",
    "generate",
    "open_identity",
    "open_reporter_key",
    "open_signer",
    "public_keys",
    "read_passphrase",
]
