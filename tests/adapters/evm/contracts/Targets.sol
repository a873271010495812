// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Targets as protocols have them, and some that a rehearsal must find out.
contract Switch {
    bytes32 public constant PAUSER_ROLE = keccak256("PAUSER_ROLE");
    mapping(address account => bool) public isPauser;
    bool public paused;

    error AccessControlUnauthorizedAccount(address account, bytes32 role);
    error EnforcedPause();
    error ExpectedPause();

    modifier onlyPauser() {
        if (!isPauser[msg.sender]) revert AccessControlUnauthorizedAccount(msg.sender, PAUSER_ROLE);
        _;
    }

    function grant(address account) external {
        isPauser[account] = true;
    }

    function pause() external virtual onlyPauser {
        if (paused) revert EnforcedPause();
        paused = true;
    }

    function unpause() external virtual onlyPauser {
        if (!paused) revert ExpectedPause();
        paused = false;
    }
}

/// Its power to pause ends at a fixed time.
contract WindowedSwitch is Switch {
    uint256 public immutable pauseWindowEnd = block.timestamp + 1 days;

    error PauseWindowOver(uint256 end);

    function pause() external override onlyPauser {
        if (block.timestamp > pauseWindowEnd) revert PauseWindowOver(pauseWindowEnd);
        paused = true;
    }
}

/// Nobody gets it open again.
contract StuckSwitch is Switch {
    function unpause() external view override onlyPauser {
        revert("the lock is jammed");
    }
}

/// An older lending market: an error code in place of a revert.
contract Comptroller {
    address public admin = msg.sender;
    uint256 public factor = 75;

    function setFactor(uint256 value) external returns (uint256) {
        if (msg.sender != admin) return 1;
        factor = value;
        return 0;
    }
}

/// A cap that an admin sets.
contract Capped {
    address public owner = msg.sender;
    uint256 public cap = 1_000;

    function hand(address to) external {
        owner = to;
    }

    function setCap(uint256 value) external {
        require(msg.sender == owner, "Ownable: caller is not the owner");
        cap = value;
    }
}

/// Anybody may ring it.
contract OpenSwitch {
    bool public paused;

    function pause() external {
        paused = true;
    }

    function unpause() external {
        paused = false;
    }
}

/// Is paused for so long only.
contract TimedSwitch {
    uint256 public until;

    function pauseFor(uint256 duration) external {
        until = block.timestamp + duration;
    }

    function paused() external view returns (bool) {
        return block.timestamp < until;
    }
}

contract Reserves {
    uint256 public held = 5;

    function put(uint256 value) external {
        held = value;
    }
}

/// What it calls its state, strangers move: a pool's reserves, and its own coins.
contract Bendable {
    Reserves public reserves = new Reserves();
    uint256 private _cap = 100;

    function setCap(uint256 value) external {
        _cap = value;
    }

    function cap() external view returns (uint256) {
        return _cap + reserves.held() + address(this).balance;
    }
}

/// Takes most of what it is given.
contract Hungry is Switch {
    mapping(uint256 slot => uint256) private _written;

    function pause() external override onlyPauser {
        for (uint256 slot = 0; slot < 4; ++slot) {
            _written[slot] = 1;
        }
        paused = true;
    }
}

/// A verifier that takes any certificate: for what a gateway does once it believes one.
contract CredulousVerifier {
    bytes32 public immutable network;

    constructor(bytes32 network_) {
        network = network_;
    }

    function verify(bytes32, uint8, uint32, bytes calldata) external pure returns (bool) {
        return true;
    }

    function accepts(uint32) external pure returns (bool) {
        return true;
    }
}
