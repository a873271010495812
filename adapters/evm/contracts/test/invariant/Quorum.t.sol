// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Forger} from "./Quorum.sol";

/// The verifier against somebody who composes certificates and rotations as he likes (INV-19, INV-20, INV-23).
abstract contract ForgerCampaign is Test {
    Forger internal forger;

    function setUp() public {
        forger = new Forger();
        forger.build();
        bytes4[] memory actions = new bytes4[](4);
        (actions[0], actions[1], actions[2], actions[3]) =
        (
            Forger.certify.selector,
            Forger.rotate.selector,
            Forger.wait.selector,
            Forger.certifyByGroup.selector
        );
        targetContract(address(forger));
        targetSelector(FuzzSelector(address(forger), actions));
    }

    function _nothingBroke() internal view {
        assertEq(forger.broken(19), "", "INV-19");
        assertEq(forger.broken(20), "", "INV-20");
        assertEq(forger.broken(23), "", "INV-23");
    }
}

contract CertificatesCampaign is ForgerCampaign {
    function invariant_no_certificate_counts_below_its_threshold() public view {
        _nothingBroke();
    }

    function test_a_forger_sees_both_answers() public {
        for (uint256 i = 0; i < 200; ++i) {
            forger.certify(i);
            forger.certifyByGroup(i);
            forger.rotate(i);
            forger.wait(i);
        }
        _nothingBroke();
        assertGt(forger.certificates(true), 10);
        assertGt(forger.certificates(false), 10);
        assertGt(forger.signatures(true), 10);
        assertGt(forger.signatures(false), 10);
        assertGt(forger.rotations(true), 10);
        assertGt(forger.rotations(false), 10);
    }
}

contract GroupsCampaign is ForgerCampaign {
    function invariant_no_group_key_is_taken_that_nobody_has_shown() public view {
        _nothingBroke();
    }
}

contract EpochsCampaign is ForgerCampaign {
    /// forge-config: default.invariant.depth = 96
    function invariant_one_epoch_is_always_believed_and_two_at_most() public view {
        _nothingBroke();
    }
}
