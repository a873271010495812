// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Two brakes for a protocol that has none: how much may leave in a time, and a pause that ends by itself (GATEWAY.md 8).
///
/// A bucket holds at most `rateLimit` and fills up from empty within `refillPeriod` seconds, evenly; what leaves is
/// taken out of it. So in any w seconds at most `rateLimit · (1 + w / refillPeriod)` leaves: what the bucket held,
/// and what came in. A contract that inherits this calls `_spend` with each amount before it sends it.
///
/// Each act of a gateway has one word to read that its call alone writes: `rateLimit`, of which less is stricter, with the
/// old one restored; and `paused`. A pause lasts until `pausedUntil`, at most `maxPause` ahead, whoever forgets it.
abstract contract Brake {
    /// The bucket is not looked at. Zero lets nothing leave.
    uint256 public constant NO_LIMIT = type(uint128).max;
    uint256 public constant LONGEST_PERIOD = 366 days;
    uint256 public constant LONGEST_PAUSE = 30 days;

    /// Seconds in which an empty bucket fills up.
    uint256 public immutable refillPeriod;
    /// The farthest end of a pause, in seconds from now.
    uint256 public immutable maxPause;

    /// @custom:storage-location erc7201:tocsin.storage.Brake
    struct BrakeState {
        uint128 limit;
        /// When `level` was right.
        uint64 settledAt;
        uint64 pausedUntil;
        /// What the bucket held, times `refillPeriod`: so a second adds exactly `limit`, and nothing is rounded away.
        uint256 level;
    }

    // keccak256(abi.encode(uint256(keccak256("tocsin.storage.Brake")) - 1)) & ~bytes32(uint256(0xff))
    bytes32 private constant BRAKE_STATE = 0x3ff20a48d478ef834086f507fc9782312fe4501bd10113e7270c96fd30ce7000;

    event RateLimitSet(address indexed by, uint256 before, uint256 limit);
    event Paused(address indexed by, uint256 until);
    event Unpaused(address indexed by);

    error BrakeOutOfRange(uint256 lowest, uint256 highest, uint256 got);
    error RateLimited(uint256 amount, uint256 spendable);
    error PausedUntil(uint256 until);
    error NotPaused();

    /// Needs no storage, so that it serves behind a proxy too, where the initializer calls `_startBrake`.
    constructor(uint256 refillPeriod_, uint256 maxPause_) {
        _requireWithin(1, LONGEST_PERIOD, refillPeriod_);
        _requireWithin(1, LONGEST_PAUSE, maxPause_);
        (refillPeriod, maxPause) = (refillPeriod_, maxPause_);
    }

    /// Revert unless the caller holds the brake: the gateway, and the protocol's own people.
    function _checkBrakeHolder() internal view virtual;

    modifier onlyBrakeHolder() {
        _checkBrakeHolder();
        _;
    }

    modifier whenNotPaused() {
        _requireNotPaused();
        _;
    }

    // ---- the brake's holders

    /// The bucket's size. A smaller one takes away what no longer fits; a larger one fills up from what was there.
    function setRateLimit(uint256 limit) external onlyBrakeHolder {
        BrakeState storage state = _brake();
        emit RateLimitSet(msg.sender, state.limit, limit);
        _requireWithin(0, NO_LIMIT, limit);
        uint256 level = _level(state);
        uint256 most = limit * refillPeriod;
        (state.limit, state.settledAt) = (uint128(limit), uint64(block.timestamp));
        state.level = level < most ? level : most;
    }

    /// Pause for `maxPause`: the one call with the same bytes at any time, which is what a gateway registers.
    function pause() external onlyBrakeHolder {
        _pauseUntil(block.timestamp + maxPause);
    }

    /// Pause until a time; never shortens a pause.
    function pauseUntil(uint256 time) external onlyBrakeHolder {
        _requireWithin(block.timestamp + 1, block.timestamp + maxPause, time);
        _pauseUntil(time);
    }

    function unpause() external onlyBrakeHolder {
        if (!paused()) revert NotPaused();
        _brake().pausedUntil = 0;
        emit Unpaused(msg.sender);
    }

    // ---- what acts read

    function rateLimit() external view returns (uint256) {
        return _brake().limit;
    }

    function paused() public view returns (bool) {
        return block.timestamp < _brake().pausedUntil;
    }

    // ---- what people read

    /// The first second after the pause; in the past, or zero, where there is none.
    function pausedUntil() external view returns (uint256) {
        return _brake().pausedUntil;
    }

    /// What may leave now.
    function spendable() external view returns (uint256) {
        BrakeState storage state = _brake();
        if (paused()) return 0;
        return state.limit == NO_LIMIT ? NO_LIMIT : _level(state) / refillPeriod;
    }

    // ---- for the contract that inherits it

    /// Take an amount out of the bucket, or revert; call it before the amount leaves.
    function _spend(uint256 amount) internal {
        _requireNotPaused();
        BrakeState storage state = _brake();
        if (state.limit == NO_LIMIT) return;
        uint256 level = _level(state);
        if (amount > level / refillPeriod) revert RateLimited(amount, level / refillPeriod);
        (state.level, state.settledAt) = (level - amount * refillPeriod, uint64(block.timestamp));
    }

    /// The first limit, with a full bucket: in the constructor, or in the initializer behind a proxy. Without it nothing
    /// leaves.
    function _startBrake(uint256 limit) internal {
        _requireWithin(0, NO_LIMIT, limit);
        BrakeState storage state = _brake();
        emit RateLimitSet(msg.sender, state.limit, limit);
        (state.limit, state.settledAt) = (uint128(limit), uint64(block.timestamp));
        state.level = limit * refillPeriod;
    }

    function _requireNotPaused() internal view {
        if (paused()) revert PausedUntil(_brake().pausedUntil);
    }

    // ---- parts

    function _pauseUntil(uint256 time) private {
        BrakeState storage state = _brake();
        if (time > state.pausedUntil) state.pausedUntil = uint64(time);
        emit Paused(msg.sender, state.pausedUntil);
    }

    /// What the bucket holds now, times `refillPeriod`. Below 2^160: a limit has 128 bits, a period 25.
    function _level(BrakeState storage state) private view returns (uint256) {
        uint256 limit = state.limit;
        uint256 filled = state.level + (block.timestamp - state.settledAt) * limit;
        uint256 most = limit * refillPeriod;
        return filled < most ? filled : most;
    }

    function _requireWithin(uint256 lowest, uint256 highest, uint256 got) private pure {
        if (got < lowest || got > highest) revert BrakeOutOfRange(lowest, highest, got);
    }

    function _brake() private pure returns (BrakeState storage state) {
        bytes32 place = BRAKE_STATE;
        assembly ("memory-safe") {
            state.slot := place
        }
    }
}
