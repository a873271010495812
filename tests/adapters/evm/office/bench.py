"""One chain with a verifier, a gateway and a bridge replica behind it: all real, nothing registered yet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import coincurve
from nacl.signing import SigningKey

from adapters.evm import adapter, shapes
from adapters.evm.demo.traffic import encode_arguments, encode_call
from adapters.evm.devchain import Anvil, AnvilSettings, artifact_code, start_anvil
from adapters.evm.encode import gateway_calldata
from adapters.evm.endpoint import open_endpoint
from adapters.evm.office import EvmOffice
from proofs.committee import CommitteeDocument, CommitteeMember, CommitteeStatement, build_committee
from proofs.hashes import keccak256
from proofs.mandate import ActLeaf, Mandate, Op, Tier, acts_root, encode_certificate, mandate_digest
from relay.core.gateway_report import BudgetReport, PlansReport, Survey
from relay.core.office import ByAccount, Change, Deployment, GatewayTerms, RegisterAct, SetPlan, VerifierTerms
from relay.core.plan import Plan
from relay.core.plan_file import parse_plan
from relay.core.ports import ChainSettings, EncodedAct, EndpointAddress, Execute
from relay.core.types import Address, Caip2, Gateway, Identity

HOUR, DAY = 3_600, 86_400
START = 1_700_000_000
BUDGET = BudgetReport(DAY, 21 * DAY, 3)
SKEW_S, NOTICE_S, WINDOW_S = 60, 2 * DAY, 30 * DAY
ROTATION_DELAY_S, OVERLAP_S = DAY, 6 * HOUR
PLAN = """
format = "tocsin/plan/1"
protocol = "acme"
version = {version}
mode = "armed"
reason = "a test"
contacts = ["mailto:security@acme.example"]
[clock]
reference = "{chain}"
[chains."{chain}"]
gateway = "{gateway}"
targets = ["{replica}"]
since = 1
[metrics.height]
read = "call"
chain = "{chain}"
from = "{replica}"
call = "messages(bytes32) returns (uint256)"
args = ["0x0000000000000000000000000000000000000000000000000000000000000000"]
[rules.too-high]
when = "height > 1"
hold = 1
ladder = [["halt-replica"]]
[acts.halt-replica]
verb = "pause"
chain = "{chain}"
target = "{replica}"
call = "pause()"
state = "paused()"
value = true
undo = "unpause()"
tier = "fast"
lasts = "{lasts}"
gas = 150_000
{more}
[budget]
window = "30d"
fast_time = "{fast_time}"
fast_records = 3
frozen_time = "21d"
"""


IDENTITIES = tuple(SigningKey(bytes([16 + number]) * 32) for number in range(4))
ATTESTERS = tuple(coincurve.PrivateKey(bytes([1 + number]) * 32) for number in range(4))


def address_of(key: coincurve.PrivateKey) -> Address:
    return Address(keccak256(key.public_key.format(compressed=False)[1:])[12:])


def certificate(digest: bytes, signers: int) -> bytes:
    """The first attesters' signatures under a digest."""
    signatures = {}
    for key in ATTESTERS[:signers]:
        raw = key.sign_recoverable(digest, hasher=None)
        signatures[address_of(key)] = raw[:64] + bytes([27 + raw[64]])
    return encode_certificate(signatures)


def committee() -> CommitteeDocument:
    """Four members; their log and cosigner keys are nobody's."""
    members = tuple(
        CommitteeMember(
            identity=Identity(bytes(IDENTITIES[number].verify_key)),
            attester=address_of(ATTESTERS[number]),
            log=bytes([32 + number]) * 32,
            cosigner=bytes([48 + number]) * 32,
            name=f"member-{number}",
            operator=f"operator-{number}",
            addresses=(f"/ip4/127.0.0.1/tcp/{9_000 + number}",),
            providers={},
        )
        for number in range(4)
    )
    return build_committee(CommitteeStatement("acme-net", 1, 1, 0, True, None, members))


