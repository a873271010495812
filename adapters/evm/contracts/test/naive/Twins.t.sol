// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Budget, OP_PROTECT, Record, TIER_FAST, TIER_FULL} from "../../TocsinTypes.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {Fixture} from "../Fixture.sol";
import {CapTarget} from "../Targets.sol";
import {Flaw, NaiveGateway} from "./NaiveGateway.sol";

/// The frugal gateway does what the plain one does, step by step: records, states, ends and budget agree, whatever is
/// brought and whoever meddles.
contract TwinsTest is Fixture {
    uint64 private constant REGISTERED = START - 1 hours;

    TocsinGateway[2] private _gateways;
    CapTarget[2] private _cappers;

    function setUp() public override {
        super.setUp();
        vm.warp(REGISTERED);
        // So many fast records that only seconds count: the plain gateway keeps no count of records.
        Budget memory cap = Budget({fastSeconds: 30 hours, allSeconds: 6 days, fastRecords: 60_000});
        _gateways[0] = _newGateway(cap);
        _gateways[1] = TocsinGateway(address(new NaiveGateway(Flaw.NONE, verifier, cap)));
        for (uint256 i = 0; i < 2; ++i) {
            _cappers[i] = capper = new CapTarget();
            vm.startPrank(owner);
            _gateways[i].registerAct(CAP, _capAct(), TIER_FAST, 72 hours);
            if (i == 0) _gateways[i].setPlan(PLAN, 0, 0);
            vm.stopPrank();
        }
        vm.warp(START);
    }

    /// forge-config: default.fuzz.runs = 48
    function testFuzz_both_gateways_agree_on_every_step(uint256 seed) public {
        for (uint256 i = 0; i < 40; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            vm.warp(_now() + (seed >> 8) % (seed % 5 == 0 ? 20 days : 10 hours));
            bool[2] memory done;
            for (uint256 twin = 0; twin < 2; ++twin) {
                gateway = _gateways[twin];
                done[twin] = _step(seed >> 64, _cappers[twin]);
            }
            assertEq(done[0], done[1], "one refuses, the other does not");
            _assertEqualTwins();
        }
    }

    function _step(uint256 seed, CapTarget capper_) private returns (bool done) {
        uint256 way = seed % 12;
        bool open = gateway.record(CAP).until != 0;
        if (way == 0) {
            capper_.setCap([uint256(3), 10, 50, 100][(seed >> 8) % 4]);
            return true;
        }
        vm.startPrank(guardian);
        if (way == 1 && open) gateway.adopt(CAP);
        if (way == 2 && open) gateway.dismiss(CAP);
        vm.stopPrank();
        if (way < 3) return true;
        if (way < 5) return _call(abi.encodeCall(TocsinGateway.expire, (CAP)));
        uint8 op = way < 9 ? OP_PROTECT : uint8(way - 8);
        uint8 tier = op == OP_PROTECT && (seed >> 16) % 2 == 0 ? TIER_FAST : TIER_FULL;
        uint64 notBefore = _now() + SKEW + 1 - uint64((seed >> 24) % 10 minutes);
        return _call(_signed(_mandate(op, tier, notBefore), CAP, uint64((seed >> 64) % 73 hours)));
    }

    function _call(bytes memory call_) private returns (bool success) {
        (success,) = address(gateway).call(call_);
    }

    function _assertEqualTwins() private view {
        Record memory a = _gateways[0].record(CAP);
        Record memory b = _gateways[1].record(CAP);
        if (b.endedAt < REGISTERED) b.endedAt = REGISTERED;
        assertEq(abi.encode(a), abi.encode(b), "record");
        assertEq(_cappers[0].cap(), _cappers[1].cap(), "state");
    }
}
