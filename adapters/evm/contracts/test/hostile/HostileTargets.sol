// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

// Targets that lie, fail or fight. Each has a switch (`on`, `off`) and a getter (`state`), like any target.

/// An honest switch; the others differ from it in one thing.
contract Switch {
    uint256 internal _state;

    function on() external virtual {
        _state = 1;
    }

    function off() external virtual {
        _state = 0;
    }

    function state() external view virtual returns (uint256) {
        return _state;
    }

    /// What the protocol's own people do, past the switch.
    function put(uint256 state_) external {
        _state = state_;
    }
}

/// Answers with an error code and does nothing, as Compound v2 does to those who are not its admin.
contract ErrorCodeTarget is Switch {
    uint256 private constant UNAUTHORIZED = 1;

    function on() external override {
        _answer();
    }

    function off() external override {
        _answer();
    }

    function _answer() private pure {
        assembly {
            mstore(0, UNAUTHORIZED)
            return(0, 32)
        }
    }
}

/// Reverts when it is there already, as CCIP's curse does.
contract StrictSwitch is Switch {
    error AlreadyThere();

    function on() external override {
        if (_state == 1) revert AlreadyThere();
        _state = 1;
    }

    function off() external override {
        if (_state == 0) revert AlreadyThere();
        _state = 0;
    }
}

/// Fails in the way and at the time it is told to.
contract FailingTarget is Switch {
    enum Failure {
        NONE,
        REVERTS,
        IGNORES,
        BURNS_GAS,
        ANSWERS_A_MEGABYTE,
        REVERTS_WITH_A_MEGABYTE,
        OVERSHOOTS
    }

    Failure public ofOn;
    Failure public ofOff;
    Failure public ofState;

    function fail(Failure on_, Failure off_, Failure state_) external {
        (ofOn, ofOff, ofState) = (on_, off_, state_);
    }

    function on() external override {
        if (ofOn == Failure.IGNORES) return;
        _state = ofOn == Failure.OVERSHOOTS ? 2 : 1;
        _fail(ofOn);
    }

    function off() external override {
        if (ofOff == Failure.IGNORES) return;
        _state = ofOff == Failure.OVERSHOOTS ? 2 : 0;
        _fail(ofOff);
    }

    function state() external view override returns (uint256) {
        _fail(ofState);
        return _state;
    }

    function _fail(Failure failure) private view {
        if (failure == Failure.REVERTS) revert("no");
        if (failure == Failure.BURNS_GAS) {
            assembly {
                invalid()
            }
        }
        if (failure == Failure.ANSWERS_A_MEGABYTE) {
            uint256 value = _state;
            assembly {
                mstore(0, value)
                return(0, 1048576)
            }
        }
        if (failure == Failure.REVERTS_WITH_A_MEGABYTE) {
            assembly {
                revert(0, 1048576)
            }
        }
    }
}

/// A call, or an undo, after which the getter fails.
contract BlindingTarget is Switch {
    bool private immutable _byOff;
    bool private _blind;

    constructor(bool byOff) {
        _byOff = byOff;
    }

    function on() external override {
        (_state, _blind) = (1, !_byOff);
    }

    function off() external override {
        (_state, _blind) = (0, _byOff);
    }

    function state() external view override returns (uint256) {
        require(!_blind, "blind");
        return _state;
    }
}

/// Calls back while it is called, and keeps what it was answered.
contract ReenteringTarget is Switch {
    address public gateway;
    bytes public entry;
    bool public entered;
    bytes public answer;

    function arm(address gateway_, bytes calldata entry_) external {
        (gateway, entry) = (gateway_, entry_);
    }

    function on() external override {
        _state = 1;
        _enter();
    }

    function off() external override {
        _state = 0;
        _enter();
    }

    /// Do something for the one who is owner or guardian of a gateway.
    function command(address to, bytes calldata call_) external {
        (bool done,) = to.call(call_);
        require(done, "refused");
    }

    function _enter() private {
        if (entry.length > 0) (entered, answer) = gateway.call(entry);
    }
}

/// A getter that is a market's: whoever moves the balance moves the state, and back in the same transaction.
contract BendableTarget is Switch {
    uint256 public balance = 100;
    uint256 private constant FLOOR = 50;
    bool public isOn;

    function on() external override {
        isOn = true;
    }

    function off() external override {
        isOn = false;
    }

    function move(uint256 balance_) external {
        balance = balance_;
    }

    /// 1: on, or the balance is low.
    function state() external view override returns (uint256) {
        return (isOn ? 1 : 0) ^ (balance < FLOOR ? 1 : 0);
    }
}

/// One transaction: bend, call, straighten.
contract Bender {
    function bendAround(BendableTarget target, address gateway, bytes calldata call_)
        external
        returns (uint8 result)
    {
        target.move(0);
        (bool done, bytes memory answer) = gateway.call(call_);
        target.move(100);
        require(done, "refused");
        return abi.decode(answer, (uint8));
    }
}

/// A getter that tells the gateway one thing and the world another.
contract TwoFacedTarget is Switch {
    address private immutable _gateway;
    uint256 private _shown;

    constructor(address gateway) {
        _gateway = gateway;
    }

    function on() external override {
        _shown = 1;
    }

    function off() external override {
        _shown = 0;
    }

    function state() external view override returns (uint256) {
        return msg.sender == _gateway ? _shown : _state;
    }
}

/// A getter that says "protected" when it is short of gas.
contract GasDependentTarget is Switch {
    function state() external view override returns (uint256) {
        return gasleft() < 90_000 ? 1 : _state;
    }
}

/// A pause that ends by itself, as Lido's `pauseFor` does.
contract TimedTarget is Switch {
    uint256 public pausedUntil;

    function onFor(uint256 duration) external {
        require(block.timestamp >= pausedUntil, "paused already");
        pausedUntil = block.timestamp + duration;
    }

    function off() external override {
        require(block.timestamp < pausedUntil, "not paused");
        pausedUntil = 0;
    }

    function state() external view override returns (uint256) {
        return block.timestamp < pausedUntil ? 1 : 0;
    }
}

/// A switch whose state is kept elsewhere.
contract RemoteSwitch {
    Switch private immutable _place;

    constructor(Switch place) {
        _place = place;
    }

    function on() external {
        _place.put(1);
    }

    function off() external {
        _place.put(0);
    }
}

/// A getter with less than one word.
contract ShortTarget is Switch {
    function state() external pure override returns (uint256) {
        assembly {
            mstore(0, not(0))
            return(0, 31)
        }
    }
}

/// Verifiers that are not one.
contract RogueVerifier {
    bytes32 public immutable network;
    uint256 private immutable _mode;

    uint256 public constant ANSWERS_TWO = 1;
    uint256 public constant REVERTS = 2;
    uint256 public constant ANSWERS_NOTHING = 3;
    uint256 public constant ANSWERS_MUCH = 4;

    constructor(bytes32 network_, uint256 mode) {
        (network, _mode) = (network_, mode);
    }

    function verify(bytes32, uint8, uint32, bytes calldata) external view returns (bool) {
        uint256 mode = _mode;
        if (mode == REVERTS) revert("no");
        assembly {
            mstore(0, 2)
            switch mode
            case 1 { return(0, 32) }
            case 3 { return(0, 0) }
            default { return(0, 1048576) }
        }
    }
}
