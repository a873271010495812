"""Files that owners take up: the Safe's batch with its checksum, a Governor's proposal, plain calldata."""

import copy
import json

import pytest
from eth_abi import decode, encode

from adapters.evm import adapter
from adapters.evm.abi import selector
from adapters.evm.office import EvmOffice
from adapters.evm.office.batch import safe_batch, safe_checksum
from proofs.hashes import keccak256
from proofs.kinds import Gateway
from proofs.mandate import Tier
from relay.core.errors import ConfigError
from relay.core.gateway_report import BudgetReport, PlansReport
from relay.core.office import (
    About,
    Announce,
    CallForm,
    OwnerCall,
    RegisterAct,
    RevokeAct,
    SetBudget,
    SetPlan,
)
from relay.core.ports import ActText

CHAIN, PLACE = "eip155:940901", Gateway(bytes(12) + b"\x11" * 20)
TARGET = "0x" + "22" * 20
OWNER = "0x" + "33" * 20
ABOUT = About("acme 1", 'first “quoted” "text"\nsecond: 6 h – ünïcode', OWNER, 1_700_000_000_000)
ACT = ActText("halt", CHAIN, "0x" + "11" * 20, TARGET, "pause()", "paused()", True, undo="unpause()")


def calls():
    office = EvmOffice()
    register = RegisterAct(adapter().encode_act(ACT), Tier.FAST, 21_600)
    changes = (
        Announce(SetBudget(BudgetReport(1, 2, 3))),
        register,
        SetBudget(BudgetReport(86_400, 1_814_400, 3)),
        SetPlan(PlansReport(b"\x01" * 32, b"\x02" * 32, 1_800_000_000)),
        RevokeAct(b"\x04" * 32),
    )
    return [office.owner_call(CHAIN, PLACE, change) for change in changes]


def test_the_checksum_is_the_one_that_the_transaction_builder_computes():
    """The digest is what the builder's own function gave for this very batch."""
    batch = safe_batch(calls(), ABOUT)

    assert batch["meta"]["checksum"] == "0x69991d4417c9d497eee5d888e0d570c91788234382e70241aaf27dae490e9329"
    assert safe_checksum(batch) == batch["meta"]["checksum"], "a checksum is not under itself"


def test_every_field_but_the_name_is_under_the_checksum():
    batch = safe_batch(calls(), ABOUT)
    changed = [
        ("version", "1.1"), ("chainId", "1"), ("createdAt", 1), ("transactions", batch["transactions"][1:]),
    ]  # fmt: skip

    for key, value in changed:
        assert safe_checksum({**batch, key: value}) != batch["meta"]["checksum"], key
    for key in ("description", "txBuilderVersion", "createdFromSafeAddress"):
        other = copy.deepcopy(batch)
        other["meta"][key] += "x"
        assert safe_checksum(other) != batch["meta"]["checksum"], key
    renamed = copy.deepcopy(batch)
    renamed["meta"]["name"] = "another name"
    assert safe_checksum(renamed) == batch["meta"]["checksum"]


def test_the_builder_encodes_every_transaction_to_the_bytes_that_were_proposed():
    wanted = calls()
    batch = json.loads(EvmOffice().render(wanted, CallForm.SAFE, ABOUT))

    encoded = [_as_the_builder_encodes(transaction) for transaction in batch["transactions"]]

    assert encoded == [call.data for call in wanted]
    assert [t["contractMethod"] is None for t in batch["transactions"]] == [True, True, True, False, False]
    assert all(t["value"] == "0" and t["to"] == "0x" + "11" * 20 for t in batch["transactions"])


def _as_the_builder_encodes(transaction):
    """Bytes are taken as they are; otherwise the values, texts all, are encoded by the method's types."""
    if transaction["data"]:
        return bytes.fromhex(transaction["data"][2:])
    method, values = transaction["contractMethod"], transaction["contractInputsValues"]
    types = [each["type"] for each in method["inputs"]]
    assert all(isinstance(value, str) for value in values.values()), "the builder refuses numbers"
    plain = [
        bytes.fromhex(values[each["name"]][2:]) if each["type"] == "bytes32" else int(values[each["name"]])
        for each in method["inputs"]
    ]
    return selector(method["name"], types) + encode(types, plain)


def test_a_governor_is_asked_for_the_same_calls():
    wanted = calls()

    text = EvmOffice().render(wanted, CallForm.GOVERNOR, ABOUT)

    data = bytes.fromhex(text.strip()[2:])
    signature = "propose(address[],uint256[],bytes[],string)"
    assert data[:4] == keccak256(signature.encode())[:4]
    targets, values, datas, description = decode(["address[]", "uint256[]", "bytes[]", "string"], data[4:])
    assert targets == ("0x" + "11" * 20,) * len(wanted)
    assert values == (0,) * len(wanted)
    assert list(datas) == [call.data for call in wanted]
    assert description == ABOUT.description


def test_calldata_is_a_line_a_call():
    creation = OwnerCall(CHAIN, None, b"\x60\x00", "create X", None, b"")

    text = EvmOffice().render([*calls()[-1:], creation], CallForm.CALLDATA, ABOUT)

    revoke = "0x" + (selector("revokeAct", ["bytes32"]) + b"\x04" * 32).hex()
    assert text == f"0x{'11' * 20} {revoke}\ncreate 0x6000\n"


@pytest.mark.parametrize("form", [CallForm.SAFE, CallForm.GOVERNOR])
def test_a_form_that_has_only_calls_refuses_a_creation_and_says_how(form):
    creation = OwnerCall(CHAIN, None, b"\x60\x00", "create X", None, b"")

    with pytest.raises(ConfigError, match=r"expected calls, got the creation of a contract.*--create2"):
        EvmOffice().render([creation], form, ABOUT)


@pytest.mark.parametrize("form", list(CallForm))
def test_an_empty_batch_is_refused(form):
    with pytest.raises(ConfigError, match="expected at least one call"):
        EvmOffice().render([], form, ABOUT)
