// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {Test} from "forge-std/Test.sol";
import {Result} from "../../TocsinTypes.sol";
import {Adversary} from "./Adversary.sol";

/// A campaign: one adversary, and the actions among which it chooses. Everything that is judged call by call is judged in
/// every campaign and kept, so that it is enough to look at the end; each campaign walks another way and dwells on what its
/// own claim is about.
abstract contract Campaign is Test {
    uint256 private constant NUMBERS = 18;

    Adversary internal adversary;

    function _begin(string memory name, bytes4[] memory actions) internal {
        adversary = new Adversary(keccak256(bytes(name)));
        adversary.build();
        targetContract(address(adversary));
        targetSelector(FuzzSelector(address(adversary), actions));
    }

    function _nothingBroke() internal view {
        for (uint256 i = 1; i <= NUMBERS; ++i) {
            assertEq(adversary.broken(i), "", string.concat("INV-", vm.toString(i)));
        }
    }

    /// Mandates and time alone: the budget is spent, clipped and comes back.
    function _mandates() internal pure returns (bytes4[] memory actions) {
        actions = new bytes4[](5);
        (actions[0], actions[1]) = (Adversary.bring.selector, Adversary.bringMore.selector);
        (actions[2], actions[3]) = (Adversary.replay.selector, Adversary.expire.selector);
        actions[4] = Adversary.withhold.selector;
    }

    /// Mandates, and people who act on the targets and on the records.
    function _people() internal pure returns (bytes4[] memory actions) {
        actions = new bytes4[](7);
        (actions[0], actions[1]) = (Adversary.bring.selector, Adversary.replay.selector);
        (actions[2], actions[3]) = (Adversary.withhold.selector, Adversary.expire.selector);
        (actions[4], actions[5]) = (Adversary.end.selector, Adversary.meddle.selector);
        actions[6] = Adversary.bringMore.selector;
    }

    /// All of it, with an owner who changes everything that an owner can change.
    function _everything() internal pure returns (bytes4[] memory actions) {
        actions = new bytes4[](10);
        bytes4[] memory some = _people();
        for (uint256 i = 0; i < some.length; ++i) {
            actions[i] = some[i];
        }
        (actions[7], actions[8], actions[9]) =
            (Adversary.govern.selector, Adversary.announce.selector, Adversary.grow.selector);
    }
}

contract OnlyRegisteredCampaign is Campaign {
    function setUp() public {
        _begin("only registered", _everything());
    }

    function invariant_only_registered_calls_reach_only_registered_targets() public view {
        _nothingBroke();
    }
}

contract FrozenSecondsCampaign is Campaign {
    function setUp() public {
        _begin("frozen seconds", _mandates());
    }

    /// forge-config: default.invariant.depth = 128
    function invariant_no_sliding_window_is_frozen_beyond_the_budget() public view {
        _nothingBroke();
    }
}

contract FastTierCampaign is Campaign {
    function setUp() public {
        _begin("fast tier", _people());
    }

    /// forge-config: default.invariant.depth = 128
    function invariant_fast_seconds_and_fast_records_stay_within_the_budget() public view {
        _nothingBroke();
    }
}

contract OwnEndCampaign is Campaign {
    function setUp() public {
        _begin("own end", _mandates());
    }

    function invariant_no_record_outlasts_its_mandate_and_its_registered_duration() public view {
        _nothingBroke();
    }
}

contract ReplayCampaign is Campaign {
    function setUp() public {
        bytes4[] memory actions = new bytes4[](5);
        (actions[0], actions[1]) = (Adversary.bring.selector, Adversary.replay.selector);
        (actions[2], actions[3]) = (Adversary.expire.selector, Adversary.end.selector);
        actions[4] = Adversary.meddle.selector;
        _begin("replay", actions);
    }

    function invariant_a_mandate_does_its_work_once() public view {
        _nothingBroke();
    }
}

contract OursCampaign is Campaign {
    function setUp() public {
        _begin("ours", _people());
    }

    function invariant_an_undo_runs_only_while_the_state_is_ours() public view {
        _nothingBroke();
    }
}

