// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// The harmless target of a drill (GATEWAY.md 10): it rings, and nothing else depends on it.
///
/// The operator asks for a drill with `request`; a drill plan's rule reads that event; the act that follows is `ring`,
/// and its undo is `hush`. One bell stands on every chain of the drill plan, the request is made at one of them.
contract DrillBell {
    address public immutable gateway;
    address public immutable operator;

    bool public ringing;
    uint64 public drills;

    event DrillRequested(uint256 indexed number);
    event Rang();
    event Hushed();

    error NotTheGateway(address sender);
    error NotTheOperator(address sender);

    constructor(address gateway_, address operator_) {
        (gateway, operator) = (gateway_, operator_);
    }

    modifier onlyGateway() {
        if (msg.sender != gateway) revert NotTheGateway(msg.sender);
        _;
    }

    /// Ask for a drill. Drills use the budget of the drill's own gateway, so strangers may not ask.
    function request() external {
        if (msg.sender != operator) revert NotTheOperator(msg.sender);
        emit DrillRequested(++drills);
    }

    function ring() external onlyGateway {
        ringing = true;
        emit Rang();
    }

    function hush() external onlyGateway {
        ringing = false;
        emit Hushed();
    }
}
