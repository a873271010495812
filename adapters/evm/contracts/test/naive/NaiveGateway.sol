// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {BoundedCall} from "../../BoundedCall.sol";
import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {MandateHash} from "../../MandateHash.sol";
import {
    Act,
    Budget,
    Mandate,
    OP_EXTEND,
    OP_RELEASE,
    Record,
    Result,
    TIER_FAST,
    UNDO_RESTORE
} from "../../TocsinTypes.sol";

/// The one rule that a naive gateway lacks; each is what somebody would write first.
enum Flaw {
    NONE,
    /// A record is opened also where somebody else has protected already.
    CLAIMS_OTHERS_WORK,
    /// The undo runs while the state is at least as strict as ours, not exactly ours.
    UNDOES_STRICTER,
    /// A record whose state somebody changed stays open.
    KEEPS_FOREIGN,
    /// Nothing dies with a record: a mandate is judged by its own times alone.
    FORGETS_ENDS,
    /// A veto outdates mandates up to now, not up to now + skew.
    VETOES_UP_TO_NOW,
    /// A release need not be newer than the newest protect.
    TAKES_OLD_RELEASES,
    /// The call gets what gas there is, and its effect is not read.
    TRUSTS_THE_CALL,
    /// A record is frozen for so long at most, whatever is decided meanwhile.
    CAPS_RECORDS,
    /// After an end nothing begins for a while.
    COOLS_DOWN,
    /// A record in force takes no later end.
    IGNORES_RENEWALS,
    /// The end counts from the call, not from the mandate's own time.
    COUNTS_FROM_NOW,
    /// Each fixed window has the whole cap for itself.
    COUNTS_WINDOWS_ALONE,
    /// A charge that does not fit is refused instead of clipped.
    REFUSES_LARGE_CHARGES,
    /// The full tier has a budget of its own beside the fast one.
    ADDS_THE_TIERS,
    /// Both tiers draw on the fast tier's budget.
    SHARES_THE_FAST_BUDGET,
    /// The certificate names a decision, not its acts.
    SIGNS_NO_ACTS,
    /// The verifier is fixed, and whatever epoch it accepts is accepted.
    FOLLOWS_THE_VERIFIER
}

