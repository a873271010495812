// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Act, Budget, Mandate, OP_PROTECT, OP_RELEASE, TIER_FAST, TIER_FULL} from "../../TocsinTypes.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {TocsinVerifier} from "../../TocsinVerifier.sol";
import {Rotation} from "../../VerifierTypes.sol";
import {Fixture} from "../Fixture.sol";
import {SwallowingTarget} from "../Targets.sol";
import {Flaw, NaiveGateway} from "./NaiveGateway.sol";
import {BentPool, Bundler, Vault} from "./Vault.sol";

/// Every rule that looks odd, by the attack it answers: the attack succeeds against a gateway without that one rule, and
/// fails against ours and against the same naive gateway with the rule.
contract NaiveTest is Fixture {
    bytes32 private constant SWALLOW = keccak256("swallow");

    Vault private _vault;
    Bundler private _bundler;
    SwallowingTarget private _swallower;

    function setUp() public override {
        super.setUp();
        vm.warp(START - 1 hours);
        _vault = new Vault();
        _vault.allow(guardian);
        _bundler = new Bundler();
        _swallower = new SwallowingTarget();
        switcher = _vault;
        gateway = _newGateway(_cap());
        vm.startPrank(owner);
        _register();
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.warp(START);
    }

    // ---- against the protocol's own people

    function test_attack_our_expiry_undoes_the_guardians_own_pause() public {
        _isAnsweredByTheRule(Flaw.CLAIMS_OTHERS_WORK, this.expireTheGuardiansPause);
    }

    function expireTheGuardiansPause() external returns (bool) {
        vm.prank(guardian);
        _vault.pause();
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        vm.warp(START + HOURS_6);
        _tryExpire(PAUSE);
        return !_vault.paused();
    }

    function test_attack_our_expiry_undoes_a_stricter_cap_of_governance() public {
        _isAnsweredByTheRule(Flaw.UNDOES_STRICTER, this.expireTheStricterCap);
    }

    function expireTheStricterCap() external returns (bool) {
        _try(_protect(TIER_FULL, START, CAP, 24 hours));
        capper.setCap(3);
        vm.warp(START + 24 hours);
        _tryExpire(CAP);
        return capper.cap() != 3;
    }

    function test_attack_our_old_record_undoes_the_guardians_later_pause() public {
        _isAnsweredByTheRule(Flaw.KEEPS_FOREIGN, this.expireTheGuardiansLaterPause);
    }

    function expireTheGuardiansLaterPause() external returns (bool) {
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        vm.prank(guardian);
        _vault.unpause();
        _tryExpire(PAUSE);
        vm.prank(guardian);
        _vault.pause();
        vm.warp(START + HOURS_6);
        _tryExpire(PAUSE);
        return !_vault.paused();
    }

    function test_attack_a_withheld_certificate_reverses_the_guardian() public {
        _isAnsweredByTheRule(Flaw.FORGETS_ENDS, this.bringAWithheldProtect);
    }

    function bringAWithheldProtect() external returns (bool) {
        bytes memory withheld = _protect(TIER_FULL, START - 10, PAUSE, HOURS_6);
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        _dismiss();
        vm.warp(START + 5 hours);
        _try(withheld);
        return _vault.paused();
    }

    function test_attack_a_fast_clock_brings_what_was_vetoed() public {
        _isAnsweredByTheRule(Flaw.VETOES_UP_TO_NOW, this.bringAProtectFromAFastClock);
    }

    function bringAProtectFromAFastClock() external returns (bool) {
        bytes memory ahead = _protect(TIER_FAST, START + SKEW, PAUSE, HOURS_6);
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        _dismiss();
        _try(ahead);
        return _vault.paused();
    }

    // ---- against the protection

    function test_attack_a_withheld_release_is_bundled_with_the_drain() public {
        _isAnsweredByTheRule(Flaw.TAKES_OLD_RELEASES, this.releaseAndDrain);
    }

    function releaseAndDrain() external returns (bool) {
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        vm.warp(START + 1 hours);
        bytes memory withheld = _signed(_mandate(OP_RELEASE, TIER_FULL, _now()), PAUSE, 0);
        vm.warp(START + 2 hours);
        _try(_protect(TIER_FAST, _now(), PAUSE, HOURS_6));
        return _strike(withheld);
    }

    function test_attack_expire_is_bundled_with_the_drain_in_one_transaction() public {
        _isAnsweredByTheRule(Flaw.IGNORES_RENEWALS, this.expireAndDrain);
    }

    /// A second decision at 98 % of the first pause; the attacker waits for the end of the first.
    function expireAndDrain() external returns (bool) {
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        vm.warp(START + HOURS_6 * 98 / 100);
        _try(_protect(TIER_FAST, _now(), PAUSE, HOURS_6));
        vm.warp(START + HOURS_6);
        return _strike(abi.encodeCall(TocsinGateway.expire, (PAUSE)));
    }

    function test_attack_a_cap_per_record_is_a_moment_on_the_attackers_timetable() public {
        _isAnsweredByTheRule(Flaw.CAPS_RECORDS, this.drainAtTheRecordsCap);
    }

    function drainAtTheRecordsCap() external returns (bool) {
        _try(_protect(TIER_FULL, START, PAUSE, 24 hours));
        vm.warp(START + 23 hours);
        _try(_protect(TIER_FULL, _now(), PAUSE, 24 hours));
        vm.warp(START + 24 hours);
        return _strike(abi.encodeCall(TocsinGateway.expire, (PAUSE)));
    }

    function test_attack_a_cool_down_is_a_moment_on_the_attackers_timetable() public {
        _isAnsweredByTheRule(Flaw.COOLS_DOWN, this.drainWhileCoolingDown);
    }

    function drainWhileCoolingDown() external returns (bool) {
        _try(_protect(TIER_FAST, START, PAUSE, HOURS_6));
        vm.warp(START + HOURS_6);
        _tryExpire(PAUSE);
        vm.warp(_now() + 10 minutes);
        _try(_protect(TIER_FAST, _now(), PAUSE, HOURS_6));
        return _strike("");
    }

    function test_attack_a_charge_too_large_for_the_rest_leaves_no_protection() public {
        _isAnsweredByTheRule(Flaw.REFUSES_LARGE_CHARGES, this.drainBesideARestOfTheBudget);
    }

    function drainBesideARestOfTheBudget() external returns (bool) {
        _try(_protect(TIER_FAST, START, PAUSE, 23 hours));
        vm.warp(START + 22 hours);
        _try(_protect(TIER_FAST, _now(), PAUSE, HOURS_6));
        vm.warp(START + 23 hours);
        return _strike(abi.encodeCall(TocsinGateway.expire, (PAUSE)));
    }

    function test_attack_the_fast_budget_is_burned_first() public {
        _isAnsweredByTheRule(Flaw.SHARES_THE_FAST_BUDGET, this.drainAfterTheFastBudget);
    }

    function drainAfterTheFastBudget() external returns (bool) {
        _try(_protect(TIER_FAST, START, PAUSE, 24 hours));
        vm.warp(START + 24 hours);
        _try(_protect(TIER_FULL, _now(), PAUSE, HOURS_6));
        return _strike(abi.encodeCall(TocsinGateway.expire, (PAUSE)));
    }

    function test_attack_a_front_runner_gives_too_little_gas() public {
        _isAnsweredByTheRule(Flaw.TRUSTS_THE_CALL, this.frontRunWithLittleGas);
    }

    function frontRunWithLittleGas() external returns (bool) {
        bytes memory call_ = _protect(TIER_FAST, START, SWALLOW, HOURS_6);
        for (uint256 gas_ = 150_000; gas_ < 900_000; gas_ += 10_000) {
            (bool success,) = address(gateway).call{gas: gas_}(call_);
            if (success) return _swallower.state() == 0;
        }
        return false;
    }

    /// The naive part is the act: its getter follows a balance that anybody can push. `stateOf` cannot show that; a
    /// rehearsal does (GATEWAY.md 1).
    function test_attack_a_check_is_bent_within_one_transaction() public {
        assertFalse(
            this.bendAndClose("paused()"), "a getter of the very value that the call writes must hold"
        );
        assertTrue(this.bendAndClose("halted()"), "a getter that can be bent must fall");
    }

    /// Bends the state before the protect, and lets the protect find it there: the decision does nothing.
    function bendAndClose(string calldata getter) external returns (bool) {
        uint256 start = vm.snapshotState();
        BentPool pool = new BentPool();
        gateway = _newGateway(_cap());
        pool.allow(address(gateway));
        vm.warp(START - 1);
        vm.startPrank(owner);
        gateway.registerAct(
            PAUSE, _switchAct(address(pool), "pause()", "unpause()", getter), TIER_FAST, 72 hours
        );
        gateway.setPlan(PLAN, 0, 0);
        vm.stopPrank();
        vm.warp(START);
        pool.flash(address(gateway), _protect(TIER_FAST, START, PAUSE, HOURS_6));
        bool bent = !pool.paused();
        vm.revertToState(start);
        return bent;
    }

    // ---- with the keys

    function test_attack_a_replay_lengthens_the_freeze() public {
        _isAnsweredByTheRule(Flaw.COUNTS_FROM_NOW, this.replay);
    }

    function replay() external returns (bool) {
        bytes memory call_ = _protect(TIER_FAST, START, PAUSE, HOURS_6);
        _try(call_);
        vm.warp(START + 29 minutes);
        _try(call_);
        return _record(PAUSE).until > START + HOURS_6;
    }

    function test_attack_a_freeze_across_two_windows_takes_both_caps() public {
        _isAnsweredByTheRule(Flaw.COUNTS_WINDOWS_ALONE, this.freezeAcrossTwoWindows);
    }

    function freezeAcrossTwoWindows() external returns (bool) {
        uint64 boundary = (START / WINDOW + 1) * WINDOW;
        vm.warp(boundary - 24 hours);
        _try(_protect(TIER_FAST, _now(), PAUSE, 48 hours));
        return _record(PAUSE).until > boundary;
    }

    function test_attack_both_tiers_together_freeze_beyond_the_absolute_cap() public {
        _isAnsweredByTheRule(Flaw.ADDS_THE_TIERS, this.freezeWithBothTiers);
    }

    function freezeWithBothTiers() external returns (bool) {
        for (uint64 i = 0; i < 7; ++i) {
            vm.warp(START + i * 72 hours);
            _try(_protect(TIER_FULL, _now(), PAUSE, 72 hours));
        }
        vm.warp(START + 21 days - 1);
        _try(_protect(TIER_FAST, _now(), PAUSE, HOURS_6));
        return _record(PAUSE).until > START + 21 days;
    }

    function test_attack_the_heaviest_act_is_run_on_another_decisions_certificate() public {
        _isAnsweredByTheRule(Flaw.SIGNS_NO_ACTS, this.runAnotherAct);
    }

    function runAnotherAct() external returns (bool) {
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, START);
        _signed(mandate, PAUSE, HOURS_6);
        bytes memory certificate = _certificate(gateway.mandateDigest(mandate), 3);
        _try(abi.encodeCall(TocsinGateway.execute, (mandate, CAP, 24 hours, new bytes32[](0), certificate)));
        return capper.cap() == 10;
    }

    function test_attack_stolen_keys_rotate() public {
        _isAnsweredByTheRule(Flaw.FOLLOWS_THE_VERIFIER, this.rotateAndFreeze);
    }

    function rotateAndFreeze() external returns (bool) {
        uint256[] memory thieves = _sortedKeys("thief", 4);
        _rotateTo(_addresses(thieves));
        vm.prank(guardian);
        try gateway.refuseEpochsFrom(EPOCH + 1) {} catch {}
        vm.warp(START + 1 days);
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FULL, _now());
        mandate.keyEpoch = EPOCH + 1;
        mandate.actsRoot = _leaf(PAUSE, HOURS_6);
        bytes memory certificate = _certificateBy(gateway.mandateDigest(mandate), thieves, 0, 3);
        _try(abi.encodeCall(TocsinGateway.execute, (mandate, PAUSE, HOURS_6, new bytes32[](0), certificate)));
        return _vault.paused();
    }

    function test_attack_more_than_f_lost_keys_leave_a_protocol_without_protection() public {
        _isAnsweredByTheRule(Flaw.FOLLOWS_THE_VERIFIER, this.drainAfterKeysWereLost);
    }

    /// Nobody can sign a rotation any more: only another verifier helps.
    function drainAfterKeysWereLost() external returns (bool) {
        keys = _sortedKeys("new committee", 4);
        TocsinVerifier second = _newVerifier(NETWORK, EPOCH + 1, _addresses(keys));
        vm.prank(owner);
        try gateway.setVerifier(second) {} catch {}
        Mandate memory mandate = _mandate(OP_PROTECT, TIER_FAST, START);
        mandate.keyEpoch = EPOCH + 1;
        _try(_signed(mandate, PAUSE, HOURS_6));
        return _strike("");
    }

    // ---- helpers

    function _isAnsweredByTheRule(Flaw flaw, function() external returns (bool) attack) private {
        uint256 start = vm.snapshotState();
        assertFalse(attack(), "ours must hold");
        vm.revertToState(start);

        start = vm.snapshotState();
        _installNaive(Flaw.NONE);
        assertFalse(attack(), "the naive gateway with the rule must hold, or the rule is not what answers");
        vm.revertToState(start);

        _installNaive(flaw);
        assertTrue(attack(), "the naive gateway without the rule must fall");
    }

    function _installNaive(Flaw flaw) private {
        gateway = TocsinGateway(address(new NaiveGateway(flaw, verifier, _cap())));
        _register();
    }

    function _register() private {
        _vault.allow(address(gateway));
        gateway.registerAct(PAUSE, _pauseAct(), TIER_FAST, 72 hours);
        gateway.registerAct(CAP, _capAct(), TIER_FULL, 72 hours);
        Act memory swallow = _switchAct(address(_swallower), "on()", "off()", "state()");
        swallow.gasCap = 1_000_000;
        gateway.registerAct(SWALLOW, swallow, TIER_FAST, 72 hours);
    }

    function _cap() private pure returns (Budget memory) {
        return Budget({fastSeconds: 24 hours, allSeconds: 21 days, fastRecords: 3});
    }

    function _protect(uint8 tier, uint64 notBefore, bytes32 actId, uint64 duration)
        private
        view
        returns (bytes memory)
    {
        return _signed(_mandate(OP_PROTECT, tier, notBefore), actId, duration);
    }

    /// What somebody may bring; whether it is refused is not asked.
    function _try(bytes memory call_) private {
        vm.prank(stranger);
        (bool success,) = address(gateway).call(call_);
        success;
    }

    function _tryExpire(bytes32 actId) private {
        _try(abi.encodeCall(TocsinGateway.expire, (actId)));
    }

    function _dismiss() private {
        vm.prank(guardian);
        gateway.dismiss(PAUSE);
    }

    /// Bring `call_` and drain the vault, in one transaction; whether the vault was drained.
    function _strike(bytes memory call_) private returns (bool) {
        vm.prank(stranger);
        try _bundler.strike(address(gateway), call_, _vault) {} catch {}
        return _vault.drained();
    }

    function _rotateTo(address[] memory attesters) private {
        Rotation memory rotation = Rotation({
            network: NETWORK,
            chainId: block.chainid,
            verifier: address(verifier),
            newEpoch: EPOCH + 1,
            attestersHash: keccak256(
                abi.encodePacked(attesters[0], attesters[1], attesters[2], attesters[3])
            ),
            groupsHash: _noGroupsHash(),
            fast: 2,
            full: 3,
            notBefore: START,
            notAfter: START + 1 hours,
            revokePrevious: false
        });
        bytes memory certificate = _certificate(verifier.rotationDigest(rotation), 3);
        verifier.rotate(rotation, attesters, _noGroups(), certificate);
    }
}
