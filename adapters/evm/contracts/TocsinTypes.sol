// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

// What the gateway and its callers exchange. Times are whole seconds of this chain's clock.

uint8 constant TIER_FAST = 1;
uint8 constant TIER_FULL = 2;

uint8 constant OP_PROTECT = 1;
uint8 constant OP_EXTEND = 2;
uint8 constant OP_RELEASE = 3;

uint8 constant COMPARE_EQUAL = 0;
uint8 constant COMPARE_AT_MOST = 1;
uint8 constant COMPARE_AT_LEAST = 2;

uint8 constant UNDO_NONE = 0;
uint8 constant UNDO_CALL = 1;
uint8 constant UNDO_RESTORE = 2;

// How a record ended (`ActEnded.how`).
uint8 constant HOW_RELEASE = 1;
uint8 constant HOW_EXPIRE = 2;
uint8 constant HOW_ADOPT = 3;
uint8 constant HOW_DISMISS = 4;
uint8 constant HOW_CLOSE = 5;
uint8 constant HOW_FORCED = 6;

/// One protective call (core SPEC 4.4): what is called, how its effect is read, how it is taken back.
struct Act {
    address target;
    bytes call;
    address stateTarget;
    bytes stateCall;
    /// Which 32-byte word of the getter's answer is the state.
    uint8 stateWord;
    /// What our call leaves in the state.
    uint256 value;
    /// When the state counts as protected: equal, at most, at least `value`.
    uint8 compare;
    uint8 undo;
    bytes undoCall;
    /// Where in `undoCall` the state read before the call is put (undo 2).
    uint16 restoreAt;
    /// Gas given to the call and to the undo.
    uint64 gasCap;
}

/// What a quorum signs (core SPEC 4.2).
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

/// What the gateway remembers of an act: a record is open while `until` is not zero; `endedAt` survives it.
struct Record {
    uint64 until;
    /// The newest executed `notBefore`.
    uint64 last;
    /// Mandates with a `notBefore` up to here are dead.
    uint64 endedAt;
    /// When the record began; for display.
    uint64 since;
    /// The state that was read before the call; zero while no record is open.
    uint256 restore;
}

/// What the network may spend in any sliding window: the number that users price.
struct Budget {
    /// Frozen seconds booked by fast mandates.
    uint64 fastSeconds;
    /// Frozen seconds booked by both tiers.
    uint64 allSeconds;
    /// Records started by fast mandates.
    uint32 fastRecords;
}

/// Fixed for the life of a gateway.
struct Limits {
    /// How far this chain's clock may differ from the reference chain's.
    uint64 skew;
    /// How long more power for the network is announced before it takes effect.
    uint64 weakeningDelay;
    /// Length of a budget window.
    uint64 window;
}

/// What a call did. NOOP: nothing recorded. CLOSED: the state was somebody else's, our record ended without an undo.
enum Result {
    NOOP,
    STARTED,
    EXTENDED,
    ENDED,
    CLOSED
}
