// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Brake} from "../../Brake.sol";
import {BrakedTarget} from "../Brake.t.sol";

/// Somebody who takes whenever it pays, while the brake's holder meddles; keeps a ledger of his own (INV-24, INV-25).
contract Taker is Test {
    /// A moment from which everything that left is counted, and what may have left since, times the period.
    struct Since {
        uint256 allowed;
        uint256 out;
    }

    uint256 internal constant PERIOD = 1 hours;
    uint256 internal constant LONGEST = 2 days;

    BrakedTarget internal target;
    Since[] internal ledger;
    uint256 internal limit = 1_000;
    uint256 internal pausedAt;
    bool internal unlimited;
    mapping(uint256 claim => string) public broken;
    uint256 public takes;
    uint256 public refusals;
    uint256 public pauses;

    constructor() {
        target = new BrakedTarget(address(this), limit, PERIOD, LONGEST);
        _begin();
    }

    function take(uint256 seed) external {
        uint256 amount = uint256(keccak256(abi.encode("take", seed))) % 1_200;
        if (seed % 2 == 0 && !unlimited) amount = target.spendable();
        bool mayLeave = block.timestamp >= pausedAt + LONGEST || pausedAt == 0;
        try target.take(amount) {
            if (!mayLeave && target.paused()) broken[25] = "left during a pause";
            ++takes;
            _judge(amount);
        } catch {
            if (mayLeave && amount == 0) broken[25] = "a pause without end";
            ++refusals;
        }
    }

    function wait(uint256 seed) external {
        uint256 passed = uint256(keccak256(abi.encode("wait", seed))) % (seed % 5 == 0 ? 2 * LONGEST : PERIOD);
        for (uint256 i = 0; i < ledger.length; ++i) {
            ledger[i].allowed += passed * limit;
        }
        vm.warp(vm.getBlockTimestamp() + passed);
        if (!unlimited) _begin();
    }

    function setLimit(uint256 seed) external {
        limit = uint256(keccak256(abi.encode("limit", seed))) % 2_000;
        unlimited = seed % 8 == 0;
        target.setRateLimit(unlimited ? target.NO_LIMIT() : limit);
        // Without a limit there is nothing to hold it to: counting begins anew with the next one.
        delete ledger;
        if (!unlimited) _begin();
    }

    function pause(uint256 seed) external {
        uint256 length = 1 + uint256(keccak256(abi.encode("pause", seed))) % LONGEST;
        if (seed % 3 == 0) target.pause();
        else target.pauseUntil(vm.getBlockTimestamp() + length);
        pausedAt = vm.getBlockTimestamp();
        ++pauses;
        if (target.pausedUntil() > pausedAt + LONGEST) broken[25] = "a pause beyond its farthest end";
    }

    function unpause(uint256) external {
        if (!target.paused()) return;
        target.unpause();
        pausedAt = 0;
        if (target.paused()) broken[25] = "the holder could not end a pause";
    }

    function _begin() private {
        ledger.push(Since(limit * PERIOD, 0));
    }

    /// From any moment on, no more has left than a full bucket of that moment and what has come in since.
    function _judge(uint256 amount) private {
        for (uint256 i = 0; i < ledger.length; ++i) {
            ledger[i].out += amount * PERIOD;
            if (ledger[i].out > ledger[i].allowed) {
                broken[24] = "more left than the bucket held and what came in";
            }
        }
    }
}

contract BrakeCampaign is Test {
    Taker internal taker;

    function setUp() public {
        vm.warp(1_800_000_000);
        taker = new Taker();
        bytes4[] memory actions = new bytes4[](5);
        (actions[0], actions[1], actions[2]) =
        (Taker.take.selector, Taker.wait.selector, Taker.setLimit.selector);
        (actions[3], actions[4]) = (Taker.pause.selector, Taker.unpause.selector);
        targetContract(address(taker));
        targetSelector(FuzzSelector(address(taker), actions));
    }

    function invariant_no_more_leaves_than_the_bucket_held_and_what_came_in() public view {
        assertEq(taker.broken(24), "");
    }

    function invariant_a_pause_of_a_brake_ends() public view {
        assertEq(taker.broken(25), "");
    }

    function test_a_taker_is_paid_refused_and_paused() public {
        for (uint256 i = 0; i < 300; ++i) {
            taker.take(i);
            taker.wait(i);
            if (i % 3 == 0) taker.setLimit(i);
            if (i % 7 == 0) taker.pause(i);
            if (i % 14 == 0) taker.unpause(i);
        }
        assertEq(string.concat(taker.broken(24), taker.broken(25)), "");
        assertGt(taker.takes(), 50);
        assertGt(taker.refusals(), 50);
        assertGt(taker.pauses(), 10);
    }
}