contract TierCampaign is Campaign {
    function setUp() public {
        _begin("tier", _everything());
    }

    function invariant_no_mandate_does_more_than_its_tier() public view {
        _nothingBroke();
    }
}

contract ReachableCampaign is Campaign {
    function setUp() public {
        _begin("reachable", _everything());
    }

    /// forge-config: default.invariant.check-interval = 6
    function invariant_every_record_can_be_undone_or_closed() public {
        _nothingBroke();
        uint256 snapshot = vm.snapshotState();
        assertEq(adversary.endingIsReachable(), "");
        vm.revertToState(snapshot);
        assertEq(adversary.expiryIsReachable(), "");
        vm.revertToState(snapshot);
    }
}

contract LeavingCampaign is Campaign {
    function setUp() public {
        _begin("leaving", _everything());
    }

    /// forge-config: default.invariant.check-interval = 6
    function invariant_the_owner_leaves_in_one_transaction() public {
        _nothingBroke();
        uint256 snapshot = vm.snapshotState();
        assertEq(adversary.leavingIsReachable(), "");
        vm.revertToState(snapshot);
    }
}

contract ShorteningCampaign is Campaign {
    function setUp() public {
        _begin("shortening", _people());
    }

    function invariant_a_protection_is_shortened_only_by_a_full_release_guardian_or_owner() public view {
        _nothingBroke();
    }
}

contract EndsCampaign is Campaign {
    function setUp() public {
        _begin("ends", _everything());
    }

    function invariant_an_end_never_moves_back() public view {
        _nothingBroke();
    }
}

contract DeadMandatesCampaign is Campaign {
    function setUp() public {
        _begin("dead mandates", _people());
    }

    function invariant_a_mandate_up_to_an_end_is_dead() public view {
        _nothingBroke();
    }
}

contract BoundMandatesCampaign is Campaign {
    function setUp() public {
        _begin("bound mandates", _everything());
    }

    function invariant_a_mandate_is_fresh_and_of_this_gateway() public view {
        _nothingBroke();
    }
}

contract NoticeCampaign is Campaign {
    function setUp() public {
        bytes4[] memory actions = new bytes4[](4);
        (actions[0], actions[1]) = (Adversary.bring.selector, Adversary.govern.selector);
        (actions[2], actions[3]) = (Adversary.announce.selector, Adversary.grow.selector);
        _begin("notice", actions);
    }

    function invariant_power_grows_only_with_notice_and_by_the_owner() public view {
        _nothingBroke();
    }
}

contract EffectCampaign is Campaign {
    function setUp() public {
        _begin("effect", _people());
    }

    function invariant_an_act_has_its_effect_or_leaves_no_trace() public view {
        _nothingBroke();
    }
}

contract DoorCampaign is Campaign {
    function setUp() public {
        bytes4[] memory actions = new bytes4[](4);
        (actions[0], actions[1]) = (Adversary.bring.selector, Adversary.meddle.selector);
        (actions[2], actions[3]) = (Adversary.end.selector, Adversary.pay.selector);
        _begin("door", actions);
    }

    function invariant_no_ether_no_delegatecall_and_no_second_entry() public view {
        _nothingBroke();
    }
}

/// A campaign in which nothing ever succeeds would hold every invariant: this walk sees everything that a mandate can do.
contract CampaignsAreAliveTest is Test {
    function test_a_campaign_sees_every_result() public {
        Adversary adversary = new Adversary("alive");
        adversary.build();
        for (uint256 i = 0; i < 400; ++i) {
            adversary.bring(i);
            adversary.replay(i);
            if (i % 3 == 0) adversary.expire(i);
            if (i % 3 == 1) adversary.meddle(i);
            if (i % 9 == 0) adversary.end(i);
        }
        for (uint256 i = 0; i <= uint256(type(Result).max); ++i) {
            assertGt(adversary.seen(Result(i)), 4, vm.toString(i));
        }
    }
}
