// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ITocsinVerifier} from "../../ITocsinVerifier.sol";
import {GatewayRegistry} from "../../GatewayRegistry.sol";
import {MandateHash} from "../../MandateHash.sol";
import {TocsinGateway} from "../../TocsinGateway.sol";
import {
    Act,
    Budget,
    Mandate,
    OP_EXTEND,
    OP_PROTECT,
    OP_RELEASE,
    Record,
    Result,
    TIER_FAST,
    TIER_FULL
} from "../../TocsinTypes.sol";
import {StolenKeys} from "./World.sol";
import {Watcher} from "./Watcher.sol";

/// Holds every key of the network, brings what it likes when it likes, and shares the world with owner, guardian and
/// passers-by who do as they please. Each action takes one number and draws everything from it.
contract Adversary is Watcher {
    bytes32 private immutable _salt;
    Deed[] private _held;
    bytes[] private _growing;

    /// Campaigns with different salts walk different ways from the same seed.
    constructor(bytes32 salt) {
        _salt = salt;
    }

    function build() public override {
        super.build();
        acts[CAP] = _capAct(5);
        for (uint256 i = 0; i <= ACTS; ++i) {
            uint256 number = i == ACTS ? CAP : i;
            if (i == ACTS) acts[CAP] = _capAct(10);
            _growing.push(
                abi.encodeCall(
                    GatewayRegistry.registerAct, (ids[number], acts[number], tiers[number], durations[number])
                )
            );
        }
        _growing.push(abi.encodeCall(GatewayRegistry.setBudget, (Budget(20 minutes, 40 minutes, 2))));
        _growing.push(abi.encodeCall(GatewayRegistry.setBudget, (Budget(25 minutes, 50 minutes, 3))));
    }

    // ---- the thief

    function bring(uint256 seed) external {
        _wait(seed);
        _bring(_draw(seed));
    }

    /// Actions are drawn evenly: mandates come twice as often.
    function bringMore(uint256 seed) external {
        _wait(seed);
        _bring(_draw(seed));
    }

    /// Sign now, keep for later.
    function withhold(uint256 seed) external {
        _wait(seed);
        _held.push(_draw(seed));
    }

    /// Bring one of the newest mandates, done or withheld, once more.
    function replay(uint256 seed) external {
        _wait(seed);
        uint256 count = _held.length;
        if (count == 0) return;
        uint256 back = _die(seed, "back", count < 6 ? count : 6);
        _bringHeld(count - 1 - back);
    }

    /// What anybody may do; at any time, and now and then in the very second in which a record runs out.
    function expire(uint256 seed) external {
        _wait(seed);
        Deed memory deed;
        (deed.kind, deed.act, deed.by) = (Kind.EXPIRE, _die(seed, "act", ACTS), stranger);
        uint256 until = gateway.record(ids[deed.act]).until;
        if (until > _now() && _die(seed, "wait for it", 2) == 0) _pass(until - _die(seed, "early", 2));
        _call(deed, abi.encodeCall(TocsinGateway.expire, (ids[deed.act])));
    }

    // ---- the protocol's people

    function end(uint256 seed) external {
        _wait(seed);
        Deed memory deed;
        deed.act = _die(seed, "act", ACTS);
        bytes32 id = ids[deed.act];
        uint256 way = _die(seed, "way", 3);
        deed.by = [guardian, owner, stranger][_die(seed, "by", 3)];
        deed.kind = [Kind.ADOPT, Kind.DISMISS, Kind.FORCE][way];
        if (way == 0) _call(deed, abi.encodeCall(TocsinGateway.adopt, (id)));
        else if (way == 1) _call(deed, abi.encodeCall(TocsinGateway.dismiss, (id)));
        else _call(deed, abi.encodeCall(TocsinGateway.forceClose, (id)));
        _must(16, !deed.success || deed.by == owner || (deed.by == guardian && way < 2), "ended by nobody");
    }

    /// The targets' own states move, by people who have nothing to do with us.
    function meddle(uint256 seed) external {
        _wait(seed);
        uint256 way = _die(seed, "way", 6);
        uint256 value = [uint256(3), 5, 10, 100, 200][_die(seed, "value", 5)];
        vm.startPrank(guardian);
        if (way == 0) try switcher.pause() {} catch {}
        if (way == 1) try switcher.unpause() {} catch {}
        if (way == 2) try capper.setCap(value) {} catch {}
        if (way == 3) try floorer.setCap(value * 5) {} catch {}
        if (way == 4) capper.breakDown(_die(seed, "broken", 3) == 0);
        vm.stopPrank();
        if (way != 5) return;
        uint256 mode = [uint256(0), 0, rogue.REENTERS(), rogue.REENTERS(), rogue.REVERTS(), rogue.IGNORES()][_die(
            seed, "mode", 6
        )];
        rogue.set(mode, _die(seed, "state", 2));
        rogue.arm(address(gateway), _entry(seed));
    }

    /// Owner, guardian or a stranger calls something of the owner's half.
    function govern(uint256 seed) external {
        _wait(seed);
        uint256 number = _die(seed, "act", ACTS);
        address by = [owner, owner, owner, guardian, stranger][_die(seed, "by", 5)];
        bytes memory call_ = _lessPower(seed, number);
        if (by == guardian && _die(seed, "guardian", 2) == 0) call_ = abi.encodeCall(GatewayRegistry.pauseGateway, ());
        bool guardians = bytes4(call_) == GatewayRegistry.pauseGateway.selector;
        bool success = _govern(by, call_);
        _must(16, !(success && by == guardian) || guardians, "the guardian governed");
    }

    function announce(uint256 seed) external {
        _wait(seed);
        bytes memory change = _growing[_die(seed, "change", _growing.length)];
        if (_govern(owner, abi.encodeCall(GatewayRegistry.schedule, (change)))) {
            announced[keccak256(change)] = _now();
        }
    }

    /// Try a change that may give more power, announced or not.
    function grow(uint256 seed) external {
        _wait(seed);
        uint256 way = _die(seed, "change", _growing.length);
        bytes memory change = _growing[way];
        uint256 time = announced[keccak256(change)];
        if (time != 0 && _die(seed, "wait for it", 2) == 0 && time + DELAY > _now()) {
            _pass(time + DELAY - _die(seed, "early", 2));
        }
        bool success = _govern(owner, change);
        if (success && way == CAP) acts[CAP] = _capAct(5);
        if (success && way == ACTS) acts[CAP] = _capAct(10);
    }

    /// Ether, with a mandate and without.
    function pay(uint256 seed) external {
        _wait(seed);
        vm.deal(stranger, 1 ether);
        bytes memory call_ = _die(seed, "empty", 2) == 0 ? bytes("") : _executeCall(_draw(seed));
        vm.prank(stranger);
        (bool taken,) = address(gateway).call{value: 1}(call_);
        _must(17, !taken && address(gateway).balance == 0, "ether was taken");
    }

    // ---- what must be possible from wherever this came

    /// Whether every open record can be undone or closed now by the protocol's own people.
    function endingIsReachable() external returns (string memory) {
        for (uint256 i = 0; i < ACTS; ++i) {
            if (gateway.record(ids[i]).until == 0) continue;
            (,, bool isOurs) = gateway.stateOf(ids[i]);
            bool stuck = (i == CAP && capper.broken()) || (i == ROGUE && rogue.mode() != 0);
            vm.prank(guardian);
            (bool dismissed,) = address(gateway).call(abi.encodeCall(TocsinGateway.dismiss, (ids[i])));
            if (!dismissed && !stuck) return "the guardian cannot dismiss";
            (,, bool isStillOurs) = gateway.stateOf(ids[i]);
            if (dismissed && isOurs && isStillOurs && acts[i].undo != 0) return "dismissed, not undone";
            if (dismissed) continue;
            vm.prank(owner);
            gateway.forceClose(ids[i]);
            if (gateway.record(ids[i]).until != 0) return "the owner cannot close";
        }
        return "";
    }

    /// Whether anybody can end every open record once it is over, whatever plans, acts and verifier have become.
    function expiryIsReachable() external returns (string memory) {
        vm.startPrank(owner);
        gateway.leaveNetwork();
        gateway.pauseGateway();
        gateway.setPlan(0, 0, 0);
        gateway.setVerifier(ITocsinVerifier(address(0)));
        vm.stopPrank();
        for (uint256 i = 0; i < ACTS; ++i) {
            uint256 until = gateway.record(ids[i]).until;
            bool stuck = (i == CAP && capper.broken()) || (i == ROGUE && rogue.mode() != 0);
            if (until == 0 || stuck) continue;
            if (until > _now()) vm.warp(until);
            vm.prank(stranger);
            gateway.expire(ids[i]);
            if (gateway.record(ids[i]).until != 0) return "a record outlives its expiry";
        }
        return "";
    }

    /// Whether the owner leaves in one transaction, and nothing that was ever signed starts an act afterwards.
    function leavingIsReachable() external returns (string memory) {
        vm.prank(owner);
        gateway.leaveNetwork();
        if (gateway.actIds().length != 0) return "an act is still on";
        for (uint256 i = 0; i < _held.length; ++i) {
            Deed memory deed = _held[i];
            if (deed.mandate.op == OP_RELEASE) continue;
            (bool success,) = address(gateway).call(_executeCall(deed));
            if (success) return "an act was started or lengthened after leaving";
        }
        return "";
    }

    // ---- drawing

    function _bring(Deed memory deed) private {
        _held.push(deed);
        _bringHeld(_held.length - 1);
    }

    function _bringHeld(uint256 index) private {
        Deed memory deed = _held[index];
        uint256 before = gateway.record(ids[deed.act]).until;
        _call(deed, _executeCall(deed));
        Record memory record = gateway.record(ids[deed.act]);
        _must(18, !rogue.entered(), "a target came in again");
        if (!deed.success) return;
        if (deed.result == Result.STARTED) _held[index].startedBefore = true;
        bool worked = deed.result == Result.STARTED || deed.result == Result.EXTENDED;
        bool whole = record.until == uint256(deed.mandate.notBefore) + deed.duration || record.until == before;
        if (worked && whole) _held[index].doneBefore = true;
    }

    function _executeCall(Deed memory deed) private view returns (bytes memory) {
        return abi.encodeCall(
            TocsinGateway.execute, (deed.mandate, ids[deed.act], deed.duration, deed.proof, hex"01")
        );
    }

    /// A mandate of any operation, tier, time and duration; mostly well formed, now and then wrong in one field.
    function _draw(uint256 seed) private view returns (Deed memory deed) {
        (deed.kind, deed.by, deed.act) = (Kind.BRING, stranger, _die(seed, "act", ACTS));
        uint256 op = _drawOp(seed);
        for (uint256 i = 0; op != OP_PROTECT && i < ACTS && gateway.record(ids[deed.act]).until == 0; ++i) {
            deed.act = (deed.act + 1) % ACTS;
        }
        Record memory record = gateway.record(ids[deed.act]);
        deed.duration = uint64(_die(seed, "duration", durations[deed.act] + 1));
        uint256 flaw = _die(seed, "flaw", 44);
        if (_die(seed, "long", 3) == 0) deed.duration = durations[deed.act];
        if (flaw == 0) ++deed.duration;
        uint64 time = uint64(_now() + SKEW - _die(seed, "time", 15 minutes));
        bool near = op == OP_RELEASE || _die(seed, "near", 3) == 0;
        if (near) time = _now() + SKEW - uint64(_die(seed, "time", 2 * SKEW));
        if (_die(seed, "edge", 6) == 0) time = record.endedAt + uint64(_die(seed, "time", 2));
        if (_die(seed, "newest", 8) == 0) time = record.last + uint64(_die(seed, "time", 2));
        if (flaw == 1) time = _now() + SKEW + 1;
        deed.mandate = Mandate({
            network: flaw == 2 ? bytes32(0) : NETWORK,
            keyEpoch: 1,
            tier: uint8(flaw == 3 ? _die(seed, "tier", 256) : _drawTier(seed, op)),
            planHash: flaw == 4 ? bytes32(0) : (_die(seed, "plan", 4) == 0 ? PLAN_B : PLAN_A),
            op: uint8(flaw == 5 ? _die(seed, "op", 256) : op),
            decisionId: bytes32(seed),
            actsRoot: 0,
            notBefore: time,
            notAfter: time + uint64(_die(seed, "life", 2) == 0 ? 30 minutes : 6 hours)
        });
        _sign(deed, flaw, seed);
    }

    function _drawOp(uint256 seed) private view returns (uint256) {
        return [OP_PROTECT, OP_PROTECT, OP_PROTECT, OP_EXTEND, OP_RELEASE][_die(seed, "op", 5)];
    }

    function _drawTier(uint256 seed, uint256 op) private view returns (uint256) {
        if (op != OP_PROTECT) return _die(seed, "tier", 6) == 0 ? TIER_FAST : TIER_FULL;
        return 1 + _die(seed, "tier", 2);
    }

    /// Put the act under the root; or, flawed, another gateway's, another chain's, another act's.
    function _sign(Deed memory deed, uint256 flaw, uint256 seed) private view {
        bytes32 hash = MandateHash.ofAct(acts[flaw == 6 ? (deed.act + 1) % ACTS : deed.act]);
        bytes32 id = ids[flaw == 7 ? (deed.act + 1) % ACTS : deed.act];
        bytes32 chain = flaw == 8 ? keccak256("eip155:1") : _chain();
        address place = flaw == 9 ? stranger : address(gateway);
        bytes32 leaf = MandateHash.ofLeaf(chain, place, id, hash, deed.duration);
        deed.mandate.actsRoot = leaf;
        if (_die(seed, "siblings", 2) == 0) return;
        deed.proof = new bytes32[](1);
        deed.proof[0] = bytes32(seed);
        (bytes32 low, bytes32 high) = leaf < bytes32(seed) ? (leaf, bytes32(seed)) : (bytes32(seed), leaf);
        deed.mandate.actsRoot = keccak256(abi.encodePacked(hex"01", low, high));
        if (flaw == 10) deed.proof[0] = 0;
    }

    /// What the hostile target calls while it is being called: something that would succeed from outside.
    function _entry(uint256 seed) private view returns (bytes memory) {
        if (_die(seed, "entry", 2) == 0) return abi.encodeCall(TocsinGateway.expire, (ids[PAUSE]));
        Deed memory deed = _draw(seed);
        deed.act = PAUSE;
        (deed.duration, deed.proof) = (durations[PAUSE], new bytes32[](0));
        (deed.mandate.op, deed.mandate.tier) = (OP_PROTECT, TIER_FULL);
        (deed.mandate.planHash, deed.mandate.network) = (PLAN_A, NETWORK);
        (deed.mandate.notBefore, deed.mandate.notAfter) = (_now() + SKEW, _now() + 6 hours);
        deed.mandate.actsRoot = MandateHash.ofLeaf(
            _chain(), address(gateway), ids[PAUSE], MandateHash.ofAct(acts[PAUSE]), deed.duration
        );
        return _executeCall(deed);
    }

    function _lessPower(uint256 seed, uint256 number) private returns (bytes memory) {
        uint256 way = _die(seed, "way", 12);
        if (way == 0) return abi.encodeCall(GatewayRegistry.revokeAct, (ids[number]));
        if (way == 1) return abi.encodeCall(GatewayRegistry.pauseGateway, ());
        if (way == 2) return abi.encodeCall(GatewayRegistry.setPlan, (PLAN_B, PLAN_A, _now() + 20 minutes));
        if (way == 3) return abi.encodeCall(GatewayRegistry.setVerifier, (ITocsinVerifier(address(0))));
        if (way == 4) {
            uint64 all = uint64(_die(seed, "all", 40 minutes));
            return abi.encodeCall(GatewayRegistry.setBudget, (Budget(all / 2, all, 1)));
        }
        if (way == 5) {
            uint64 shorter = durations[number] / 2;
            return abi.encodeCall(GatewayRegistry.registerAct, (ids[number], acts[number], TIER_FULL, shorter));
        }
        if (way == 6) return abi.encodeCall(GatewayRegistry.leaveNetwork, ());
        if (way == 7) return abi.encodeCall(GatewayRegistry.setGuardian, (guardian));
        if (way == 8) return abi.encodeCall(GatewayRegistry.setPlan, (PLAN_A, 0, 0));
        if (way == 9) return abi.encodeCall(GatewayRegistry.setVerifier, (new StolenKeys(NETWORK)));
        return abi.encodeCall(GatewayRegistry.unpauseGateway, ());
    }

    /// Half of all calls come in the same second; others seconds or minutes later, some at a budget window's edge.
    function _wait(uint256 seed) private {
        uint256 way = _die(seed, "wait", 16);
        if (way < 8) return;
        uint256 to = _now() + _die(seed, "seconds", way < 11 ? 5 : 20 minutes);
        if (way == 15) to = (_now() / WINDOW + 1) * WINDOW - _die(seed, "seconds", 2);
        _pass(to < _now() ? _now() : to);
    }

    /// One of `sides` numbers, by the seed and what it is for.
    function _die(uint256 seed, string memory what, uint256 sides) private view returns (uint256) {
        return uint256(keccak256(abi.encode(_salt, seed, what))) % sides;
    }
}
