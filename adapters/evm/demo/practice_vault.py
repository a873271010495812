"""The vault on which a plan is practised: its people, its thief, and what each of them does."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

from adapters.evm import shapes
from adapters.evm.demo import setup
from adapters.evm.demo.practice_place import DECIMALS
from adapters.evm.demo.traffic import Call, Driver, encode_call

__all__ = ["DEPOSITS", "STAKE", "UNIT", "Vault", "build_vault", "fund"]

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
    token: str
    address: str

    def coming_or_going(self, chance: Random) -> Call:
        """Give a deposit or withdrawal of a quiet day."""
        name = chance.choice(("deposit(uint256)", "withdraw(uint256)"))
        return Call(self.user, self.address, encode_call(name, chance.randint(*SMALL)))

    def theft(self) -> Call:
        """Give the flaw's use: the thief leaves once more with all that was ever his."""
        return Call(self.thief, self.address, encode_call("exit()"))

    def withdrawal(self) -> Call:
        """Give a user's withdrawal: what a pause stops for everybody."""
        return Call(self.user, self.address, encode_call("withdraw(uint256)", UNIT))

    async def give_back(self, *, part: int = 1) -> None:
        """Let the owner put back what was stolen, or the `part`th part of what is missing."""
        stolen = DEPOSITS + STAKE - await self.held()
        if stolen > 0:
            data = encode_call("mint(address,uint256)", self.address, stolen // part)
            await setup.act(self.driver, self.owner, self.token, data)

    async def held(self) -> int:
        """Read what the vault holds, in base units."""
        asked = {"to": self.token, "data": "0x" + encode_call("balanceOf(address)", self.address).hex()}
        found = await self.driver.anvil.rpc("eth_call", asked, "latest")
        return int.from_bytes(shapes.octets(found, 32), "big")


async def build_vault(driver: Driver) -> Vault:
    """Deploy token and vault; nobody has deposited yet.

    Raises:
        ChainError: a deployment failed.
    """
    owner, user, thief, *_ = await driver.anvil.accounts()
    code = "(string,string,uint8,address)"
    token = await setup.deploy(driver, owner, "DemoToken", code, "Demo USD", "DUSD", DECIMALS, owner)
    address = await setup.deploy(
        driver, owner, "DemoVault", "(address,address,uint256)", owner, token, NO_LIMIT
    )
    return Vault(driver, owner, user, thief, token, address)


async def fund(vault: Vault) -> None:
    """Let everybody deposit."""
    for account, amount in ((vault.user, DEPOSITS), (vault.thief, STAKE)):
        # Twice as much as is deposited: on quiet days it comes and goes.
        mint = encode_call("mint(address,uint256)", account, 2 * amount)
        await setup.act(vault.driver, vault.owner, vault.token, mint)
        approve = encode_call("approve(address,uint256)", vault.address, 2 * amount)
        await setup.act(vault.driver, account, vault.token, approve)
        await setup.act(vault.driver, account, vault.address, encode_call("deposit(uint256)", amount))
