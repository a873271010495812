// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {VmSafe} from "forge-std/Vm.sol";
import {MandateHash} from "../../MandateHash.sol";
import {
    Act,
    Budget,
    Mandate,
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    Result,
    TIER_FAST,
    TIER_FULL
} from "../../TocsinTypes.sol";
import {SlidingWindow, Span} from "./SlidingWindow.sol";
import {World} from "./World.sol";

/// Judges every single call of the gateway by what was before, what is after, and every access in between. It keeps
/// its own books and asks the gateway's for nothing but records.
abstract contract Watcher is World {
    using SlidingWindow for Span[];
    using SlidingWindow for uint64[];

    enum Kind {
        BRING,
        EXPIRE,
        ADOPT,
        DISMISS,
        FORCE,
        GOVERN,
        INTRUDE
    }

    /// One call of the gateway. Of a mandate: everything that was brought, and what it had done before.
    struct Deed {
        Kind kind;
        uint256 act;
        address by;
        Mandate mandate;
        uint64 duration;
        bytes32[] proof;
        bool startedBefore;
        bool doneBefore;
        bool success;
        Result result;
    }

    /// One act at one moment.
    struct Sight {
        Record record;
        uint256 value;
        bool isProtected;
        bool isOurs;
    }

    /// What the network may do at one moment.
    struct Power {
        bytes32[ACTS] hashes;
        uint8[ACTS] tiers;
        uint64[ACTS] durations;
        Budget budget;
    }

    /// Number of an invariant → what first broke it.
    mapping(uint256 invariant => string) public broken;
    /// How often each result was seen: a campaign that never succeeds proves nothing.
    mapping(Result => uint256) public seen;
    Span[] private _booked;
    Span[] private _bookedFast;
    Span[] private _frozen;
    uint64[] private _fastStarts;
    uint64 private _largestAll;
    mapping(bytes32 change => uint256 time) internal announced;

    function build() public virtual override {
        super.build();
        _largestAll = gateway.budget().allSeconds;
    }

    function _must(uint256 invariant, bool holds, string memory otherwise) internal {
        if (!holds && bytes(broken[invariant]).length == 0) broken[invariant] = otherwise;
    }

    // ---- a call, watched

    function _call(Deed memory deed, bytes memory call_) internal {
        Sight[ACTS] memory before = _look();
        vm.startStateDiffRecording();
        vm.prank(deed.by);
        bytes memory answer;
        (deed.success, answer) = address(gateway).call(call_);
        VmSafe.AccountAccess[] memory accesses = vm.stopAndReturnStateDiff();
        if (deed.success && answer.length == 32) deed.result = abi.decode(answer, (Result));
        _judge(deed, before, _look(), accesses);
    }

    /// The owner's, guardian's and strangers' calls of what is no ending: no record moves, and power grows with notice.
    function _govern(address by, bytes memory call_) internal returns (bool) {
        Power memory before = _power();
        Deed memory deed;
        (deed.kind, deed.by) = (by == stranger ? Kind.INTRUDE : Kind.GOVERN, by);
        _call(deed, call_);
        _must(16, !(by == stranger && deed.success), "a stranger governed");
        if (deed.success && _grows(before, _power())) {
            uint256 time = announced[keccak256(call_)];
            _must(14, time != 0 && _now() >= time + DELAY, "power grew without notice");
            _must(14, time == 0 || _now() <= time + DELAY + 14 days, "power grew by a lapsed notice");
            delete announced[keccak256(call_)];
            uint64 cap = gateway.budget().allSeconds;
            if (cap > _largestAll) _largestAll = cap;
        }
        return deed.success;
    }

    /// Let time go by, and write down each second in which a record was in force.
    function _pass(uint256 to) internal {
        for (uint256 i = 0; i < ACTS; ++i) {
            uint256 end = gateway.record(ids[i]).until;
            if (end > to) end = to;
            if (end <= _now()) continue;
            _must(2, _frozen.add(_now(), end, WINDOW) <= _largestAll, "frozen beyond the budget");
        }
        vm.warp(to);
    }

    // ---- judgement

    function _judge(
        Deed memory deed,
        Sight[ACTS] memory before,
        Sight[ACTS] memory later,
        VmSafe.AccountAccess[] memory accesses
    ) private {
        _judgeAccesses(deed, before[deed.act], accesses);
        for (uint256 i = 0; i < ACTS; ++i) {
            bool touchable = deed.success && i == deed.act && deed.kind < Kind.GOVERN;
            _must(10, touchable || _isKept(before[i].record, later[i].record), "a record that was not named changed");
            _must(11, later[i].record.endedAt >= before[i].record.endedAt, "an end moved back");
        }
        if (!deed.success || deed.kind >= Kind.GOVERN) return;
        _judgeEnd(deed, before[deed.act], later[deed.act]);
        if (deed.kind != Kind.BRING) return;
        ++seen[deed.result];
        _judgeMandate(deed, before[deed.act]);
        _judgeEffect(deed, before[deed.act], later[deed.act]);
        _judgeCharge(deed, before[deed.act], later[deed.act]);
    }

    /// INV-1, 6 and 17, and that NOOP writes nothing: over everything that happened within the call.
    function _judgeAccesses(Deed memory deed, Sight memory before, VmSafe.AccountAccess[] memory accesses)
        private
    {
        Act memory act = acts[deed.act];
        bytes memory undo = _undoOf(act, before.record.restore);
        bool acts_ = deed.kind < Kind.GOVERN;
        for (uint256 i = 0; i < accesses.length; ++i) {
            VmSafe.AccountAccess memory access = accesses[i];
            if (deed.success && deed.kind == Kind.BRING && deed.result == Result.NOOP) {
                _must(5, !_writes(access), "a NOOP wrote to storage");
            }
            if (access.accessor != address(gateway)) continue;
            VmSafe.AccountAccessKind kind = access.kind;
            bool delegated = kind == VmSafe.AccountAccessKind.DelegateCall
                || kind == VmSafe.AccountAccessKind.CallCode || kind == VmSafe.AccountAccessKind.SelfDestruct;
            _must(17, !delegated && access.value == 0, "code was delegated to, or ether sent");
            if (kind == VmSafe.AccountAccessKind.Create) _must(1, !acts_, "an account was made");
            if (kind != VmSafe.AccountAccessKind.Call) continue;
            bool isCall = _same(access.data, act.call) && deed.kind == Kind.BRING && before.record.until == 0;
            bool isUndo = act.undo != 0 && _same(access.data, undo);
            _must(1, acts_ && access.account == act.target && (isCall || isUndo), "an unregistered call");
            if (isUndo && !isCall) _must(6, before.record.until != 0 && before.isOurs, "undone, not ours");
        }
    }

    /// INV-10: how a record may end or grow shorter.
    function _judgeEnd(Deed memory deed, Sight memory before, Sight memory later) private {
        bool shorter = later.record.until < before.record.until;
        if (!shorter) return;
        bool quorum =
            deed.kind == Kind.BRING && deed.mandate.op == OP_RELEASE && deed.mandate.tier == TIER_FULL;
        bool own = (deed.kind == Kind.ADOPT || deed.kind == Kind.DISMISS) && (deed.by == guardian || deed.by == owner);
        bool forced = deed.kind == Kind.FORCE && deed.by == owner;
        bool over = deed.kind == Kind.EXPIRE && _now() >= before.record.until;
        bool taken = !before.isOurs;
        _must(10, quorum || own || forced || over || taken, "a protection was shortened");
        if (quorum) _must(10, deed.mandate.notBefore > before.record.last, "released by an older mandate");
        _must(10, later.record.until == 0, "a record lost time without ending");
        if (taken && deed.kind != Kind.FORCE && deed.kind != Kind.ADOPT) {
            _must(12, later.record.endedAt >= _now() + SKEW, "a takeover is no veto");
        }
        if (own || forced) _must(12, later.record.endedAt >= _now() + SKEW, "an ending is no veto");
    }

    /// INV-1, 7, 12 and 13: what a mandate that did anything must have been.
    function _judgeMandate(Deed memory deed, Sight memory before) private {
        Mandate memory mandate = deed.mandate;
        (, uint8 tier, uint64 longest, bool active) = gateway.act(ids[deed.act]);
        bytes32 leaf =
            MandateHash.ofLeaf(_chain(), address(gateway), ids[deed.act], MandateHash.ofAct(acts[deed.act]), deed.duration);
        _must(1, this.includes(mandate.actsRoot, leaf, deed.proof), "an act that was not signed");
        bool known = mandate.tier == TIER_FAST || mandate.tier == TIER_FULL;
        _must(7, known && (mandate.op == OP_RELEASE || mandate.tier >= tier), "tier too low");
        _must(7, mandate.op == OP_PROTECT || mandate.tier == TIER_FULL, "not full");
        _must(12, mandate.notBefore > before.record.endedAt, "a dead mandate lived");
        bool fresh = mandate.notBefore <= _now() + SKEW && _now() <= mandate.notAfter;
        _must(13, fresh && mandate.network == NETWORK, "not fresh, or another network's");
        if (mandate.op == OP_RELEASE) return;
        _must(4, deed.duration <= longest, "longer than registered");
        _must(13, active && !gateway.paused() && gateway.isSealed(), "off, paused or not sealed");
        (bytes32 current, bytes32 next,) = gateway.planHashes();
        bool planned = mandate.planHash != 0 && (mandate.planHash == current || mandate.planHash == next);
        _must(13, mandate.op == OP_EXTEND || planned, "a plan that is not in force");
    }

    /// INV-4, 5 and 15: what it did.
    function _judgeEffect(Deed memory deed, Sight memory before, Sight memory later) private {
        Mandate memory mandate = deed.mandate;
        uint256 wanted = uint256(mandate.notBefore) + deed.duration;
        if (deed.result == Result.STARTED) {
            _must(15, mandate.op == OP_PROTECT && before.record.until == 0, "started by no protect");
            _must(15, !before.isProtected && later.isOurs, "started without its effect");
            _must(15, later.record.restore == before.value && later.record.since == _now(), "wrong record");
            _must(15, later.record.last == mandate.notBefore, "wrong newest mandate");
            _must(5, !deed.startedBefore, "one mandate started twice");
        }
        if (later.record.until > before.record.until) {
            _must(4, later.record.until <= wanted, "until beyond the mandate's own end");
            _must(4, later.record.until > _now(), "until in the past");
        }
        if (deed.doneBefore) {
            bool nothing = deed.result == Result.NOOP || deed.result == Result.CLOSED;
            _must(5, nothing, "a mandate that was done did more");
        }
        if (deed.result == Result.CLOSED) _must(6, !before.isOurs, "closed what is ours");
        if (deed.result == Result.ENDED && acts[deed.act].undo != 0) _must(6, !later.isOurs, "ended, not undone");
    }

    /// INV-2 and 3: the seconds that this mandate paid for, in every sliding window.
    function _judgeCharge(Deed memory deed, Sight memory before, Sight memory later) private {
        Budget memory cap = gateway.budget();
        if (deed.mandate.tier == TIER_FAST && deed.result == Result.STARTED) {
            _fastStarts.push(_now());
            _must(3, _fastStarts.count(WINDOW) <= cap.fastRecords, "too many fast records");
        }
        (uint256 from, uint256 to) = (before.record.until, later.record.until);
        if (to <= from) return;
        if (from < _now()) from = _now();
        _must(2, _booked.add(from, to, WINDOW) <= cap.allSeconds, "booked beyond the budget");
        if (deed.mandate.tier != TIER_FAST) return;
        _must(3, _bookedFast.add(from, to, WINDOW) <= cap.fastSeconds, "fast seconds beyond the budget");
    }

    // ---- readings

    function includes(bytes32 root, bytes32 leaf, bytes32[] calldata proof) external pure returns (bool) {
        return MandateHash.includes(root, leaf, proof);
    }

    function _chain() internal view returns (bytes32) {
        return keccak256(bytes(string.concat("eip155:", vm.toString(block.chainid))));
    }

    function _look() private view returns (Sight[ACTS] memory sights) {
        for (uint256 i = 0; i < ACTS; ++i) {
            sights[i].record = gateway.record(ids[i]);
            (sights[i].value, sights[i].isProtected, sights[i].isOurs) = gateway.stateOf(ids[i]);
        }
    }

    function _power() private view returns (Power memory power) {
        for (uint256 i = 0; i < ACTS; ++i) {
            power.hashes[i] = gateway.actHash(ids[i]);
            (, power.tiers[i], power.durations[i],) = gateway.act(ids[i]);
        }
        power.budget = gateway.budget();
    }

    function _grows(Power memory a, Power memory b) private pure returns (bool) {
        for (uint256 i = 0; i < ACTS; ++i) {
            if (b.hashes[i] == 0) continue;
            bool more = b.hashes[i] != a.hashes[i] || b.tiers[i] < a.tiers[i] || b.durations[i] > a.durations[i];
            if (more) return true;
        }
        return b.budget.fastSeconds > a.budget.fastSeconds || b.budget.allSeconds > a.budget.allSeconds
            || b.budget.fastRecords > a.budget.fastRecords;
    }

    function _isKept(Record memory a, Record memory b) private pure returns (bool) {
        return a.until == b.until && a.last == b.last && a.since == b.since && a.restore == b.restore;
    }

    function _undoOf(Act memory act, uint256 restore) private pure returns (bytes memory undo) {
        undo = act.undoCall;
        if (act.undo != 2) return undo;
        uint256 offset = 32 + act.restoreAt;
        assembly ("memory-safe") {
            mstore(add(undo, offset), restore)
        }
    }

    function _same(bytes memory a, bytes memory b) private pure returns (bool) {
        return keccak256(a) == keccak256(b);
    }

    /// Whether the gateway's storage is another one afterwards. The re-entrancy lock is transient and not seen here.
    function _writes(VmSafe.AccountAccess memory access) private view returns (bool) {
        for (uint256 i = 0; i < access.storageAccesses.length; ++i) {
            VmSafe.StorageAccess memory write = access.storageAccesses[i];
            bool changes = write.isWrite && write.newValue != write.previousValue && !write.reverted;
            if (changes && write.account == address(gateway)) return true;
        }
        return false;
    }
}