/// A compact gateway with the functions of `TocsinGateway` that attacks need, and one rule missing. Plain where the real
/// one is frugal: the budget keeps every window for ever. No owner: the tests call as whom they like.
contract NaiveGateway {
    struct Entry {
        Act act;
        uint8 tier;
        uint64 maxDuration;
    }

    uint64 private constant SKEW = 60;
    uint64 private constant WINDOW = 30 days;
    uint64 private constant RECORD_CAP = 24 hours;
    uint64 private constant COOL_DOWN = 1 hours;

    Flaw public immutable flaw;
    ITocsinVerifier public verifier;
    uint32 public refusedFrom = type(uint32).max;
    Budget private _cap;
    mapping(bytes32 actId => Entry) private _entries;
    mapping(bytes32 actId => Record) private _records;
    mapping(uint256 index => uint256) private _fast;
    mapping(uint256 index => uint256) private _all;

    error Refused(string why);

    constructor(Flaw flaw_, ITocsinVerifier verifier_, Budget memory cap) {
        (flaw, verifier, _cap) = (flaw_, verifier_, cap);
    }

    function registerAct(bytes32 actId, Act calldata act_, uint8 tier, uint64 maxDuration) external {
        _entries[actId] = Entry(act_, tier, maxDuration);
    }

    function setVerifier(ITocsinVerifier verifier_) external {
        if (flaw == Flaw.FOLLOWS_THE_VERIFIER) revert Refused("fixed");
        verifier = verifier_;
    }

    function refuseEpochsFrom(uint32 epoch) external {
        if (flaw == Flaw.FOLLOWS_THE_VERIFIER) revert Refused("the verifier decides");
        refusedFrom = epoch;
    }

    function execute(
        Mandate calldata mandate,
        bytes32 actId,
        uint64 duration,
        bytes32[] calldata proof,
        bytes calldata certificate
    ) external returns (Result) {
        Entry memory entry = _entries[actId];
        Record memory record_ = _records[actId];
        _check(mandate, record_);
        if (mandate.tier < entry.tier) revert Refused("tier");
        if (mandate.op != OP_RELEASE && duration > entry.maxDuration) revert Refused("duration");
        _checkLeaf(mandate.actsRoot, actId, duration, proof);
        _checkSigned(mandate, certificate);
        if (mandate.op == OP_RELEASE) return _release(mandate, actId, entry.act, record_);
        if (record_.until != 0 && !_mayUndo(entry.act) && flaw != Flaw.KEEPS_FOREIGN) return _close(actId);
        return record_.until == 0
            ? _start(mandate, actId, duration, entry.act)
            : _lengthen(mandate, actId, duration);
    }

    function expire(bytes32 actId) external returns (Result) {
        Record memory record_ = _records[actId];
        if (record_.until == 0) revert Refused("no record");
        Act memory act_ = _entries[actId].act;
        if (!_mayUndo(act_) && flaw != Flaw.KEEPS_FOREIGN) return _close(actId);
        if (block.timestamp < record_.until) revert Refused("in force");
        if (_mayUndo(act_)) _undo(act_, record_.restore);
        return _end(actId, record_.until > record_.last ? record_.until : record_.last);
    }

    function adopt(bytes32 actId) external returns (Result) {
        return _end(actId, _veto());
    }

    function dismiss(bytes32 actId) external returns (Result) {
        Act memory act_ = _entries[actId].act;
        if (!_mayUndo(act_)) return _close(actId);
        _undo(act_, _records[actId].restore);
        return _end(actId, _veto());
    }

    function act(bytes32 actId) external view returns (Act memory, uint8, uint64, bool) {
        Entry memory entry = _entries[actId];
        return (entry.act, entry.tier, entry.maxDuration, true);
    }

    function record(bytes32 actId) external view returns (Record memory) {
        return _records[actId];
    }

    function mandateDigest(Mandate calldata mandate) external pure returns (bytes32) {
        return MandateHash.ofMandate(mandate);
    }

    // ---- rules

    function _check(Mandate calldata mandate, Record memory record_) private view {
        if (mandate.keyEpoch >= refusedFrom) revert Refused("epoch");
        if (mandate.notBefore > block.timestamp + SKEW) revert Refused("early");
        if (block.timestamp > mandate.notAfter) revert Refused("late");
        if (mandate.notBefore <= record_.endedAt && flaw != Flaw.FORGETS_ENDS) revert Refused("dead");
    }

    function _checkLeaf(bytes32 root, bytes32 actId, uint64 duration, bytes32[] calldata proof) private view {
        if (flaw == Flaw.SIGNS_NO_ACTS) return;
        bytes32 hash = MandateHash.ofAct(_entries[actId].act);
        bytes32 leaf = MandateHash.ofLeaf(keccak256("eip155:31337"), address(this), actId, hash, duration);
        if (!MandateHash.includes(root, leaf, proof)) revert Refused("leaf");
    }

    function _checkSigned(Mandate calldata mandate, bytes calldata certificate) private view {
        bytes32 digest = MandateHash.ofMandate(mandate);
        bool signed = verifier.verify(digest, mandate.tier, mandate.keyEpoch, certificate);
        if (!signed) revert Refused("certificate");
    }

    function _start(Mandate calldata mandate, bytes32 actId, uint64 duration, Act memory act_)
        private
        returns (Result)
    {
        if (mandate.op == OP_EXTEND) revert Refused("no record");
        uint256 restore = _state(act_);
        if (_protects(act_, restore) && flaw != Flaw.CLAIMS_OTHERS_WORK) return Result.NOOP;
        Record storage record_ = _records[actId];
        if (flaw == Flaw.COOLS_DOWN && block.timestamp < record_.endedAt + COOL_DOWN) {
            revert Refused("cooling down");
        }
        uint256 until = _pay(mandate.tier == TIER_FAST, block.timestamp, _wanted(mandate, duration));
        (record_.until, record_.last, record_.since) =
        (uint64(until), mandate.notBefore, uint64(block.timestamp));
        record_.restore = restore;
        if (_protects(act_, restore)) return Result.STARTED;
        if (flaw == Flaw.TRUSTS_THE_CALL) {
            (bool success,) = act_.target.call(act_.call);
            if (!success) revert Refused("call");
        } else {
            BoundedCall.run(act_.target, act_.call, act_.gasCap);
            if (_state(act_) != act_.value) revert Refused("no effect");
        }
        return Result.STARTED;
    }

    function _lengthen(Mandate calldata mandate, bytes32 actId, uint64 duration) private returns (Result) {
        Record storage record_ = _records[actId];
        if (flaw == Flaw.IGNORES_RENEWALS) return Result.NOOP;
        uint256 wanted = _wanted(mandate, duration);
        if (flaw == Flaw.CAPS_RECORDS && wanted > record_.since + RECORD_CAP) {
            wanted = record_.since + RECORD_CAP;
        }
        if (wanted > record_.until) {
            uint256 from = record_.until > block.timestamp ? record_.until : block.timestamp;
            record_.until = uint64(_pay(mandate.tier == TIER_FAST, from, wanted));
        }
        if (mandate.notBefore > record_.last) record_.last = mandate.notBefore;
        return Result.EXTENDED;
    }

    function _release(Mandate calldata mandate, bytes32 actId, Act memory act_, Record memory record_)
        private
        returns (Result)
    {
        if (record_.until == 0) revert Refused("no record");
        if (mandate.notBefore <= record_.last && flaw != Flaw.TAKES_OLD_RELEASES) revert Refused("old");
        if (!_mayUndo(act_)) return _close(actId);
        _undo(act_, record_.restore);
        return _end(actId, mandate.notBefore);
    }

    function _close(bytes32 actId) private returns (Result) {
        _end(actId, _veto());
        return Result.CLOSED;
    }

    function _end(bytes32 actId, uint64 endedAt) private returns (Result) {
        uint64 before = _records[actId].endedAt;
        _records[actId] = Record(0, 0, endedAt > before ? endedAt : before, 0, 0);
        return Result.ENDED;
    }

    function _wanted(Mandate calldata mandate, uint64 duration) private view returns (uint256) {
        return (flaw == Flaw.COUNTS_FROM_NOW ? block.timestamp : mandate.notBefore) + duration;
    }

    function _veto() private view returns (uint64) {
        return uint64(block.timestamp) + (flaw == Flaw.VETOES_UP_TO_NOW ? 0 : SKEW);
    }

    // ---- the target

    function _mayUndo(Act memory act_) private view returns (bool) {
        uint256 state = _state(act_);
        return flaw == Flaw.UNDOES_STRICTER ? _protects(act_, state) : state == act_.value;
    }

    function _undo(Act memory act_, uint256 restore) private {
        bytes memory call_ = act_.undoCall;
        if (act_.undo == UNDO_RESTORE) {
            uint256 offset = act_.restoreAt;
            assembly ("memory-safe") {
                mstore(add(add(call_, 32), offset), restore)
            }
        }
        BoundedCall.run(act_.target, call_, act_.gasCap);
    }

    function _state(Act memory act_) private view returns (uint256) {
        return BoundedCall.state(act_.stateTarget, act_.stateCall, act_.stateWord);
    }

    function _protects(Act memory act_, uint256 state) private pure returns (bool) {
        return act_.compare == 0 ? state == act_.value : state <= act_.value;
    }

    // ---- the budget, second by window

    function _pay(bool fast, uint256 from, uint256 to) private returns (uint256 paidTo) {
        if (to <= block.timestamp) revert Refused("over");
        paidTo = from;
        while (paidTo < to) {
            uint256 index = paidTo / WINDOW;
            uint256 end = (index + 1) * WINDOW < to ? (index + 1) * WINDOW : to;
            uint256 room = _room(fast, index);
            uint256 booked = end - paidTo < room ? end - paidTo : room;
            if (fast || flaw == Flaw.SHARES_THE_FAST_BUDGET) _fast[index] += booked;
            if (!fast || flaw != Flaw.ADDS_THE_TIERS) _all[index] += booked;
            paidTo += booked;
            if (paidTo < end) break;
        }
        if (paidTo == from || (paidTo < to && flaw == Flaw.REFUSES_LARGE_CHARGES)) revert Refused("spent");
    }

    function _room(bool fast, uint256 index) private view returns (uint256 room) {
        room = _roomIn(_all, _cap.allSeconds, index);
        if (!fast && flaw != Flaw.SHARES_THE_FAST_BUDGET) return room;
        uint256 fastRoom = _roomIn(_fast, _cap.fastSeconds, index);
        return flaw == Flaw.ADDS_THE_TIERS || fastRoom < room ? fastRoom : room;
    }

    function _roomIn(mapping(uint256 => uint256) storage used, uint256 cap, uint256 index)
        private
        view
        returns (uint256)
    {
        uint256 beside = used[index - 1] > used[index + 1] ? used[index - 1] : used[index + 1];
        uint256 taken = used[index] + (flaw == Flaw.COUNTS_WINDOWS_ALONE ? 0 : beside);
        return taken < cap ? cap - taken : 0;
    }
}
