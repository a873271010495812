"""Blocks that wait to be final: a chain whose finality stands still fills no memory (SPEC 3, `header`)."""

from __future__ import annotations

import pytest

from proofs.decision import BlockRef
from proofs.hashes import sha256
from proofs.kinds import Digest
from proofs.remarks import Header
from relay.core.finals import Finals
from relay.core.messages import Outcome
from relay.core.types import ActId, DecisionId, Gateway, MandateDigest
from tests.core.stage import Stage
from tests.sim.plans import HOME


def outcome(block: BlockRef) -> Outcome:
    zero = Digest(bytes(32))
    return Outcome(
        decision_id=DecisionId(zero),
        mandate_digest=MandateDigest(zero),
        chain=HOME,
        gateway=Gateway(zero),
        act_id=ActId(zero),
        block=block,
        tx=zero,
        effect="started",
        until=1,
        gas_used=1,
    )


def test_of_blocks_that_never_become_final_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.core.finals.MAX_WAITING", 3)
    stage = Stage()
    stage.drained()
    finals = Finals(stage.node.views)
    seen = stage.blocks[0]
    finals.saw(outcome(seen))
    for number in range(3):
        finals.saw(outcome(BlockRef(HOME, Digest(sha256(b"%d" % number)), number + 100, seen.timestamp)))
    newest = stage.blocks[1]
    finals.saw(outcome(newest))
    stage.run(stage.final(len(stage.blocks)))

    assert finals.due() == [Header(DecisionId(Digest(bytes(32))), HOME, newest)]
