// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// Emits, answers and fails in every way that the reading path must tell apart.
contract Probe {
    event Release(uint256 indexed id, address indexed token, uint256 amount, string memo);
    event Moved(int64 delta, bool up, bytes payload);

    struct Totals {
        uint256 debt;
    }

    struct Reserve {
        uint128 liquidityIndex;
        Totals totals;
    }

    struct Market {
        string name;
        Reserve[] reserves;
        int32[2] bounds;
        address[] owners;
    }

    uint256 public cap = 7;
    // One slot, from its low end: a bool, then 64 bits.
    bool public paused;
    int64 public drift = -5;
    mapping(address holder => uint256) public balanceOf;
    uint256 public totalSupply;
    Reserve[] private _reserves;
    int256 private _price = 1e8;
    uint256 private _pricedAt = 1_500_000_000;

    function release(uint256 id, address token, uint256 amount, string calldata memo) external {
        emit Release(id, token, amount, memo);
    }

    function releaseRaw(uint256 id, address token, bytes calldata data) external {
        bytes32 topic = keccak256("Release(uint256,address,uint256,string)");
        bytes memory content = data;
        assembly {
            log3(add(content, 32), mload(content), topic, id, token)
        }
    }

    function move(int64 delta, bool up, bytes calldata payload) external {
        emit Moved(delta, up, payload);
    }

    function setCap(uint256 value) external {
        cap = value;
    }

    function mint(address holder, uint256 amount) external {
        balanceOf[holder] += amount;
        totalSupply += amount;
    }

    function addReserve(uint128 index, uint256 debt) external {
        _reserves.push(Reserve(index, Totals(debt)));
    }

    function setPrice(int256 price, uint256 pricedAt) external {
        (_price, _pricedAt) = (price, pricedAt);
    }

    /// As Chainlink's AggregatorV3Interface has it.
    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        require(_pricedAt != 0, "No data present");
        return (9, _price, _pricedAt - 3, _pricedAt, 9);
    }

    function getReserve(address) external view returns (Reserve[] memory) {
        return _reserves;
    }

    function getMarket() external view returns (uint256 version, Market memory market) {
        address[] memory owners = new address[](2);
        (owners[0], owners[1]) = (address(0xa11ce), address(0xb0b));
        return (3, Market("a market with a name of more than a word", _reserves, [int32(-7), 8], owners));
    }

    function interfaceId() external pure returns (bytes4) {
        return 0x01ffc9a7;
    }

    function pair(uint256 seed) external pure returns (uint256, bool) {
        return (seed + 1, true);
    }

    function wild() external pure returns (uint256) {
        assembly {
            mstore(0, 5)
            return(0, 32)
        }
    }

    function reverting() external pure returns (uint256) {
        revert("no");
    }

    function halting() external pure returns (uint256) {
        assembly {
            invalid()
        }
    }

    function short() external pure returns (uint256) {
        assembly {
            return(0, 31)
        }
    }

    function nothing() external pure {}

    function endless() external pure returns (uint256 sum) {
        while (true) sum++;
    }
}
