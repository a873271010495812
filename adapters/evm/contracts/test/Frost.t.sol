// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {FrostSignature} from "../FrostSignature.sol";
import {TocsinGateway} from "../TocsinGateway.sol";
import {Mandate, OP_PROTECT, Result, TIER_FAST, TIER_FULL} from "../TocsinTypes.sol";
import {TocsinVerifier} from "../TocsinVerifier.sol";
import {GroupKeys} from "../VerifierTypes.sol";
import {Fixture} from "./Fixture.sol";

/// Certificates of kind 0x02 (threshold SPEC 1.1): what one group key signs, and what it does not.
contract FrostTest is Fixture {
    bytes32 private constant DIGEST = keccak256("digest");

    function verifyByLibrary(uint256 x, uint256 parity, bytes32 digest, uint256 rx, uint256 ry, uint256 z)
        external
        view
        returns (bool)
    {
        return FrostSignature.verify(x, parity, digest, rx, ry, z);
    }

    // ---- what counts

    function test_a_group_signs_for_its_tier_and_for_no_other() public {
        bytes memory fast = _signByGroup(FAST_SECRET, DIGEST);
        bytes memory full = _signByGroup(FULL_SECRET, DIGEST);

        assertTrue(_verified(TIER_FAST, fast));
        assertTrue(_verified(TIER_FULL, full));
        assertFalse(_verified(TIER_FULL, fast));
        assertFalse(_verified(TIER_FAST, full));
        assertFalse(_verified(0, fast));
        assertFalse(_verified(3, fast));
    }

    function test_a_group_signs_one_digest_in_one_key_epoch() public {
        bytes memory certificate = _signByGroup(FAST_SECRET, DIGEST);

        assertFalse(verifier.verify(keccak256("another"), TIER_FAST, EPOCH, certificate));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH + 1, certificate));
        assertFalse(verifier.verify(DIGEST, TIER_FAST, EPOCH - 1, certificate));
    }

    function test_keys_of_both_parities_sign_and_their_negatives_do_not() public {
        uint256[2] memory seen;
        for (uint256 i = 0; seen[0] == 0 || seen[1] == 0; ++i) {
            uint256 secret = uint256(keccak256(abi.encode("parity", i))) >> 1;
            (, uint8 parity) = _publicKey(secret);
            if (seen[parity - 2]++ != 0) continue;
            TocsinVerifier one = _deploy(_groups(NETWORK, EPOCH, secret, FULL_SECRET));

            assertTrue(one.verify(DIGEST, TIER_FAST, EPOCH, _signByGroup(secret, DIGEST)));
            assertFalse(
                one.verify(DIGEST, TIER_FAST, EPOCH, _signByGroup(N - secret, DIGEST)), "other parity"
            );
        }
    }

    function test_numbers_out_of_range_and_negatives_are_refused() public {
        (uint256 rx, uint256 ry, uint256 z) = _split(_signByGroup(FAST_SECRET, DIGEST));

        assertTrue(_verified(TIER_FAST, _join(rx, ry, z)));
        assertFalse(_verified(TIER_FAST, _join(rx, P - ry, z)), "-R");
        assertFalse(_verified(TIER_FAST, _join(rx, ry, N - z)), "-z");
        assertFalse(_verified(TIER_FAST, _join(rx, ry, 0)), "z = 0");
        assertFalse(_verified(TIER_FAST, _join(rx, ry, N)), "z = N");
        assertFalse(_verified(TIER_FAST, _join(rx, ry, N + 1)), "z > N");
        assertFalse(_verified(TIER_FAST, _join(P, ry, z)), "Rx = p");
        assertFalse(_verified(TIER_FAST, _join(rx, P, z)), "Ry = p");
        assertFalse(_verified(TIER_FAST, _join(type(uint256).max, type(uint256).max, z)));
    }

    /// With z = c·s the equation holds for R at infinity, which has no coordinates and no address.
    function test_r_at_infinity_cannot_pass() public {
        (uint256 x, uint8 parity) = _publicKey(FAST_SECRET);
        uint256[2][3] memory points = [[uint256(0), 0], [uint256(0), 1], [uint256(0), 7]];
        for (uint256 i = 0; i < points.length; ++i) {
            (uint256 rx, uint256 ry) = (points[i][0], points[i][1]);
            uint256 z = mulmod(_challenge(rx, ry, x, parity, DIGEST), FAST_SECRET, N);

            assertFalse(_verified(TIER_FAST, _join(rx, ry, z)));
        }
    }

    /// The challenge takes of Ry its parity alone. Were any Ry of it taken, 2^80 of them and 2^80 of z would have two
    /// addresses alike, and so a signature by nobody. An ecrecover that gives what is hoped for is that stroke of luck.
    function test_an_address_alike_is_no_signature() public {
        (uint256 rx, uint256 ry, uint256 z) = _split(_signByGroup(FAST_SECRET, DIGEST));
        uint256 beside = ry < P - 2 ? ry + 2 : ry - 2;
        _recoverAlways(rx, ry);
        assertTrue(_verified(TIER_FAST, _join(rx, ry, z - 1)), "ecrecover did not answer as the test wants");

        _recoverAlways(rx, beside);

        assertFalse(_verified(TIER_FAST, _join(rx, beside, z - 1)));
    }

    function _recoverAlways(uint256 rx, uint256 ry) private {
        address alike = address(uint160(uint256(keccak256(abi.encode(rx, ry)))));
        vm.mockCall(address(1), bytes(""), abi.encode(alike));
    }

    function test_other_lengths_and_kinds_are_refused() public {
        bytes memory certificate = _signByGroup(FAST_SECRET, DIGEST);
        bytes memory shorter = new bytes(96);
        for (uint256 i = 0; i < shorter.length; ++i) {
            shorter[i] = certificate[i];
        }

        assertFalse(_verified(TIER_FAST, abi.encodePacked(certificate, bytes1(0))));
        assertFalse(_verified(TIER_FAST, shorter));
        assertFalse(_verified(TIER_FAST, hex"02"));
        for (uint256 kind = 0; kind < 256; ++kind) {
            certificate[0] = bytes1(uint8(kind));
            assertEq(_verified(TIER_FAST, certificate), kind == 2);
        }
    }

    function test_an_epoch_without_group_keys_takes_no_signature_of_a_group() public {
        TocsinVerifier without = _deploy(_noGroups());

        assertFalse(without.verify(DIGEST, TIER_FAST, EPOCH, _signByGroup(FAST_SECRET, DIGEST)));
        assertFalse(without.verify(DIGEST, TIER_FAST, EPOCH, _join(0, 0, 1)));
        assertTrue(without.verify(DIGEST, TIER_FAST, EPOCH, _certificate(DIGEST, 2)));
    }

    function test_a_key_that_is_no_point_or_out_of_range_verifies_nothing() public {
        (uint256 rx, uint256 ry, uint256 z) = _split(_signByGroup(FAST_SECRET, DIGEST));
        (uint256 x, uint8 parity) = _publicKey(FAST_SECRET);
        uint256[6] memory keys_ = [0, 5, N, N + 1, P, type(uint256).max];

        for (uint256 i = 0; i < keys_.length; ++i) {
            assertFalse(this.verifyByLibrary(keys_[i], 2, DIGEST, rx, ry, z));
            assertFalse(this.verifyByLibrary(keys_[i], 3, DIGEST, rx, ry, z));
        }
        for (uint256 other = 0; other < 40; ++other) {
            assertEq(this.verifyByLibrary(x, other, DIGEST, rx, ry, z), other == parity);
        }
    }

    // ---- fuzz

    function testFuzz_what_any_group_signs_is_accepted(uint256 secret, uint256 nonce, bytes32 digest) public {
        (secret, nonce) = (bound(secret, 1, N - 1), bound(nonce, 1, N - 1));
        (uint256 x, uint8 parity) = _publicKey(secret);
        (uint256 rx, uint256 ry, uint256 z) = _split(_signWithNonce(secret, digest, nonce));

        assertTrue(this.verifyByLibrary(x, parity, digest, rx, ry, z));
    }

    function testFuzz_random_numbers_are_no_signature(uint8 tier, uint256 rx, uint256 ry, uint256 z)
        public
        view
    {
        assertFalse(_verified(tier, _join(rx, ry, z)));
    }

    function testFuzz_a_changed_byte_is_refused(uint256 position, uint8 change) public {
        vm.assume(change != 0);
        bytes memory certificate = _signByGroup(FAST_SECRET, DIGEST);
        position = bound(position, 0, certificate.length - 1);

        certificate[position] = bytes1(uint8(certificate[position]) ^ change);

        assertFalse(_verified(TIER_FAST, certificate));
    }

    function testFuzz_a_signature_of_another_key_is_refused(uint256 secret) public {
        secret = bound(secret, 1, N - 1);
        vm.assume(secret != FAST_SECRET);

        assertFalse(_verified(TIER_FAST, _signByGroup(secret, DIGEST)));
    }

    // ---- at the gateway

    function test_both_certificates_of_one_mandate_act_once() public {
        bytes memory signatures = _signed(_mandate(OP_PROTECT, TIER_FAST, _now()), PAUSE, HOURS_6);
        bytes memory byGroup = _signedByGroup(_mandate(OP_PROTECT, TIER_FAST, _now()));
        uint256 before = vm.snapshotState();

        _assertResult(_bring(byGroup), Result.STARTED);
        bytes32 state = keccak256(abi.encode(_record(PAUSE), gateway.usage(0)));
        _assertResult(_bring(signatures), Result.NOOP);
        assertEq(keccak256(abi.encode(_record(PAUSE), gateway.usage(0))), state);

        vm.revertToState(before);
        _assertResult(_bring(signatures), Result.STARTED);
        _assertResult(_bring(byGroup), Result.NOOP);
        assertEq(keccak256(abi.encode(_record(PAUSE), gateway.usage(0))), state, "whoever came first");
    }

    // ---- helpers

    function _verified(uint8 tier, bytes memory certificate) private view returns (bool) {
        return verifier.verify(DIGEST, tier, EPOCH, certificate);
    }

    function _deploy(GroupKeys memory groups) private returns (TocsinVerifier) {
        return new TocsinVerifier(NETWORK, EPOCH, _addresses(keys), 2, 3, groups, 1 days, 6 hours);
    }

    function _signedByGroup(Mandate memory mandate) private returns (bytes memory) {
        mandate.actsRoot = _leaf(PAUSE, HOURS_6);
        bytes memory certificate = _signByGroup(FAST_SECRET, gateway.mandateDigest(mandate));
        return abi.encodeCall(TocsinGateway.execute, (mandate, PAUSE, HOURS_6, new bytes32[](0), certificate));
    }

    function _split(bytes memory certificate) private pure returns (uint256 rx, uint256 ry, uint256 z) {
        assertEq(certificate.length, 97);
        assembly ("memory-safe") {
            rx := mload(add(certificate, 33))
            ry := mload(add(certificate, 65))
            z := mload(add(certificate, 97))
        }
    }

    function _join(uint256 rx, uint256 ry, uint256 z) private pure returns (bytes memory) {
        return abi.encodePacked(hex"02", rx, ry, z);
    }
}
