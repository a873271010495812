// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {Rotation} from "../VerifierTypes.sol";
import {Fixture} from "./Fixture.sol";

contract VerifierTest is Fixture {
    uint256 private constant ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141;
    bytes32 private constant DIGEST = keccak256("digest");
    uint256[] private _newKeys;

    function setUp() public override {
        super.setUp();
        _newKeys = _sortedKeys("successor", 7);
    }

    // ---- certificates

    function test_each_tier_needs_its_threshold() public view {
        assertTrue(verifier.verify(DIGEST, TIER_FAST, EPOCH, _certificate(DIGEST, 2)));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, _certificate(DIGEST, 1)));
        assertTrue(verifier.verify(DIGEST, TIER_FULL, EPOCH, _certificate(DIGEST, 3)));
        assertFalse(verifier.verify(DIGEST, TIER_FULL, EPOCH, _certificate(DIGEST, 2)));
        assertTrue(verifier.verify(DIGEST, TIER_FULL, EPOCH, _certificate(DIGEST, 4)), "more is enough");
    }

    function test_unknown_tiers_kinds_epochs_are_false() public view {
        bytes memory certificate = _certificate(DIGEST, 4);

        assertFalse(verifier.verify(DIGEST, 0, EPOCH, certificate));
        assertFalse(verifier.verify(DIGEST, 3, EPOCH, certificate));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH + 1, certificate));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH - 1, certificate));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, ""));
        certificate[0] = 0x02;
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, certificate));
    }

    function test_one_attester_cannot_count_twice() public view {
        bytes memory one = _certificate(DIGEST, 1);
        bytes memory twice = abi.encodePacked(one, _tail(one));

        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, twice));
    }

    function test_the_other_form_of_a_signature_is_refused() public view {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(keys[0], DIGEST);
        bytes memory second = _tail(_certificateBy(DIGEST, keys, 1, 2));
        bytes memory low = abi.encodePacked(hex"01", r, s, v, second);
        bytes memory high = abi.encodePacked(hex"01", r, ORDER - uint256(s), v == 27 ? 28 : 27, second);
        bytes memory bare = abi.encodePacked(hex"01", r, s, v - 27, second);

        assertTrue(verifier.verify(DIGEST, TIER_FAST, EPOCH, low));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, high));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, bare));
    }

    function testFuzz_any_subset_in_order_is_judged_by_its_size(uint8 mask, bool full) public view {
        bytes memory certificate = hex"01";
        uint256 count = 0;
        for (uint256 i = 0; i < 4; ++i) {
            if (mask >> i & 1 == 0) continue;
            certificate = abi.encodePacked(certificate, _tail(_certificateBy(DIGEST, keys, i, i + 1)));
            ++count;
        }
        assertEq(
            verifier.verify(DIGEST, full ? TIER_FULL : TIER_FAST, EPOCH, certificate), count >= (full ? 3 : 2)
        );
    }

    function testFuzz_a_changed_byte_is_refused(uint256 position, uint8 change) public view {
        vm.assume(change != 0);
        bytes memory certificate = _certificate(DIGEST, 2);
        position = bound(position, 0, certificate.length - 1);

        certificate[position] = bytes1(uint8(certificate[position]) ^ change);

        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, certificate));
    }

    function testFuzz_garbage_never_reverts(bytes calldata garbage, uint8 tier, uint32 epoch) public view {
        assertFalse(verifier.verify(DIGEST, tier, epoch, garbage));
    }

    function test_a_committee_of_fifty_works() public {
        uint256[] memory many = _sortedKeys("many", 50);
        TocsinVerifier large =
            new TocsinVerifier(NETWORK, 9, _addresses(many), 17, 34, _noGroups(), 1 days, 6 hours);

        assertTrue(large.verify(DIGEST, TIER_FULL, 9, _certificateBy(DIGEST, many, 16, 50)));
        assertFalse(large.verify(DIGEST, TIER_FULL, 9, _certificateBy(DIGEST, many, 17, 50)));
        assertTrue(large.verify(DIGEST, TIER_FAST, 9, _certificateBy(DIGEST, many, 33, 50)));
    }

    // ---- deployment

    function test_committees_out_of_bounds_are_refused() public {
        address[] memory four = _addresses(keys);
        address[] memory three = new address[](3);
        for (uint256 i = 0; i < 3; ++i) {
            three[i] = four[i];
        }
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.AttesterCount.selector, 3));
        _deploy(three, 2, 3);
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.AttesterCount.selector, 51));
        _deploy(_addresses(_sortedKeys("many", 51)), 18, 34);
        (four[0], four[1]) = (four[1], four[0]);
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.AttesterOrder.selector, 1));
        _deploy(four, 2, 3);
        four[0] = four[1];
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.AttesterOrder.selector, 1));
        _deploy(four, 2, 3);
        four[0] = address(0);
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.AttesterOrder.selector, 0));
        _deploy(four, 2, 3);
    }

    function test_thresholds_below_the_quorum_sizes_are_refused() public {
        address[] memory four = _addresses(keys);
        uint8[2][4] memory bad = [[1, 3], [2, 2], [2, 5], [4, 3]];
        for (uint256 i = 0; i < bad.length; ++i) {
            vm.expectRevert(
                abi.encodeWithSelector(TocsinVerifier.Thresholds.selector, 4, bad[i][0], bad[i][1])
            );
            _deploy(four, bad[i][0], bad[i][1]);
        }
    }

    function test_a_delay_shorter_than_the_overlap_is_refused() public {
        address[] memory four = _addresses(keys);
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.DelayTooShort.selector, 1 hours, 6 hours));
        new TocsinVerifier(NETWORK, EPOCH, four, 2, 3, _noGroups(), 1 hours, 6 hours);
    }

    function test_a_delay_that_its_counter_cannot_hold_is_refused() public {
        address[] memory four = _addresses(keys);
        uint64 delay = 1 << 40;
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.DelayTooLong.selector, delay, 366 days));
        new TocsinVerifier(NETWORK, EPOCH, four, 2, 3, _noGroups(), delay, 6 hours);
        new TocsinVerifier(NETWORK, EPOCH, four, 2, 3, _noGroups(), 366 days, 366 days);
    }

    function test_the_keys_can_be_read_back() public view {
        (TocsinVerifier.Epoch memory epoch, address[] memory attesters) = verifier.epochKeys(EPOCH);

        assertEq(abi.encode(attesters), abi.encode(_addresses(keys)));
        assertEq(epoch.fast, 2);
        assertEq(epoch.full, 3);
        (, attesters) = verifier.epochKeys(77);
        assertEq(attesters.length, 0);
    }

    // ---- rotation

    function test_a_rotation_takes_effect_after_the_delay_and_overlaps() public {
        _rotate(_rotation(false), 3);

        assertEq(verifier.keyEpoch(), EPOCH);
        assertFalse(_newAccepted());
        vm.warp(START + 1 days - 1);
        assertFalse(_newAccepted());
        vm.warp(START + 1 days);
        assertEq(verifier.keyEpoch(), EPOCH + 1);
        assertTrue(_newAccepted());
        assertTrue(_oldAccepted());
        vm.warp(START + 1 days + 6 hours - 1);
        assertTrue(_oldAccepted());
        vm.warp(START + 1 days + 6 hours);
        assertFalse(_oldAccepted());
        assertFalse(verifier.accepts(EPOCH));
        assertTrue(_newAccepted());
    }

    /// The tightest case: a delay of exactly the overlap, and the next rotation in the first second that takes one.
    function test_two_epochs_at_most_are_valid_even_where_the_delay_is_the_overlap() public {
        verifier = new TocsinVerifier(NETWORK, EPOCH, _addresses(keys), 2, 3, _noGroups(), 6 hours, 6 hours);
        _rotate(_rotation(false), 3);
        vm.warp(START + 6 hours);
        Rotation memory second = _rotation(false);
        second.newEpoch = EPOCH + 2;
        bytes memory certificate = _certificateBy(verifier.rotationDigest(second), _newKeys, 0, 5);
        verifier.rotate(second, _addresses(_newKeys), _noGroups(), certificate);
        for (uint256 time = START + 12 hours - 2; time <= START + 12 hours + 2; ++time) {
            vm.warp(time);
            uint256 valid = 0;
            for (uint32 epoch = EPOCH; epoch <= EPOCH + 2; ++epoch) {
                if (verifier.accepts(epoch)) ++valid;
            }
            assertEq(valid, 2);
        }
    }

    function test_a_revoking_rotation_leaves_no_overlap_and_no_gap() public {
        _rotate(_rotation(true), 3);

        vm.warp(START + 1 days - 1);
        assertTrue(_oldAccepted());
        assertFalse(_newAccepted());
        vm.warp(START + 1 days);
        assertFalse(_oldAccepted());
        assertTrue(_newAccepted());
    }

    function test_a_fast_quorum_cannot_rotate() public {
        Rotation memory rotation = _rotation(false);
        bytes memory reason = abi.encodeWithSelector(
            TocsinVerifier.CertificateRefused.selector, verifier.rotationDigest(rotation)
        );
        _rotateReverts(rotation, 2, reason);
    }

    function test_a_rotation_is_bound_to_its_chain_verifier_network_and_time() public {
        Rotation memory rotation = _rotation(false);
        rotation.network = bytes32(uint256(1));
        _rotateReverts(
            rotation, 3, abi.encodeWithSelector(TocsinVerifier.WrongNetwork.selector, NETWORK, uint256(1))
        );
        rotation = _rotation(false);
        rotation.chainId = 1;
        _rotateReverts(
            rotation, 3, abi.encodeWithSelector(TocsinVerifier.WrongPlace.selector, 1, address(verifier))
        );
        rotation = _rotation(false);
        rotation.verifier = stranger;
        _rotateReverts(
            rotation, 3, abi.encodeWithSelector(TocsinVerifier.WrongPlace.selector, block.chainid, stranger)
        );
        rotation = _rotation(false);
        rotation.newEpoch = EPOCH + 2;
        _rotateReverts(
            rotation, 3, abi.encodeWithSelector(TocsinVerifier.WrongEpoch.selector, EPOCH + 1, EPOCH + 2)
        );
        rotation = _rotation(false);
        rotation.notAfter = START - 1;
        _rotateReverts(
            rotation,
            3,
            abi.encodeWithSelector(
                TocsinVerifier.RotationNotFresh.selector, rotation.notBefore, rotation.notAfter
            )
        );
        rotation = _rotation(false);
        rotation.attestersHash = bytes32(uint256(5));
        bytes32 packed = _rotation(false).attestersHash;
        _rotateReverts(
            rotation, 3, abi.encodeWithSelector(TocsinVerifier.WrongAttesters.selector, uint256(5), packed)
        );
    }

    function test_each_field_of_a_rotation_is_signed() public {
        bytes memory certificate = _certificate(verifier.rotationDigest(_rotation(false)), 3);
        Rotation[4] memory changed;
        for (uint256 i = 0; i < changed.length; ++i) {
            changed[i] = _rotation(false);
        }
        changed[0].fast = 4;
        changed[1].full = 6;
        changed[2].revokePrevious = true;
        changed[3].notAfter += 1;
        for (uint256 i = 0; i < changed.length; ++i) {
            bytes32 digest = verifier.rotationDigest(changed[i]);
            vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.CertificateRefused.selector, digest));
            verifier.rotate(changed[i], _addresses(_newKeys), _noGroups(), certificate);
        }
    }

    function test_a_pending_rotation_stands_until_it_is_in_force() public {
        _rotate(_rotation(false), 3);
        _rotateReverts(
            _rotation(false), 3, abi.encodeWithSelector(TocsinVerifier.RotationPending.selector, EPOCH + 1)
        );

        vm.warp(START + 1 days);
        _rotateReverts(
            _rotation(false),
            3,
            abi.encodeWithSelector(TocsinVerifier.WrongEpoch.selector, EPOCH + 2, EPOCH + 1)
        );
    }

    function test_a_mandate_certificate_is_no_rotation() public view {
        assertNotEq(verifier.ROTATION_TYPE(), keccak256("Mandate"));
        assertEq(
            verifier.ROTATION_TYPE(),
            keccak256(
                "Rotation(bytes32 network,uint256 chainId,address verifier,uint32 newEpoch,bytes32 attestersHash,bytes32 groupsHash,uint8 fast,uint8 full,uint64 notBefore,uint64 notAfter,bool revokePrevious)"
            )
        );
    }

    // ---- helpers

    function _deploy(address[] memory attesters, uint8 fast, uint8 full) private {
        new TocsinVerifier(NETWORK, EPOCH, attesters, fast, full, _noGroups(), 1 days, 6 hours);
    }

    function _rotation(bool revoke) private view returns (Rotation memory) {
        bytes memory packed = "";
        for (uint256 i = 0; i < _newKeys.length; ++i) {
            packed = abi.encodePacked(packed, vm.addr(_newKeys[i]));
        }
        return Rotation({
            network: NETWORK,
            chainId: block.chainid,
            verifier: address(verifier),
            newEpoch: EPOCH + 1,
            attestersHash: keccak256(packed),
            groupsHash: _noGroupsHash(),
            fast: 3,
            full: 5,
            notBefore: START - 1 hours,
            notAfter: START + 7 days,
            revokePrevious: revoke
        });
    }

    function _rotate(Rotation memory rotation, uint256 signers) private {
        verifier.rotate(
            rotation,
            _addresses(_newKeys),
            _noGroups(),
            _certificate(verifier.rotationDigest(rotation), signers)
        );
    }

    function _rotateReverts(Rotation memory rotation, uint256 signers, bytes memory reason) private {
        bytes memory certificate = _certificate(verifier.rotationDigest(rotation), signers);
        vm.expectRevert(reason);
        verifier.rotate(rotation, _addresses(_newKeys), _noGroups(), certificate);
    }

    function _oldAccepted() private view returns (bool) {
        return verifier.verify(DIGEST, TIER_FAST, EPOCH, _certificate(DIGEST, 2));
    }

    function _newAccepted() private view returns (bool) {
        return verifier.verify(DIGEST, TIER_FULL, EPOCH + 1, _certificateBy(DIGEST, _newKeys, 0, 5));
    }

    function _tail(bytes memory certificate) private pure returns (bytes memory tail) {
        tail = new bytes(certificate.length - 1);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = certificate[i + 1];
        }
    }
}
