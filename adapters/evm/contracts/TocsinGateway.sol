// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {BoundedCall} from "./BoundedCall.sol";
import {Book, BudgetBook} from "./BudgetBook.sol";
import {GatewayRegistry} from "./GatewayRegistry.sol";
import {GatewayViews} from "./GatewayViews.sol";
import {ITocsinVerifier} from "./ITocsinVerifier.sol";
import {MandateHash} from "./MandateHash.sol";
import {
    Act,
    Budget,
    HOW_ADOPT,
    HOW_CLOSE,
    HOW_DISMISS,
    HOW_EXPIRE,
    HOW_FORCED,
    HOW_RELEASE,
    Limits,
    Mandate,
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    Result,
    TIER_FAST,
    TIER_FULL,
    UNDO_NONE,
    UNDO_RESTORE
} from "./TocsinTypes.sol";

/// One protocol's door for the network on one chain: listed calls, for a bounded time, within a budget (GATEWAY.md).
///
/// With every key of the network stolen, the worst is a listed act, for its listed time, within the budget; and the
/// owner leaves in one transaction. It holds no ether, is never upgraded, and delegates no call.
contract TocsinGateway is GatewayViews {
    using BudgetBook for Book;

    /// What a mandate asks of one act, on its way through the gateway.
    struct Order {
        Mandate mandate;
        bytes32 digest;
        bytes32 actId;
        uint64 duration;
    }

    uint256 private immutable _chainId;
    bytes32 private immutable _chain;

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
    /// A log's checkpoint existed at this block; the gateway says nothing of who brought it.
    event LogAnchored(bytes32 indexed incidentId, bytes32 indexed origin, uint64 size, bytes32 root);
    /// An alarm: a record was ended by force, the effect of our call may still stand.
    event UndoAbandoned(bytes32 indexed actId, address target);

    error EpochRefused(uint32 keyEpoch, uint32 refusedFrom);
    error MandateEarly(uint64 notBefore, uint256 time);
    error MandateLate(uint64 notAfter, uint256 time);
    error MandateOver(uint256 until, uint256 time);
    error MandateDead(uint64 notBefore, uint64 endedAt);
    error MandateOlderThanProtect(uint64 notBefore, uint64 last);
    error OperationUnknown(uint8 op);
    error TierTooLow(uint8 needed, uint8 got);
    error DurationTooLong(uint64 maxDuration, uint64 duration);
    error PlanNotInForce(bytes32 planHash);
    error LeafNotIncluded(bytes32 root, bytes32 leaf);
    error CertificateRefused(bytes32 digest);
    error GatewayIsPaused();
    error GatewayNotSealed();
    error NoRecord(bytes32 actId);
    error RecordInForce(bytes32 actId, uint64 until);
    error StateNotReached(uint256 expected, uint256 got);
    error UndoWithoutEffect(uint256 state);

    constructor(
        address owner_,
        address guardian_,
        ITocsinVerifier verifier_,
        bytes32 network_,
        Limits memory limits,
        Budget memory budget_
    ) GatewayRegistry(owner_, guardian_, verifier_, network_, limits, budget_) {
        _chainId = block.chainid;
        _chain = _nameChain();
    }

    // ---- what anybody may bring

    /// Execute one act of a mandate: protect, extend or release it (GATEWAY.md 2).
    function execute(
        Mandate calldata mandate,
        bytes32 actId,
        uint64 duration,
        bytes32[] calldata proof,
        bytes calldata certificate
    ) external nonReentrant returns (Result) {
        Entry memory entry = _entries[actId];
        if (entry.code == address(0)) revert ActNotRegistered(actId);
        Order memory order = Order(mandate, MandateHash.ofMandate(mandate), actId, duration);
        _requireTimely(order.mandate, _records[actId].endedAt);
        if (order.mandate.op == OP_RELEASE) _requireFull(order.mandate.tier);
        else _requirePower(order, entry);
        (bytes32 hash, Act memory act_) = _load(entry.code);
        _requireIncluded(order, hash, proof);
        _requireCertified(order, certificate);
        return order.mandate.op == OP_RELEASE ? _release(order, act_) : _protect(order, act_);
    }

    /// End a record that has run out; or, at any time, one whose state is not ours any more.
    function expire(bytes32 actId) external nonReentrant returns (Result) {
        (Record memory record_, Act memory act_) = _openRecord(actId);
        if (!_isOurs(act_)) return _close(actId, 0, act_);
        if (block.timestamp < record_.until) revert RecordInForce(actId, record_.until);
        _undo(act_, record_.restore);
        return _end(actId, 0, HOW_EXPIRE, uint64(Math.max(record_.until, record_.last)), act_);
    }

    /// Put the checkpoint of a member's audit log on this chain when an incident closes; `origin` is the SHA-256 of its
    /// origin line. Nothing is checked and nothing kept: an auditor looks for the event that equals a checkpoint which
    /// the member signed, and passes over all others (GATEWAY.md 6.1).
    function anchorLog(bytes32 incidentId, bytes32 origin, uint64 size, bytes32 root) external {
        emit LogAnchored(incidentId, origin, size, root);
    }

    // ---- what the protocol's own people may do

    /// Make the protection the protocol's own: the record ends, the state stays.
    function adopt(bytes32 actId) external onlyGuardian nonReentrant returns (Result) {
        (, Act memory act_) = _openRecord(actId);
        return _end(actId, 0, HOW_ADOPT, _veto(), act_);
    }

    /// Undo the act now.
    function dismiss(bytes32 actId) external onlyGuardian nonReentrant returns (Result) {
        (Record memory record_, Act memory act_) = _openRecord(actId);
        if (!_isOurs(act_)) return _close(actId, 0, act_);
        _undo(act_, record_.restore);
        return _end(actId, 0, HOW_DISMISS, _veto(), act_);
    }

    /// End a record whose undo or getter fails, without calling the target.
    function forceClose(bytes32 actId) external onlyOwner nonReentrant returns (Result) {
        (, Act memory act_) = _openRecord(actId);
        emit UndoAbandoned(actId, act_.target);
        return _end(actId, 0, HOW_FORCED, _veto(), act_);
    }

    function mandateDigest(Mandate calldata mandate) external pure returns (bytes32) {
        return MandateHash.ofMandate(mandate);
    }

    // ---- checks

    function _requireTimely(Mandate memory mandate, uint64 endedAt) private view {
        if (mandate.network != network) revert WrongNetwork(network, mandate.network);
        if (mandate.keyEpoch >= refusedFrom) revert EpochRefused(mandate.keyEpoch, refusedFrom);
        if (mandate.notBefore > block.timestamp + skew) {
            revert MandateEarly(mandate.notBefore, block.timestamp);
        }
        if (block.timestamp > mandate.notAfter) revert MandateLate(mandate.notAfter, block.timestamp);
        if (mandate.notBefore <= endedAt) revert MandateDead(mandate.notBefore, endedAt);
        if (!isSealed) revert GatewayNotSealed();
    }

    /// What starts or lengthens an act; a release needs none of it and goes on working.
    function _requirePower(Order memory order, Entry memory entry) private view {
        Mandate memory mandate = order.mandate;
        if (paused) revert GatewayIsPaused();
        if (!entry.active) revert ActNotRegistered(order.actId);
        if (order.duration > entry.maxDuration) revert DurationTooLong(entry.maxDuration, order.duration);
        if (mandate.op == OP_EXTEND) {
            _requireFull(mandate.tier);
        } else if (mandate.op == OP_PROTECT) {
            bool known = mandate.tier == TIER_FAST || mandate.tier == TIER_FULL;
            if (!known || mandate.tier < entry.tier) revert TierTooLow(entry.tier, mandate.tier);
            _requirePlan(mandate.planHash);
        } else {
            revert OperationUnknown(mandate.op);
        }
    }

    function _requireFull(uint8 tier) private pure {
        if (tier != TIER_FULL) revert TierTooLow(TIER_FULL, tier);
    }

    function _requirePlan(bytes32 planHash) private view {
        bool isCurrent = planHash == _currentPlan && !_overlapIsOver();
        bool isNext = _overlapUntil != 0 && planHash == _nextPlan;
        if (planHash == 0 || !(isCurrent || isNext)) revert PlanNotInForce(planHash);
    }

    function _requireIncluded(Order memory order, bytes32 hash, bytes32[] calldata proof) private view {
        bytes32 chain = block.chainid == _chainId ? _chain : _nameChain();
        bytes32 leaf = MandateHash.ofLeaf(chain, address(this), order.actId, hash, order.duration);
        bytes32 root = order.mandate.actsRoot;
        if (!MandateHash.includes(root, leaf, proof)) revert LeafNotIncluded(root, leaf);
    }

    function _requireCertified(Order memory order, bytes calldata certificate) private view {
        (uint8 tier, uint32 keyEpoch) = (order.mandate.tier, order.mandate.keyEpoch);
        bytes memory question =
            abi.encodeCall(ITocsinVerifier.verify, (order.digest, tier, keyEpoch, certificate));
        (bool answered, uint256 valid) = BoundedCall.read(address(verifier), question, 0, gasleft());
        if (!answered || valid != 1) revert CertificateRefused(order.digest);
    }

    // ---- operations

    /// protect and extend.
    function _protect(Order memory order, Act memory act_) private returns (Result) {
        Record storage record_ = _records[order.actId];
        uint256 value = _state(act_);
        if (record_.until == 0) {
            if (order.mandate.op == OP_EXTEND) revert NoRecord(order.actId);
            if (_protects(act_, value)) return _noop(order);
            return _start(order, act_, record_, value);
        }
        if (value != act_.value) return _close(order.actId, order.digest, act_);
        return _lengthen(order, record_);
    }

    function _start(Order memory order, Act memory act_, Record storage record_, uint256 restore)
        private
        returns (Result)
    {
        uint256 wanted = uint256(order.mandate.notBefore) + order.duration;
        if (wanted <= block.timestamp) revert MandateOver(wanted, block.timestamp);
        uint64 since = uint64(block.timestamp);
        uint64 until = _charge(order.mandate.tier == TIER_FAST, since, wanted, true);

        BoundedCall.run(act_.target, act_.call, act_.gasCap);
        uint256 reached = _state(act_);
        if (reached != act_.value) revert StateNotReached(act_.value, reached);

        (record_.until, record_.last, record_.since) = (until, order.mandate.notBefore, since);
        if (restore != 0) record_.restore = restore;
        emit ActStarted(
            order.digest, order.actId, order.mandate.decisionId, order.mandate.tier, since, until, restore
        );
        return Result.STARTED;
    }

    /// A record grows to the later end; a replay changes nothing. One that ran out pays from now on: the time since, in
    /// which anybody could have ended it, is not booked.
    function _lengthen(Order memory order, Record storage record_) private returns (Result) {
        (uint256 until, uint256 last) = (record_.until, record_.last);
        uint256 wanted = uint256(order.mandate.notBefore) + order.duration;
        if (wanted <= until && order.mandate.notBefore <= last) return _noop(order);
        if (wanted > until) {
            if (wanted <= block.timestamp) revert MandateOver(wanted, block.timestamp);
            uint256 from = Math.max(until, block.timestamp);
            until = _charge(order.mandate.tier == TIER_FAST, from, wanted, false);
        }
        (record_.until, record_.last) = (uint64(until), uint64(Math.max(last, order.mandate.notBefore)));
        emit ActExtended(
            order.digest, order.actId, order.mandate.decisionId, order.mandate.tier, uint64(until)
        );
        return Result.EXTENDED;
    }

    function _release(Order memory order, Act memory act_) private returns (Result) {
        Record memory record_ = _records[order.actId];
        if (record_.until == 0) revert NoRecord(order.actId);
        if (order.mandate.notBefore <= record_.last) {
            revert MandateOlderThanProtect(order.mandate.notBefore, record_.last);
        }
        if (!_isOurs(act_)) return _close(order.actId, order.digest, act_);
        _undo(act_, record_.restore);
        return _end(order.actId, order.digest, HOW_RELEASE, order.mandate.notBefore, act_);
    }

    /// Pay for the seconds from `from` on, and for a new record; return the end that was paid for.
    function _charge(bool fast, uint256 from, uint256 to, bool isStart) private returns (uint64 paidTo) {
        Budget memory cap = _budget;
        Book memory book = _bookOfNow();
        paidTo = uint64(book.pay(cap, window, fast, from, to));
        if (fast && isStart) book.countFastRecord(cap);
        _book = book;
    }

    function _noop(Order memory order) private returns (Result) {
        emit ActNoop(order.digest, order.actId, order.mandate.decisionId);
        return Result.NOOP;
    }

    /// Somebody else has taken over the state: our record ends and nothing is called.
    function _close(bytes32 actId, bytes32 digest, Act memory act_) private returns (Result) {
        _end(actId, digest, HOW_CLOSE, _veto(), act_);
        return Result.CLOSED;
    }

    function _undo(Act memory act_, uint256 restore) private {
        if (act_.undo == UNDO_NONE) return;
        bytes memory call_ = act_.undoCall;
        if (act_.undo == UNDO_RESTORE) {
            uint256 offset = act_.restoreAt;
            assembly ("memory-safe") {
                mstore(add(add(call_, 32), offset), restore)
            }
        }
        BoundedCall.run(act_.target, call_, act_.gasCap);
        uint256 state = _state(act_);
        if (state == act_.value) revert UndoWithoutEffect(state);
    }

    function _end(bytes32 actId, bytes32 digest, uint8 how, uint64 endedAt, Act memory act_)
        private
        returns (Result)
    {
        Record storage record_ = _records[actId];
        endedAt = uint64(Math.max(record_.endedAt, endedAt));
        (record_.until, record_.last, record_.endedAt, record_.since) = (0, 0, endedAt, 0);
        if (record_.restore != 0) record_.restore = 0;
        if (!_entries[actId].active) _freeGetter(act_);
        bool undone =
            (how == HOW_RELEASE || how == HOW_EXPIRE || how == HOW_DISMISS) && act_.undo != UNDO_NONE;
        emit ActEnded(digest, actId, how, endedAt, undone);
        return Result.ENDED;
    }

    // ---- readings

    function _openRecord(bytes32 actId) private view returns (Record memory record_, Act memory act_) {
        record_ = _records[actId];
        if (record_.until == 0) revert NoRecord(actId);
        (, act_) = _load(_entries[actId].code);
    }

    /// Whether the state is exactly what our call left.
    function _isOurs(Act memory act_) private view returns (bool) {
        return _state(act_) == act_.value;
    }

    /// What a veto writes: mandates decided up to now are dead, on the fastest clock too.
    function _veto() private view returns (uint64) {
        return uint64(block.timestamp) + skew;
    }

    function _nameChain() private view returns (bytes32) {
        return keccak256(bytes(string.concat("eip155:", Strings.toString(block.chainid))));
    }
}
