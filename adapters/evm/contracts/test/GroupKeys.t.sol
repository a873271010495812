// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {GroupKey, GroupKeys, Rotation} from "../VerifierTypes.sol";
import {Fixture} from "./Fixture.sol";

/// How a verifier comes by group keys: at deployment and by rotation, each shown to be somebody's (threshold SPEC 1.2).
contract GroupKeysTest is Fixture {
    bytes32 private constant DIGEST = keccak256("digest");
    uint32 private constant NEXT = EPOCH + 1;
    uint256 private constant NEXT_FAST = uint256(keccak256("next fast group")) >> 1;
    uint256 private constant NEXT_FULL = uint256(keccak256("next full group")) >> 1;
    uint256[] private _newKeys;

    function setUp() public override {
        super.setUp();
        _newKeys = _sortedKeys("successor", 4);
    }

    // ---- deployment

    function test_the_keys_can_be_read_back() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FULL_SECRET);
        (TocsinVerifier.Epoch memory epoch,) = verifier.epochKeys(EPOCH);

        assertEq(epoch.frostFast, groups.fast.x);
        assertEq(epoch.frostFull, groups.full.x);
        assertEq(epoch.frostFastParity, groups.fast.parity);
        assertEq(epoch.frostFullParity, groups.full.parity);
        assertEq(epoch.fast, 2);
        assertEq(epoch.full, 3);
        (epoch,) = _deploy(_noGroups()).epochKeys(EPOCH);
        assertEq(epoch.frostFast | epoch.frostFull | epoch.frostFastParity | epoch.frostFullParity, 0);
        assertEq(epoch.fast, 2);
        assertEq(epoch.full, 3);
    }

    function test_both_tiers_have_a_key_or_none_has() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FULL_SECRET);
        GroupKey memory none;
        (GroupKey memory fast, GroupKey memory full) = (groups.fast, groups.full);

        _deployReverts(GroupKeys(none, full), _missing(TIER_FAST));
        _deployReverts(GroupKeys(fast, none), _missing(TIER_FULL));
        none.parity = 2;
        _deployReverts(GroupKeys(none, none), _missing(TIER_FAST));
    }

    /// One key for both tiers would make every fast quorum a full one; of one x there are two keys, of one secret.
    function test_one_key_for_both_tiers_is_refused() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FAST_SECRET);
        bytes memory alike = abi.encodeWithSelector(TocsinVerifier.GroupKeysAlike.selector, groups.fast.x);
        _deployReverts(groups, alike);
        _deployReverts(_groups(NETWORK, EPOCH, FAST_SECRET, N - FAST_SECRET), alike);
    }

    function test_a_key_that_nobody_has_shown_is_refused() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FULL_SECRET);
        bytes memory shown = groups.full.possession;
        bytes memory reason = _unshown(NETWORK, EPOCH, TIER_FULL, groups.full);

        groups.full.possession = "";
        _deployReverts(groups, reason);
        groups.full.possession = abi.encodePacked(shown, bytes1(0));
        _deployReverts(groups, reason);
        groups.full.possession = abi.encodePacked(bytes1(0x01), _from(shown, 1));
        _deployReverts(groups, reason);
        groups.full.possession = _signByGroup(NEXT_FULL, _proofOf(NETWORK, EPOCH, TIER_FULL, groups.full));
        _deployReverts(groups, reason);
        groups.full.possession = _signByGroup(FULL_SECRET, DIGEST);
        _deployReverts(groups, reason);
        groups.full.possession = shown;
        _deploy(groups);
    }

    function test_a_possession_is_for_one_network_key_epoch_and_tier() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FULL_SECRET);
        bytes memory reason = _unshown(NETWORK, EPOCH, TIER_FAST, groups.fast);
        bytes32[3] memory others = [
            _proofOf(PLAN, EPOCH, TIER_FAST, groups.fast),
            _proofOf(NETWORK, NEXT, TIER_FAST, groups.fast),
            _proofOf(NETWORK, EPOCH, TIER_FULL, groups.fast)
        ];
        for (uint256 i = 0; i < others.length; ++i) {
            groups.fast.possession = _signByGroup(FAST_SECRET, others[i]);
            _deployReverts(groups, reason);
        }
        (groups.fast, groups.full) = (groups.full, groups.fast);
        _deployReverts(groups, _unshown(NETWORK, EPOCH, TIER_FAST, groups.fast));
    }

    function test_a_key_in_another_form_is_refused() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FULL_SECRET);
        GroupKey memory fast = groups.fast;
        uint8 parity = fast.parity;
        uint8[7] memory others = [parity ^ 1, 0, 1, 4, 27, 28, 255];
        for (uint256 i = 0; i < others.length; ++i) {
            fast.parity = others[i];
            fast.possession = _signByGroup(FAST_SECRET, _proofOf(NETWORK, EPOCH, TIER_FAST, fast));
            _deployReverts(groups, _unshown(NETWORK, EPOCH, TIER_FAST, fast));
        }
        (fast.parity, fast.x) = (parity, N + 1);
        _deployReverts(groups, _unshown(NETWORK, EPOCH, TIER_FAST, fast));
        // No point has this x.
        fast.x = 5;
        _deployReverts(groups, _unshown(NETWORK, EPOCH, TIER_FAST, fast));
    }

    function test_what_is_signed_to_show_a_key_is_its_own_type() public view {
        assertEq(
            verifier.KEY_PROOF_TYPE(),
            keccak256("KeyProof(bytes32 network,uint32 keyEpoch,uint8 tier,uint256 x,uint8 parity)")
        );
        assertEq(
            verifier.keyProofDigest(NETWORK, EPOCH, TIER_FULL, 7, 3),
            _keyProof(NETWORK, EPOCH, TIER_FULL, 7, 3)
        );
    }

    // ---- rotation

    function test_a_rotation_brings_group_keys_and_both_epochs_sign_during_the_overlap() public {
        _rotateTo(_nextGroups());
        bytes memory old = _signByGroup(FAST_SECRET, DIGEST);
        bytes memory next = _signByGroup(NEXT_FAST, DIGEST);

        vm.warp(START + 1 days - 1);
        assertTrue(verifier.verify(DIGEST, TIER_FAST, EPOCH, old));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, NEXT, next), "not yet");
        vm.warp(START + 1 days);
        assertTrue(verifier.verify(DIGEST, TIER_FAST, EPOCH, old));
        assertTrue(verifier.verify(DIGEST, TIER_FAST, NEXT, next));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, NEXT, old), "each in its epoch");
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, next), "each in its epoch");
        vm.warp(START + 1 days + 6 hours);
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH, old), "over");
        assertTrue(verifier.verify(DIGEST, TIER_FAST, NEXT, next));
    }

    function test_a_rotation_may_end_the_use_of_group_keys() public {
        _rotateTo(_noGroups());
        vm.warp(START + 1 days);

        assertTrue(verifier.verify(DIGEST, TIER_FAST, EPOCH, _signByGroup(FAST_SECRET, DIGEST)));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, NEXT, _signByGroup(FAST_SECRET, DIGEST)));
        assertTrue(verifier.verify(DIGEST, TIER_FAST, NEXT, _certificateBy(DIGEST, _newKeys, 0, 2)));
        (TocsinVerifier.Epoch memory epoch,) = verifier.epochKeys(NEXT);
        assertEq(epoch.frostFast | epoch.frostFull, 0);
    }

    function test_the_group_keys_of_a_rotation_are_signed() public {
        GroupKeys memory groups = _nextGroups();
        Rotation memory rotation = _rotation(groups);
        bytes memory certificate = _certificate(verifier.rotationDigest(rotation), 3);
        GroupKeys memory other = _groups(NETWORK, NEXT, NEXT_FULL, NEXT_FAST);
        bytes32 otherHash = verifier.groupsHash(other);

        vm.expectRevert(
            abi.encodeWithSelector(
                TocsinVerifier.WrongGroupKeys.selector, rotation.groupsHash, _noGroupsHash()
            )
        );
        verifier.rotate(rotation, _addresses(_newKeys), _noGroups(), certificate);
        vm.expectRevert(
            abi.encodeWithSelector(TocsinVerifier.WrongGroupKeys.selector, rotation.groupsHash, otherHash)
        );
        verifier.rotate(rotation, _addresses(_newKeys), other, certificate);
        rotation.groupsHash = otherHash;
        bytes32 digest = verifier.rotationDigest(rotation);
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.CertificateRefused.selector, digest));
        verifier.rotate(rotation, _addresses(_newKeys), other, certificate);
    }

    /// Whoever brings the rotation also brings the possession; with a wrong one nothing happens, and the next may come.
    function test_a_rotation_without_possession_changes_nothing() public {
        GroupKeys memory groups = _nextGroups();
        Rotation memory rotation = _rotation(groups);
        bytes memory certificate = _certificate(verifier.rotationDigest(rotation), 3);
        GroupKeys memory unshown = _groups(NETWORK, EPOCH, NEXT_FAST, NEXT_FULL);

        vm.expectRevert(_unshown(NETWORK, NEXT, TIER_FAST, unshown.fast));
        verifier.rotate(rotation, _addresses(_newKeys), unshown, certificate);

        assertEq(verifier.keyEpoch(), EPOCH);
        verifier.rotate(rotation, _addresses(_newKeys), groups, certificate);
    }

    function test_the_full_group_of_the_epoch_in_force_signs_rotations_and_no_other_does() public {
        GroupKeys memory groups = _nextGroups();
        Rotation memory rotation = _rotation(groups);
        bytes32 digest = verifier.rotationDigest(rotation);
        bytes memory refused = abi.encodeWithSelector(TocsinVerifier.CertificateRefused.selector, digest);
        address[] memory attesters = _addresses(_newKeys);
        uint256[3] memory others = [FAST_SECRET, NEXT_FULL, NEXT_FAST];
        for (uint256 i = 0; i < others.length; ++i) {
            bytes memory wrong = _signByGroup(others[i], digest);
            vm.expectRevert(refused);
            verifier.rotate(rotation, attesters, groups, wrong);
        }

        verifier.rotate(rotation, attesters, groups, _signByGroup(FULL_SECRET, digest));

        vm.warp(START + 1 days);
        assertEq(verifier.keyEpoch(), NEXT);
        // The epoch before is still believed, but hands over no more.
        rotation.newEpoch = NEXT + 1;
        digest = verifier.rotationDigest(rotation);
        bytes memory old = _signByGroup(FULL_SECRET, digest);
        vm.expectRevert(abi.encodeWithSelector(TocsinVerifier.CertificateRefused.selector, digest));
        verifier.rotate(rotation, attesters, groups, old);
    }

    function test_a_possession_is_no_certificate_and_no_rotation() public {
        GroupKeys memory groups = _groups(NETWORK, EPOCH, FAST_SECRET, FULL_SECRET);
        bytes32 rotation = verifier.rotationDigest(_rotation(_nextGroups()));

        assertFalse(verifier.verify(rotation, TIER_FULL, EPOCH, groups.full.possession));
        assertNotEq(verifier.KEY_PROOF_TYPE(), verifier.ROTATION_TYPE());
    }

    function test_the_hash_of_group_keys_is_that_of_both_compressed() public {
        GroupKeys memory groups = _nextGroups();
        (GroupKey memory fast, GroupKey memory full) = (groups.fast, groups.full);

        assertEq(
            verifier.groupsHash(groups), keccak256(abi.encodePacked(fast.parity, fast.x, full.parity, full.x))
        );
        assertEq(verifier.groupsHash(_noGroups()), keccak256(new bytes(66)));
    }

    // ---- helpers

    function _nextGroups() private returns (GroupKeys memory) {
        return _groups(NETWORK, NEXT, NEXT_FAST, NEXT_FULL);
    }

    function _deploy(GroupKeys memory groups) private returns (TocsinVerifier) {
        return new TocsinVerifier(NETWORK, EPOCH, _addresses(keys), 2, 3, groups, 1 days, 6 hours);
    }

    function _deployReverts(GroupKeys memory groups, bytes memory reason) private {
        address[] memory attesters = _addresses(keys);
        vm.expectRevert(reason);
        new TocsinVerifier(NETWORK, EPOCH, attesters, 2, 3, groups, 1 days, 6 hours);
    }

    function _missing(uint8 tier) private pure returns (bytes memory) {
        return abi.encodeWithSelector(TocsinVerifier.GroupKeyMissing.selector, tier);
    }

    function _unshown(bytes32 network, uint32 epoch, uint8 tier, GroupKey memory group)
        private
        pure
        returns (bytes memory)
    {
        bytes32 digest = _proofOf(network, epoch, tier, group);
        return abi.encodeWithSelector(TocsinVerifier.GroupKeyNotPossessed.selector, tier, digest);
    }

    function _proofOf(bytes32 network, uint32 epoch, uint8 tier, GroupKey memory group)
        private
        pure
        returns (bytes32)
    {
        return _keyProof(network, epoch, tier, group.x, group.parity);
    }

    function _rotation(GroupKeys memory groups) private view returns (Rotation memory) {
        bytes memory packed;
        for (uint256 i = 0; i < _newKeys.length; ++i) {
            packed = abi.encodePacked(packed, vm.addr(_newKeys[i]));
        }
        return Rotation({
            network: NETWORK,
            chainId: block.chainid,
            verifier: address(verifier),
            newEpoch: NEXT,
            attestersHash: keccak256(packed),
            groupsHash: verifier.groupsHash(groups),
            fast: 2,
            full: 3,
            notBefore: START,
            notAfter: START + 7 days,
            revokePrevious: false
        });
    }

    function _rotateTo(GroupKeys memory groups) private {
        Rotation memory rotation = _rotation(groups);
        bytes memory certificate = _certificate(verifier.rotationDigest(rotation), 3);
        verifier.rotate(rotation, _addresses(_newKeys), groups, certificate);
    }

    function _from(bytes memory data, uint256 start) private pure returns (bytes memory tail) {
        tail = new bytes(data.length - start);
        for (uint256 i = 0; i < tail.length; ++i) {
            tail[i] = data[start + i];
        }
    }
}
