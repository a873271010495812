// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BoundedCall} from "./BoundedCall.sol";
import {Book, BudgetBook} from "./BudgetBook.sol";
import {CodeStore} from "./CodeStore.sol";
import {ITocsinVerifier} from "./ITocsinVerifier.sol";
import {MandateHash} from "./MandateHash.sol";
import {
    Act,
    Budget,
    COMPARE_AT_LEAST,
    Limits,
    Record,
    TIER_FAST,
    TIER_FULL,
    UNDO_NONE,
    UNDO_RESTORE
} from "./TocsinTypes.sol";

/// The owner's half of a gateway: who may do what, which acts exist, which plan, which budget (GATEWAY.md 1 and 4).
///
/// Whatever gives the network more power takes effect only after `weakeningDelay`, announced in full; whatever takes
/// power away takes effect at once. Until the first plan is set the gateway accepts no mandate, and needs no notice.
abstract contract GatewayRegistry is Ownable2Step, ReentrancyGuardTransient {
    struct Entry {
        /// Account whose code holds the act and its hash.
        address code;
        uint40 maxDuration;
        uint8 tier;
        bool active;
    }

    uint256 public constant MAX_ACTS = 64;
    uint256 public constant MAX_CALL_BYTES = 8_192;
    uint256 public constant MAX_GAS_CAP = 15_000_000;
    /// How long an announced change may wait to be made, once it is due.
    uint256 public constant CHANGE_LIFETIME = 14 days;
    /// `refusedFrom` that refuses nothing: no committee reaches this key epoch.
    uint32 public constant NO_EPOCH_REFUSED = type(uint32).max;

    bytes32 public immutable network;
    uint64 public immutable skew;
    uint64 public immutable weakeningDelay;
    uint64 public immutable window;

    // What every mandate asks for stands in one slot, from here to `refusedFrom`.
    ITocsinVerifier public verifier;
    uint40 internal _overlapUntil;
    bool public paused;
    bool public isSealed;
    /// Mandates of this key epoch and later ones are refused.
    uint32 public refusedFrom = NO_EPOCH_REFUSED;

    address public guardian;
    bytes32 internal _currentPlan;
    bytes32 internal _nextPlan;
    Budget internal _budget;
    bytes32[] internal _actIds;
    mapping(bytes32 actId => Entry) internal _entries;
    mapping(bytes32 actId => Record) internal _records;
    mapping(bytes32 getter => bytes32 actId) internal _getterOwners;
    mapping(bytes32 change => uint256 readyAt) internal _scheduled;
    Book internal _book;

    event PlanSet(bytes32 current, bytes32 next, uint64 overlapUntil);
    event ActRegistered(bytes32 indexed actId, bytes32 actHash, uint8 tier, uint64 maxDuration);
    event ActRevoked(bytes32 indexed actId);
    event NetworkLeft(uint256 acts);
    event BudgetSet(uint64 fastSeconds, uint64 allSeconds, uint32 fastRecords);
    event VerifierSet(address verifier);
    event GuardianSet(address guardian);
    /// Mandates of key epoch `from` and later are refused here.
    event EpochsRefused(uint32 from, address by);
    event GatewaySealed();
    event GatewayPaused(address by);
    event GatewayUnpaused();
    /// `change` is the calldata of the later call: everybody can read what is coming.
    event ChangeScheduled(bytes32 indexed id, bytes change, uint256 readyAt);
    event ChangeCancelled(bytes32 indexed id);

    error NotGuardian(address caller);
    error LimitOutOfRange(Limits limits);
    error WrongNetwork(bytes32 expected, bytes32 got);
    error ActMalformed(bytes32 actId);
    error TierUnknown(uint8 tier);
    error DurationOutOfRange(uint64 maxDuration, uint64 longest);
    error BudgetOutOfRange(Budget budget);
    error TooManyActs(uint256 limit);
    error GetterShared(bytes32 actId, bytes32 owner);
    error RecordOpen(bytes32 actId);
    error ActNotRegistered(bytes32 actId);
    error OverlapOutOfRange(uint64 overlapUntil);
    error ChangeNotSchedulable(bytes change);
    error ChangeNotScheduled(bytes32 id);
    error ChangeNotReady(bytes32 id, uint256 readyAt);
    error ChangeLapsed(bytes32 id, uint256 readyAt);
    error OwnerNeeded();

    modifier onlyGuardian() {
        if (msg.sender != guardian && msg.sender != owner()) revert NotGuardian(msg.sender);
        _;
    }

    constructor(
        address owner_,
        address guardian_,
        ITocsinVerifier verifier_,
        bytes32 network_,
        Limits memory limits,
        Budget memory budget_
    ) Ownable(owner_) {
        bool skewInRange = limits.skew <= 1 hours;
        bool delayInRange = limits.weakeningDelay >= 1 hours && limits.weakeningDelay <= 90 days;
        bool windowInRange = limits.window >= 1 hours && limits.window <= 366 days;
        if (!skewInRange || !delayInRange || !windowInRange) revert LimitOutOfRange(limits);
        network = network_;
        skew = limits.skew;
        weakeningDelay = limits.weakeningDelay;
        window = limits.window;
        _setVerifier(verifier_, network_);
        _setGuardian(guardian_);
        _setBudget(budget_);
        _book.number = uint32(block.timestamp / limits.window);
    }

    // ---- acts

    /// Register an act, or change one; more power than the act has now must have been scheduled.
    function registerAct(bytes32 actId, Act calldata act_, uint8 tier, uint64 maxDuration)
        external
        onlyOwner
        nonReentrant
    {
        _requireWellFormed(actId, act_);
        if (tier != TIER_FAST && tier != TIER_FULL) revert TierUnknown(tier);
        if (maxDuration == 0 || maxDuration > window - skew) {
            revert DurationOutOfRange(maxDuration, window - skew);
        }
        bytes32 hash = MandateHash.ofAct(act_);
        Entry storage entry = _entries[actId];
        bool known = entry.code != address(0) && _hashAt(entry.code) == hash;
        bool weaker = known && entry.active && tier >= entry.tier && maxDuration <= entry.maxDuration;
        _takeScheduled(!weaker);
        if (!known) _replaceAct(actId, entry, act_, hash);
        _claimGetter(actId, act_);
        if (!known || !entry.active) _outdate(actId);
        if (!entry.active) _actIds.push(actId);
        if (_actIds.length > MAX_ACTS) revert TooManyActs(MAX_ACTS);
        (entry.tier, entry.maxDuration, entry.active) = (tier, uint40(maxDuration), true);
        emit ActRegistered(actId, hash, tier, maxDuration);
    }

    /// Take an act off; its open record can still be ended and undone.
    function revokeAct(bytes32 actId) external onlyOwner nonReentrant {
        if (!_entries[actId].active) revert ActNotRegistered(actId);
        _revoke(actId);
    }

    /// Leave the network: all acts off, at once.
    function leaveNetwork() external onlyOwner nonReentrant {
        uint256 count = _actIds.length;
        for (uint256 i = count; i > 0; --i) {
            _revoke(_actIds[i - 1]);
        }
        emit NetworkLeft(count);
    }

    // ---- plan, budget, roles

    /// Name the plans whose mandates start acts: `current`, and `next` too until `overlapUntil`; afterwards `next` alone.
    /// The first plan seals the gateway.
    function setPlan(bytes32 current, bytes32 next, uint64 overlapUntil) external onlyOwner {
        bool inRange = next == 0
            ? overlapUntil == 0
            : overlapUntil > block.timestamp && overlapUntil <= type(uint40).max;
        if (!inRange) revert OverlapOutOfRange(overlapUntil);
        (_currentPlan, _nextPlan, _overlapUntil) = (current, next, uint40(overlapUntil));
        emit PlanSet(current, next, overlapUntil);
        if (isSealed || (current == 0 && next == 0)) return;
        isSealed = true;
        emit GatewaySealed();
    }

    /// Set the budget; a part that grows must have been scheduled.
    function setBudget(Budget calldata budget_) external onlyOwner nonReentrant {
        Budget memory old = _budget;
        bool grows = budget_.fastSeconds > old.fastSeconds || budget_.allSeconds > old.allSeconds
            || budget_.fastRecords > old.fastRecords;
        _takeScheduled(grows);
        _setBudget(budget_);
    }

    /// Trust another verifier of the same network, or none (zero). At once: it widens nothing that may be done, and
    /// after a theft of keys the owner must be quicker than the thief's rotation.
    function setVerifier(ITocsinVerifier verifier_) external onlyOwner {
        _setVerifier(verifier_, network);
    }

    function setGuardian(address guardian_) external onlyOwner {
        _setGuardian(guardian_);
    }

    /// Refuse all mandates of key epoch `epoch` and later ones, at this gateway: the veto on a rotation. Whoever stole
    /// the keys of the next epoch cannot release either; guardian, owner and `expire` still undo. To refuse less is the
    /// owner's alone.
    function refuseEpochsFrom(uint32 epoch) external onlyGuardian {
        if (epoch > refusedFrom) _checkOwner();
        refusedFrom = epoch;
        emit EpochsRefused(epoch, msg.sender);
    }

    /// Stop protect and extend; ending and undoing go on.
    function pauseGateway() external onlyGuardian {
        paused = true;
        emit GatewayPaused(msg.sender);
    }

    function unpauseGateway() external onlyOwner {
        paused = false;
        emit GatewayUnpaused();
    }

    /// A gateway without owner could never leave.
    function renounceOwnership() public pure override {
        revert OwnerNeeded();
    }

    // ---- notice

    /// Announce a call of `registerAct` or `setBudget` by its calldata; the same call works after `weakeningDelay`.
    function schedule(bytes calldata change) external onlyOwner {
        bool schedulable = change.length >= 4
            && (bytes4(change) == this.registerAct.selector || bytes4(change) == this.setBudget.selector);
        if (!schedulable) revert ChangeNotSchedulable(change);
        bytes32 id = keccak256(change);
        uint256 readyAt = block.timestamp + weakeningDelay;
        _scheduled[id] = readyAt;
        emit ChangeScheduled(id, change, readyAt);
    }

    /// Take back an announced change, by the Keccak-256 of its calldata.
    function cancel(bytes32 id) external onlyGuardian {
        if (_scheduled[id] == 0) revert ChangeNotScheduled(id);
        delete _scheduled[id];
        emit ChangeCancelled(id);
    }

    /// When an announced change may be made; zero when there is none.
    function scheduledAt(bytes32 id) external view returns (uint256) {
        return _scheduled[id];
    }

    // ---- shared with the network's half

    /// The act kept at `code`, with its hash. Its ABI encoding is the struct's image in memory, with offsets for the three
    /// pointers; as only `_replaceAct` writes it, nothing is checked again.
    function _load(address code) internal view returns (bytes32 hash, Act memory act_) {
        bytes memory kept = CodeStore.read(code);
        assembly ("memory-safe") {
            hash := mload(add(kept, 32))
            // After the length, the hash and the offset of the struct.
            act_ := add(kept, 96)
            let pointer := add(act_, 32) // call
            mstore(pointer, add(act_, mload(pointer)))
            pointer := add(act_, 96) // stateCall
            mstore(pointer, add(act_, mload(pointer)))
            pointer := add(act_, 256) // undoCall
            mstore(pointer, add(act_, mload(pointer)))
        }
    }

    /// Free the getter of an act that is off, once no record needs it.
    function _freeGetter(Act memory act_) internal {
        delete _getterOwners[_getterKey(act_)];
    }

    // ---- private

    /// A change made is not announced any more, whether it needed the notice or not.
    function _takeScheduled(bool needed) private {
        bytes32 id = keccak256(msg.data);
        uint256 readyAt = _scheduled[id];
        if (!needed || !isSealed) {
            if (readyAt != 0) delete _scheduled[id];
            return;
        }
        if (readyAt == 0) revert ChangeNotScheduled(id);
        if (block.timestamp < readyAt) revert ChangeNotReady(id, readyAt);
        if (block.timestamp > readyAt + CHANGE_LIFETIME) revert ChangeLapsed(id, readyAt);
        delete _scheduled[id];
    }

    /// An open record's act must stay what it was: its undo is in it.
    function _replaceAct(bytes32 actId, Entry storage entry, Act memory act_, bytes32 hash) private {
        if (_records[actId].until != 0) revert RecordOpen(actId);
        if (entry.active) {
            (, Act memory old) = _load(entry.code);
            _freeGetter(old);
        }
        entry.code = CodeStore.write(abi.encode(hash, act_));
    }

    /// Mandates decided before the act was there in this form are dead; also, a later write finds the slot warm with a value.
    function _outdate(bytes32 actId) private {
        Record storage record_ = _records[actId];
        if (record_.endedAt < block.timestamp) record_.endedAt = uint64(block.timestamp);
    }

    /// Two acts with one getter would each take the other's effect for somebody's interference.
    function _claimGetter(bytes32 actId, Act memory act_) private {
        bytes32 key = _getterKey(act_);
        bytes32 holder = _getterOwners[key];
        if (holder != 0 && holder != actId) revert GetterShared(actId, holder);
        _getterOwners[key] = actId;
        BoundedCall.state(act_.stateTarget, act_.stateCall, act_.stateWord);
    }

    function _revoke(bytes32 actId) private {
        Entry storage entry = _entries[actId];
        entry.active = false;
        uint256 last = _actIds.length - 1;
        for (uint256 i = 0; i < last; ++i) {
            if (_actIds[i] == actId) {
                _actIds[i] = _actIds[last];
                break;
            }
        }
        _actIds.pop();
        if (_records[actId].until == 0) {
            (, Act memory act_) = _load(entry.code);
            _freeGetter(act_);
        }
        emit ActRevoked(actId);
    }

    function _setVerifier(ITocsinVerifier verifier_, bytes32 network_) private {
        if (address(verifier_) != address(0) && verifier_.network() != network_) {
            revert WrongNetwork(network_, verifier_.network());
        }
        verifier = verifier_;
        emit VerifierSet(address(verifier_));
    }

    function _setGuardian(address guardian_) private {
        guardian = guardian_;
        emit GuardianSet(guardian_);
    }

    function _setBudget(Budget memory budget_) private {
        bool inRange =
            budget_.allSeconds <= BudgetBook.MAX_SECONDS && budget_.fastRecords <= BudgetBook.MAX_RECORDS;
        if (!inRange) revert BudgetOutOfRange(budget_);
        _budget = budget_;
        emit BudgetSet(budget_.fastSeconds, budget_.allSeconds, budget_.fastRecords);
    }

    function _requireWellFormed(bytes32 actId, Act calldata act_) private view {
        bool sizes = act_.call.length >= 4 && act_.call.length <= MAX_CALL_BYTES
            && act_.stateCall.length <= MAX_CALL_BYTES && act_.undoCall.length <= MAX_CALL_BYTES;
        bool places = act_.target != address(this) && act_.stateTarget != address(this);
        bool kinds = act_.compare <= COMPARE_AT_LEAST && act_.undo <= UNDO_RESTORE;
        bool undo = act_.undo == UNDO_NONE ? act_.undoCall.length == 0 : act_.undoCall.length >= 4;
        bool restore = act_.undo == UNDO_RESTORE
            ? act_.restoreAt >= 4 && act_.undoCall.length >= uint256(act_.restoreAt) + 32
            : act_.restoreAt == 0;
        bool gasCap = act_.gasCap > 0 && act_.gasCap <= MAX_GAS_CAP;
        if (actId == 0 || !sizes || !places || !kinds || !undo || !restore || !gasCap) {
            revert ActMalformed(actId);
        }
    }

    function _hashAt(address code) internal view returns (bytes32 hash) {
        assembly ("memory-safe") {
            extcodecopy(code, 0, 1, 32)
            hash := mload(0)
        }
    }

    function _getterKey(Act memory act_) private pure returns (bytes32) {
        return keccak256(abi.encode(act_.stateTarget, keccak256(act_.stateCall), act_.stateWord));
    }
}