@dataclass
class Bench:
    """The chain, its contracts, and the owner's account."""

    anvil: Anvil
    owner: str
    verifier: str
    gateway: str
    replica: str

    @property
    def settings(self) -> ChainSettings:
        endpoint = EndpointAddress("alice-rpc", self.anvil.url)
        return ChainSettings(self.anvil.chain, (endpoint,), need=1, finality="depth:2")

    @property
    def place(self) -> Gateway:
        return adapter().gateway_address(self.gateway)

    @property
    def chain(self) -> Caip2:
        return self.anvil.chain

    def plan_text(
        self, version: int = 1, *, lasts: str = "6h", fast_time: str = "24h", more: str = ""
    ) -> str:
        return PLAN.format(
            version=version,
            chain=self.chain,
            gateway=self.gateway,
            replica=self.replica,
            lasts=lasts,
            fast_time=fast_time,
            more=more,
        )

    def plan(self, version: int = 1, *, lasts: str = "6h", fast_time: str = "24h", more: str = "") -> Plan:
        text = self.plan_text(version, lasts=lasts, fast_time=fast_time, more=more)
        return parse_plan(text, where="acme.plan.toml")

    async def survey(self, known: Sequence[bytes] = (), gateway: str | None = None) -> Survey:
        place = self.place if gateway is None else adapter().gateway_address(gateway)
        settings = self.settings
        async with open_endpoint(settings, settings.endpoints[0]) as endpoint:
            at = await endpoint.head()
        return await EvmOffice().survey(settings, settings.endpoints[0], at, place, known)

    async def make(self, change: Change) -> None:
        """Let the owner make a change, which must succeed."""
        await self.send(EvmOffice().owner_call(self.chain, self.place, change).data)

    async def send(self, data: bytes, to: str | None = None, sender: str | None = None) -> None:
        tx = await self.anvil.send(sender or self.owner, to or self.gateway, data)
        async with asyncio.timeout(10):
            question = ("eth_getTransactionReceipt", "0x" + tx.hex())
            while (answer := await self.anvil.rpc(*question)) is None:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
        assert shapes.receipt(answer).succeeded, f"0x{data[:4].hex()} reverted"

    async def install(self, plan: Plan) -> None:
        """Register a plan's acts and put it in force, as its owner would."""
        for act in plan.acts.values():
            await self.make(RegisterAct(adapter().encode_act(act.text), act.tier, act.lasts_s))
        await self.make(SetPlan(PlansReport(plan.hash, bytes(32), 0)))

    async def now(self) -> int:
        block = shapes.mapping(await self.anvil.rpc("eth_getBlockByNumber", "latest", False))
        return shapes.quantity(block["timestamp"])

    async def pass_time(self, seconds: int) -> None:
        await self.anvil.mine(timestamp=await self.now() + seconds)

    async def protect(self, plan: Plan, tier: Tier = Tier.FAST, duration_s: int = HOUR) -> None:
        """Bring a mandate that a quorum of the tier signed at a block after everything else."""
        await self.pass_time(12)
        act, now = self.encoded(plan), await self.now()
        leaf = ActLeaf(self.chain, act.gateway, act.act_id, act.act_hash, duration_s)
        mandate = Mandate(
            committee().network, 1, tier, plan.hash, Op.PROTECT, bytes([7]) * 32, acts_root([leaf]), now,
            now + 1_800,
        )  # fmt: skip
        signed = certificate(mandate_digest(mandate), 2 if tier is Tier.FAST else 3)
        call = Execute(self.chain, act.gateway, act.act_id, duration_s, mandate, (), signed)
        await self.send(gateway_calldata(call))

    def encoded(self, plan: Plan, name: str = "halt-replica") -> EncodedAct:
        return adapter().encode_act(plan.acts[name].text)


def deployment(chain: Caip2, owner: str, by: object, guardian: str | None = None) -> Deployment:
    document = committee()
    return Deployment(
        chain=chain,
        verifier=VerifierTerms(document, ROTATION_DELAY_S, OVERLAP_S),
        gateway=GatewayTerms(owner, guardian or owner, document.network, SKEW_S, NOTICE_S, WINDOW_S, BUDGET),
        by=by,
    )


@asynccontextmanager
async def open_bench(chain_id: int) -> AsyncIterator[Bench]:
    """Start a chain that mines every transaction, and deploy."""
    async with start_anvil(AnvilSettings(chain_id, automine=True, timestamp=START)) as anvil:
        owner = (await anvil.accounts())[0]
        arguments = encode_arguments("(address,address,bytes32)", owner, owner, bytes(32))
        replica = await anvil.deploy(owner, artifact_code("DemoReplica") + arguments)
        nonce = shapes.quantity(await anvil.rpc("eth_getTransactionCount", owner, "latest"))
        creations = EvmOffice().creations(deployment(anvil.chain, owner, ByAccount(owner, nonce)))
        addresses = [await anvil.deploy(owner, each.call.data) for each in creations]
        assert addresses == [each.address.lower() for each in creations]
        bench = Bench(anvil, owner, *addresses, replica)
        role = await anvil.rpc(
            "eth_call", {"to": replica, "data": "0x" + encode_call("PAUSER_ROLE()").hex()}, "latest"
        )
        grant = encode_call("grantRole(bytes32,address)", shapes.octets(role, 32), bench.gateway)
        await bench.send(grant, replica)
        yield bench


def write(folder: Path, name: str, text: str) -> Path:
    file = folder / name
    file.write_text(text)
    return file
