"""The vault on which a plan is practised: its people, its thief, and what each of them does."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo import setup
from adapters.evm.demo.practice_place import DECIMALS, PLACE
from adapters.evm.demo.traffic import Call, Driver, encode_call
from relay.core.errors import ChainError

__all__ = ["Vault", "build_vault"]

UNIT: Final = 10**DECIMALS
DEPOSITS: Final = 1_000_000 * UNIT
"""What people hold there."""
STAKE: Final = 150_000 * UNIT
"""What the thief deposits, and takes out again and again."""
SMALL: Final = (100 * UNIT, 5_000 * UNIT)
"""The least and the most that comes or goes on a quiet day."""
NO_LIMIT: Final = (1 << 128) - 1


@dataclass(slots=True)
class Vault:
    """The vault and its accounts; every method gives calls that the driver is to mine, or reads."""

    driver: Driver
    owner: str
    user: str
    thief: str

    def coming_or_going(self, chance: Random) -> Call:
        """Give a deposit or withdrawal of a quiet day."""
        name = chance.choice(("deposit(uint256)", "withdraw(uint256)"))
        return Call(self.user, PLACE.vault, encode_call(name, chance.randint(*SMALL)))

    def theft(self) -> Call:
        """Give the flaw's use: the thief leaves once more with all that was ever his."""
        return Call(self.thief, PLACE.vault, encode_call("exit()"))

    def withdrawal(self) -> Call:
        """Give a user's withdrawal: what a pause stops for everybody."""
        return Call(self.user, PLACE.vault, encode_call("withdraw(uint256)", UNIT))

    async def give_back(self) -> None:
        """Let the owner put back what was stolen, and take the thief's claim away: the cause is gone."""
        stolen = DEPOSITS + STAKE - await self.held()
        if stolen > 0:
            data = encode_call("mint(address,uint256)", PLACE.vault, stolen)
            await setup.act(self.driver, self.owner, PLACE.token, data)

    async def held(self) -> int:
        """Read what the vault holds, in base units."""
        asked = {"to": PLACE.token, "data": "0x" + encode_call("balanceOf(address)", PLACE.vault).hex()}
        found = await self.driver.anvil.rpc("eth_call", asked, "latest")
        return int.from_bytes(shapes.octets(found, 32), "big")


async def build_vault(driver: Driver) -> Vault:
    """Deploy token and vault at the addresses of `PLACE`; nobody has deposited yet.

    Raises:
        ChainError: a deployment failed, or stands elsewhere.
    """
    owner, user, thief, *_ = await driver.anvil.accounts()
    code = "(string,string,uint8,address)"
    token = await setup.deploy(driver, owner, "DemoToken", code, "Demo USD", "DUSD", DECIMALS, owner)
    vault = await setup.deploy(
        driver, owner, "DemoVault", "(address,address,uint256)", owner, token, NO_LIMIT
    )
    if (token, vault) != (PLACE.token, PLACE.vault):
        raise ChainError(driver.anvil.chain, f"expected the vault at {PLACE.vault}, got {vault}")
    return Vault(driver, owner, user, thief)


async def fund(vault: Vault) -> None:
    """Let everybody deposit."""
    for account, amount in ((vault.user, DEPOSITS), (vault.thief, STAKE)):
        # Twice as much as is deposited: on quiet days it comes and goes.
        mint = encode_call("mint(address,uint256)", account, 2 * amount)
        await setup.act(vault.driver, vault.owner, PLACE.token, mint)
        approve = encode_call("approve(address,uint256)", PLACE.vault, 2 * amount)
        await setup.act(vault.driver, account, PLACE.token, approve)
        await setup.act(vault.driver, account, PLACE.vault, encode_call("deposit(uint256)", amount))
