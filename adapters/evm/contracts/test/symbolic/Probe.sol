// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Strings} from "@openzeppelin/contracts/utils/Strings.sol";
import {Test} from "forge-std/Test.sol";
import {Book} from "../../BudgetBook.sol";
import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {MandateHash} from "../../MandateHash.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Act, Budget, Limits, Mandate, Record, TIER_FAST} from "../../TocsinTypes.sol";
import {both, either} from "./Claims.sol";

/// A verifier that answers as the solver likes.
contract AnyVerifier is ITocsinVerifier {
    bytes32 public immutable network;
    bool public answer;

    constructor(bytes32 network_) {
        network = network_;
    }

    function set(bool answer_) external {
        answer = answer_;
    }

    function verify(bytes32, uint8, uint32, bytes calldata) external view returns (bool) {
        return answer;
    }

    function keyEpoch() external pure returns (uint32) {
        return 1;
    }

    function accepts(uint32) external pure returns (bool) {
        return true;
    }
}

/// A target whose calls leave in its state what the solver likes, and which notices every call.
contract AnyTarget {
    uint256 public state;
    uint256 public onCalls;
    uint256 public offCalls;
    uint256 public strangeCalls;
    uint256 private _afterOn;
    uint256 private _afterOff;

    function set(uint256 state_, uint256 afterOn, uint256 afterOff) external {
        (state, _afterOn, _afterOff) = (state_, afterOn, afterOff);
    }

    function on() external {
        ++onCalls;
        state = _afterOn;
    }

    function off() external {
        ++offCalls;
        state = _afterOff;
    }

    fallback() external payable {
        ++strangeCalls;
    }
}

/// The gateway, with a record and switches as the solver likes.
contract ProbedGateway is TocsinGateway {
    constructor(address owner_, address guardian_, ITocsinVerifier verifier_, Limits memory limits)
        TocsinGateway(owner_, guardian_, verifier_, verifier_.network(), limits, Budget(2_000, 3_000, 2))
    {}

    function put(bytes32 actId, Record memory record_) external {
        _records[actId] = record_;
    }

    function putSwitches(bytes32 actId, bool active, bool paused_) external {
        (_entries[actId].active, paused) = (active, paused_);
    }

    function bookHash() external view returns (bytes32) {
        Book memory book = _book;
        return keccak256(abi.encode(book));
    }
}

/// One gateway with one act, and a state as general as the solver can hold.
///
/// The time is any second of one budget window, whose length is a power of two so that divisions cost the solver nothing. The
/// book is the empty one of that window: what charges do to any book is proved apart (`BookProofs`). Gas is unbounded
/// for the solver, and any `gasleft` may be too little: such paths end in `GasTooLow`.
abstract contract Probe is Test {
    bytes32 internal constant NETWORK = keccak256("network");
    bytes32 internal constant PLAN = keccak256("plan");
    bytes32 internal constant ACT = keccak256("act");
    address internal constant OWNER = address(0xA11CE);
    address internal constant GUARDIAN = address(0xB0B);
    address internal constant STRANGER = address(0xBAD);
    uint64 internal constant SKEW = 60;
    uint64 internal constant WINDOW = 4096;
    uint64 internal constant LONGEST = 2048;
    /// The first second of a window.
    uint64 internal constant START = 439_453 * WINDOW;
    uint256 internal constant VALUE = 1;

    /// The state before a step.
    struct Scene {
        uint64 time;
        uint64 until;
        uint64 last;
        uint64 endedAt;
        uint256 restore;
        uint256 state;
        uint256 afterOn;
        uint256 afterOff;
        bool certified;
        bool active;
        bool paused;
    }

    /// What a mandate says, and what is brought with it.
    struct Brought {
        bytes32 network;
        uint8 tier;
        bytes32 plan;
        uint64 notBefore;
        uint64 notAfter;
        uint64 duration;
        bytes32 root;
    }

    AnyVerifier internal verifier;
    AnyTarget internal target;
    ProbedGateway internal gateway;
    bytes32 private _chain;

    function setUp() public virtual {
        vm.warp(START);
        _chain = keccak256(bytes(string.concat("eip155:", Strings.toString(block.chainid))));
        verifier = new AnyVerifier(NETWORK);
        target = new AnyTarget();
        gateway = new ProbedGateway(OWNER, GUARDIAN, verifier, Limits(SKEW, 1 hours, WINDOW));
        vm.startPrank(OWNER);
        gateway.registerAct(ACT, _act(), _tierOfAct(), LONGEST);
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
    }

    function _tierOfAct() internal pure virtual returns (uint8) {
        return TIER_FAST;
    }

    function _act() internal view returns (Act memory) {
        return Act({
            target: address(target),
            call: abi.encodeCall(AnyTarget.on, ()),
            stateTarget: address(target),
            stateCall: abi.encodeWithSignature("state()"),
            stateWord: 0,
            value: VALUE,
            compare: 0,
            undo: 1,
            undoCall: abi.encodeCall(AnyTarget.off, ()),
            restoreAt: 0,
            gasCap: 100_000
        });
    }

    /// Any state that the gateway can be in: a record that is closed is empty.
    function _set(Scene memory scene) internal {
        vm.assume(both(scene.time >= START, scene.time < START + WINDOW));
        vm.assume(both(scene.until < 1 << 40, both(scene.last < 1 << 40, scene.endedAt < 1 << 40)));
        vm.assume(either(scene.until != 0, both(scene.last == 0, scene.restore == 0)));
        vm.warp(scene.time);
        target.set(scene.state, scene.afterOn, scene.afterOff);
        verifier.set(scene.certified);
        gateway.putSwitches(ACT, scene.active, scene.paused);
        gateway.put(ACT, Record(scene.until, scene.last, scene.endedAt, 0, scene.restore));
    }

    function _leaf(uint64 duration) internal view returns (bytes32) {
        return MandateHash.ofLeaf(_chain, address(gateway), ACT, MandateHash.ofAct(_act()), duration);
    }

    function _bring(uint8 op, Brought memory brought) internal returns (bool success) {
        Mandate memory mandate = Mandate({
            network: brought.network,
            keyEpoch: 1,
            tier: brought.tier,
            planHash: brought.plan,
            op: op,
            decisionId: 0,
            actsRoot: brought.root,
            notBefore: brought.notBefore,
            notAfter: brought.notAfter
        });
        bytes memory call_ =
            abi.encodeCall(TocsinGateway.execute, (mandate, ACT, brought.duration, new bytes32[](0), ""));
        (success,) = _call(STRANGER, call_);
    }

    function _call(address by, bytes memory call_) internal returns (bool success, bytes4 reason) {
        vm.prank(by);
        bytes memory answer;
        (success, answer) = address(gateway).call(call_);
        // forge-lint: disable-next-line(unsafe-typecast)
        reason = success || answer.length < 4 ? bytes4(0) : bytes4(answer);
    }
}
