// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

struct Mandate {
    bytes32 network;
    uint32 keyEpoch;
    uint8 tier;
    bytes32 planHash;
    uint8 op;
    bytes32 decisionId;
    bytes32 actsRoot;
    uint64 notBefore;
    uint64 notAfter;
}

/// The gateway's interface and events without its rules: the plan hash says how it shall behave.
contract FakeGateway {
    event ActStarted(
        bytes32 indexed mandate,
        bytes32 indexed actId,
        bytes32 indexed decisionId,
        uint8 tier,
        uint64 since,
        uint64 until,
        uint256 restore
    );
    event ActExtended(
        bytes32 indexed mandate, bytes32 indexed actId, bytes32 indexed decisionId, uint8 tier, uint64 until
    );
    event ActNoop(bytes32 indexed mandate, bytes32 indexed actId, bytes32 indexed decisionId);
    event ActEnded(bytes32 indexed mandate, bytes32 indexed actId, uint8 how, uint64 endedAt, bool undone);
    event PlanSet(bytes32 current, bytes32 next, uint64 overlapUntil);

    error MandateStale(uint64 notAfter, uint64 now_);

    bytes32 constant DOMAIN = keccak256(
        abi.encode(keccak256("EIP712Domain(string name,string version)"), keccak256("Tocsin"), keccak256("1"))
    );
    bytes32 constant MANDATE = keccak256(
        "Mandate(bytes32 network,uint32 keyEpoch,uint8 tier,bytes32 planHash,uint8 op,bytes32 decisionId,bytes32 actsRoot,uint64 notBefore,uint64 notAfter)"
    );

    uint256 public executed;
    bool public closed;

    function execute(
        Mandate calldata m,
        bytes32 actId,
        uint64 duration,
        bytes32[] calldata,
        bytes calldata certificate
    ) external {
        if (closed || certificate.length == 0) revert MandateStale(m.notAfter, 1);
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", DOMAIN, keccak256(abi.encode(MANDATE, m))));
        if (m.op == 1) emit ActStarted(digest, actId, m.decisionId, m.tier, 1, m.notBefore + duration, 9);
        else if (m.op == 2) emit ActExtended(digest, actId, m.decisionId, m.tier, m.notBefore + duration);
        else emit ActNoop(digest, actId, m.decisionId);
        executed++;
    }

    function close() external {
        closed = true;
    }

    function expire(bytes32 actId) external {
        emit ActEnded(bytes32(0), actId, 2, 1234, true);
        executed++;
    }

    function oddEnd(bytes32 actId) external {
        emit ActEnded(bytes32(0), actId, 77, 1234, true);
    }

    function setPlan(bytes32 current, bytes32 next, uint64 overlapUntil) external {
        emit PlanSet(current, next, overlapUntil);
    }
}
