// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {TIER_FAST, TIER_FULL} from "../../TocsinTypes.sol";
import {TocsinVerifier} from "../../TocsinVerifier.sol";
import {GroupKeys, Rotation} from "../../VerifierTypes.sol";
import {FrostSigner} from "../FrostSigner.sol";

/// Puts certificates together from good and bad parts, rotates and waits, and judges the verifier by a model of its own: a
/// list of signers a person would accept, and the times in which each epoch may be believed.
contract Forger is FrostSigner {
    struct Committee {
        uint256[] keys;
        uint8 fast;
        uint8 full;
        uint256 from;
        uint256 to;
        /// Whether it has group keys; their secrets follow from epoch and tier.
        bool grouped;
    }

    bytes32 private constant NETWORK = keccak256("network");
    uint64 private constant DELAY = 8 hours;
    uint64 private constant OVERLAP = 6 hours;

    TocsinVerifier private _verifier;
    mapping(uint256 epoch => Committee) private _committees;
    uint32 private _newest = 1;
    mapping(uint256 invariant => string) public broken;
    /// Certificates of either kind and rotations that were accepted, and refused.
    mapping(bool accepted => uint256) public certificates;
    mapping(bool accepted => uint256) public signatures;
    mapping(bool accepted => uint256) public rotations;

    function build() public {
        vm.warp(1_800_000_000);
        _seat(1, 4, 0);
        Committee storage first = _committees[1];
        first.grouped = true;
        _verifier = new TocsinVerifier(
            NETWORK, 1, _attesters(1), first.fast, first.full, _groupsOf(1, 99), DELAY, OVERLAP
        );
    }

    // ---- what the forger does

    function certify(uint256 seed) public {
        uint32 epoch = uint32(_newest + 1 - (_die(seed, "far", 8) == 0 ? 0 : 1 + _die(seed, "epoch", 2)));
        uint8 tier = uint8(_die(seed, "tier", 8) == 0 ? _die(seed, "any", 256) : 1 + _die(seed, "tier", 2));
        bytes32 digest = keccak256(abi.encode(seed));
        (bytes memory certificate, uint256 good) = _compose(seed, epoch, digest);
        uint256 needed = tier == TIER_FAST ? _committees[epoch].fast : _committees[epoch].full;
        bool known = tier == TIER_FAST || tier == TIER_FULL;

        bool accepted = _verifier.verify(digest, tier, epoch, certificate);

        bool right = known && _isBelieved(epoch) && good != 0 && good >= needed;
        _must(
            19, accepted == right, accepted ? "a forged certificate was accepted" : "a good one was refused"
        );
        ++certificates[accepted];
    }

    /// One signature by a group key: the epoch's and tier's own, or another's, over this digest or another, whole or not.
    function certifyByGroup(uint256 seed) public {
        uint32 epoch = uint32(_newest + 1 - _die(seed, "epoch", 3));
        uint8 tier = uint8(1 + _die(seed, "tier", 2));
        uint256 flaw = _die(seed, "flaw", 12);
        bytes32 digest = keccak256(abi.encode(seed));
        uint256 secret = _secret(flaw == 0 ? epoch + 1 : epoch, flaw == 1 ? 3 - tier : tier);
        if (flaw == 2) secret = N - secret;
        bytes memory certificate = _signByGroup(secret, flaw == 3 ? keccak256(abi.encode(digest)) : digest);
        if (flaw == 4) {
            uint256 place = _die(seed, "place", certificate.length);
            certificate[place] = bytes1(uint8(certificate[place]) ^ uint8(1 + _die(seed, "bits", 255)));
        }
        if (flaw == 5) certificate = abi.encodePacked(certificate, bytes1(0));

        bool accepted = _verifier.verify(digest, tier, epoch, certificate);

        bool right = flaw > 5 && _isBelieved(epoch) && _committees[epoch].grouped;
        _must(19, accepted == right, accepted ? "a forged signature was accepted" : "a group was refused");
        ++signatures[accepted];
    }

    function rotate(uint256 seed) public {
        uint32 current = _inForce();
        uint256 flaw = _die(seed, "flaw", 16);
        uint256 count = 4 + _die(seed, "count", 4);
        Committee memory kept = _committees[current + 1];
        _seat(current + 1, count, 0);
        bool grouped = _die(seed, "grouped", 4) != 0;
        _committees[current + 1].grouped = grouped;
        bool faulty = flaw < 6 || (flaw < 9 && grouped);
        GroupKeys memory groups = _groupsOf(current + 1, flaw);
        Rotation memory rotation = _rotation(seed, flaw, current, _verifier.groupsHash(groups));
        bytes memory certificate = _consent(seed, flaw, current, _verifier.rotationDigest(rotation));
        bool pending = _newest > current;
        try _verifier.rotate(rotation, _attesters(current + 1), groups, certificate) {
            ++rotations[true];
            _must(
                faulty && flaw > 5 ? 23 : 20, !faulty && !pending, "a rotation that is not due was accepted"
            );
            _committees[current + 1].from = block.timestamp + DELAY;
            _committees[current + 1].to = type(uint256).max;
            uint256 start = block.timestamp + DELAY;
            _committees[current].to = rotation.revokePrevious ? start - 1 : start + OVERLAP - 1;
            _newest = current + 1;
        } catch {
            ++rotations[false];
            _must(20, faulty || pending, "a due rotation was refused");
            _committees[current + 1] = kept;
        }
        _checkEpochs();
    }

    /// Until an edge of some epoch, one second before it or after it, or for hours.
    function wait(uint256 seed) public {
        uint256 start = _committees[_newest].from;
        uint256 end = start + OVERLAP;
        uint256 to = block.timestamp + _die(seed, "seconds", 4 hours);
        if (_die(seed, "edge", 3) == 0 && start > block.timestamp + 1) to = start + 1 - _die(seed, "off", 3);
        else if (_die(seed, "end", 2) == 0 && end > block.timestamp + 1) to = end + 1 - _die(seed, "off", 3);
        vm.warp(to < block.timestamp ? block.timestamp : to);
        _checkEpochs();
    }

    // ---- judgement

    /// INV-20: one epoch is always believed, two at most, and exactly those of the model.
    function _checkEpochs() private {
        uint256 believed = 0;
        for (uint32 epoch = 0; epoch <= _newest + 1; ++epoch) {
            bool accepted = _verifier.accepts(epoch);
            if (accepted) ++believed;
            _must(
                20, accepted == _isBelieved(epoch), accepted ? "believed too long or early" : "not believed"
            );
        }
        _must(20, believed == 1 || believed == 2, "none, or more than two epochs are believed");
        _must(20, _verifier.keyEpoch() == _inForce(), "another epoch is in force");
    }

    function _isBelieved(uint32 epoch) private view returns (bool) {
        Committee storage committee = _committees[epoch];
        if (committee.keys.length == 0) return false;
        return block.timestamp >= committee.from && block.timestamp <= committee.to;
    }

    function _inForce() private view returns (uint32) {
        return _committees[_newest].from <= block.timestamp ? _newest : _newest - 1;
    }

    function _must(uint256 invariant, bool holds, string memory otherwise) private {
        if (!holds && bytes(broken[invariant]).length == 0) broken[invariant] = otherwise;
    }

    // ---- making

    /// A certificate of up to seven parts, and how many signers it has if every part of it is good (zero if not).
    function _compose(uint256 seed, uint32 epoch, bytes32 digest)
        private
        view
        returns (bytes memory certificate, uint256 good)
    {
        uint256[] storage keys = _committees[epoch].keys;
        certificate = abi.encodePacked(_die(seed, "kind", 16) == 0 ? bytes1(0x02) : bytes1(0x01));
        bool whole = certificate[0] == 0x01;
        uint256 next = 0;
        uint256 parts = keys.length == 0 ? 2 : 1 + _die(seed, "parts", keys.length + 1);
        for (uint256 i = 0; i < parts; ++i) {
            uint256 word = uint256(keccak256(abi.encode(seed, i)));
            uint256 index = word % 16 < 15 || keys.length == 0 ? next : (word >> 8) % keys.length;
            uint256 flaw = (word >> 16) % 48;
            bool member = index < keys.length && flaw != 0;
            certificate =
                abi.encodePacked(certificate, _part(member ? keys[index] : 1 + word >> 3, flaw, digest));
            whole = whole && member && flaw > 4 && index >= next;
            next = index + 1;
        }
        if (_die(seed, "tail", 24) == 0) {
            (certificate, whole) = (abi.encodePacked(certificate, bytes1(0)), false);
        }
        return (certificate, whole ? parts : 0);
    }

    /// One signature: of another digest (1), in its other form (2), with another v (3), cut to nothing (4), or good.
    function _part(uint256 key, uint256 flaw, bytes32 digest) private pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, flaw == 1 ? keccak256(abi.encode(digest)) : digest);
        if (flaw == 2) (v, s) = (v == 27 ? 28 : 27, bytes32(N - uint256(s)));
        if (flaw == 3) v -= 27;
        if (flaw == 4) (r, s) = (0, 0);
        return abi.encodePacked(r, s, v);
    }

    function _sign(uint256[] storage keys, uint256 count, bytes32 digest)
        private
        view
        returns (bytes memory certificate)
    {
        certificate = hex"01";
        for (uint256 i = 0; i < count; ++i) {
            certificate = abi.encodePacked(certificate, _part(keys[i], 99, digest));
        }
    }

    /// A full quorum of the epoch in force, as a list or as a group; by `flaw` 1 one signature or a tier too low.
    function _consent(uint256 seed, uint256 flaw, uint32 current, bytes32 digest)
        private
        returns (bytes memory)
    {
        Committee storage committee = _committees[current];
        if (committee.grouped && _die(seed, "as a group", 2) == 0) {
            return _signByGroup(_secret(current, flaw == 1 ? TIER_FAST : TIER_FULL), digest);
        }
        return _sign(committee.keys, flaw == 1 ? committee.full - 1 : committee.full, digest);
    }

    /// An epoch's group keys; by `flaw` 6 to 8 shown for another epoch, by another key, or the full tier's not at all.
    function _groupsOf(uint32 epoch, uint256 flaw) private returns (GroupKeys memory groups) {
        if (!_committees[epoch].grouped) return groups;
        (uint256 fast, uint256 full) = (_secret(epoch, TIER_FAST), _secret(epoch, TIER_FULL));
        groups = _groups(NETWORK, flaw == 6 ? epoch + 1 : epoch, fast, full);
        if (flaw == 7) groups.fast.possession = groups.full.possession;
        if (flaw == 8) groups.full.possession = "";
    }

    function _secret(uint32 epoch, uint8 tier) private pure returns (uint256) {
        return uint256(keccak256(abi.encode("group", epoch, tier))) >> 1;
    }

    /// A rotation to the next epoch; by `flaw` 0 to 5 with a defect (1: signatures, by the caller).
    function _rotation(uint256 seed, uint256 flaw, uint32 current, bytes32 groupsHash)
        private
        view
        returns (Rotation memory)
    {
        Committee storage next = _committees[current + 1];
        bytes memory packed;
        address[] memory attesters = _attesters(current + 1);
        for (uint256 i = 0; i < attesters.length; ++i) {
            packed = abi.encodePacked(packed, attesters[i]);
        }
        return Rotation({
            network: flaw == 0 ? bytes32(0) : NETWORK,
            chainId: block.chainid,
            verifier: flaw == 2 ? address(this) : address(_verifier),
            newEpoch: flaw == 3 ? current + 2 : current + 1,
            attestersHash: flaw == 4 ? bytes32(0) : keccak256(packed),
            groupsHash: groupsHash,
            fast: next.fast,
            full: flaw == 5 ? next.fast - 1 : next.full,
            notBefore: uint64(block.timestamp),
            notAfter: uint64(block.timestamp + 1),
            revokePrevious: _die(seed, "revoke", 3) == 0
        });
    }

    /// `count` keys, their addresses ascending, with the sizes of core SPEC 2.1.
    function _seat(uint32 epoch, uint256 count, uint256 from) private {
        uint256[] memory keys = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 key = uint256(keccak256(abi.encode(epoch, i))) >> 1;
            uint256 j = i;
            for (; j > 0 && vm.addr(keys[j - 1]) > vm.addr(key); --j) {
                keys[j] = keys[j - 1];
            }
            keys[j] = key;
        }
        uint256 faulty = (count - 1) / 3;
        uint256 fast = faulty + 1 < 2 ? 2 : faulty + 1;
        _committees[epoch] =
            Committee(keys, uint8(fast), uint8((count + faulty) / 2 + 1), from, type(uint256).max, false);
    }

    function _attesters(uint32 epoch) private view returns (address[] memory list) {
        list = new address[](_committees[epoch].keys.length);
        for (uint256 i = 0; i < list.length; ++i) {
            list[i] = vm.addr(_committees[epoch].keys[i]);
        }
    }

    function _die(uint256 seed, string memory what, uint256 sides) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, what))) % sides;
    }
}
