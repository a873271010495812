// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {RealFixture} from "./RealFixture.sol";

interface IAddressesProvider {
    function setACLAdmin(address admin) external;
    function setACLManager(address manager) external;
    function setPoolImpl(address implementation) external;
    function setPoolConfiguratorImpl(address implementation) external;
    function setPriceOracle(address oracle) external;
    function setPoolDataProvider(address provider) external;
    function setPriceOracleSentinel(address sentinel) external;
    function getPool() external view returns (address);
    function getPoolConfigurator() external view returns (address);
}

interface IAclManager {
    function addPoolAdmin(address admin) external;
    function addAssetListingAdmin(address admin) external;
    function addEmergencyAdmin(address admin) external;
    function addRiskAdmin(address admin) external;
}

interface IPriceOracle {
    function setAssetSources(address[] calldata assets, address[] calldata sources) external;
    function getSourceOfAsset(address asset) external view returns (address);
    function getAssetPrice(address asset) external view returns (uint256);
}

interface IConfigurator {
    struct InitReserveInput {
        address aTokenImpl;
        address stableDebtTokenImpl;
        address variableDebtTokenImpl;
        uint8 underlyingAssetDecimals;
        address interestRateStrategyAddress;
        address underlyingAsset;
        address treasury;
        address incentivesController;
        string aTokenName;
        string aTokenSymbol;
        string variableDebtTokenName;
        string variableDebtTokenSymbol;
        string stableDebtTokenName;
        string stableDebtTokenSymbol;
        bytes params;
    }

    function initReserves(InitReserveInput[] calldata input) external;
    function configureReserveAsCollateral(address asset, uint256 ltv, uint256 threshold, uint256 bonus)
        external;
    function setReserveBorrowing(address asset, bool enabled) external;
    function setReservePause(address asset, bool paused) external;
    function setReserveFreeze(address asset, bool freeze) external;
    function setSupplyCap(address asset, uint256 cap) external;
    function setBorrowCap(address asset, uint256 cap) external;
    function setPoolPause(bool paused) external;
}

interface IPool {
    function supply(address asset, uint256 amount, address onBehalfOf, uint16 referral) external;
    function withdraw(address asset, uint256 amount, address to) external returns (uint256);
    function borrow(address asset, uint256 amount, uint256 rateMode, uint16 referral, address onBehalfOf)
        external;
    function repay(address asset, uint256 amount, uint256 rateMode, address onBehalfOf)
        external
        returns (uint256);
    function liquidationCall(
        address collateral,
        address debt,
        address user,
        uint256 debtToCover,
        bool receiveAToken
    ) external;
    function getConfiguration(address asset) external view returns (uint256);
}

interface IDataProvider {
    function getReserveConfigurationData(address asset)
        external
        view
        returns (
            uint256 decimals,
            uint256 ltv,
            uint256 threshold,
            uint256 bonus,
            uint256 reserveFactor,
            bool collateral,
            bool borrowing,
            bool stableBorrowing,
            bool active,
            bool frozen
        );
    function getReserveCaps(address asset) external view returns (uint256 borrowCap, uint256 supplyCap);
    function getPaused(address asset) external view returns (bool);
}

/// A token that anybody may have.
contract Coin is ERC20 {
    constructor(string memory name_) ERC20(name_, name_) {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}

/// A price that stands still.
contract FixedPrice {
    int256 public immutable latestAnswer;

    constructor(int256 price) {
        latestAnswer = price;
    }
}

/// A real Aave v3.0 market, from its release's code: a volatile asset and a stable one, a lender and a borrower.
abstract contract AaveMarket is RealFixture {
    uint256 internal constant RAY = 1e27;
    uint256 internal constant VARIABLE = 2;
    uint256 internal constant LTV = 80_00;
    uint256 internal constant THRESHOLD = 85_00;
    uint256 internal constant BONUS = 105_00;
    uint256 internal constant SUPPLY_CAP = 1_000_000;
    uint256 internal constant BORROW_CAP = 800_000;

    IPool internal pool;
    IConfigurator internal configurator;
    IDataProvider internal data;
    IAclManager internal acl;
    Coin internal ether_;
    Coin internal dollar;
    address internal alice = makeAddr("alice");
    address internal bob = makeAddr("bob");

    IPriceOracle internal oracle;

    address internal _provider;
    IConfigurator.InitReserveInput private _template;

    function setUp() public virtual override {
        super.setUp();
        _deployMarket();
        ether_ = _list("ETH", 2_000e8);
        dollar = _list("USD", 1e8);
        _fund(alice, dollar, 500_000e18);
        _fund(bob, ether_, 100e18);
        _supply(alice, dollar, 400_000e18);
        _supply(bob, ether_, 50e18);
    }

    // ---- what users do

    function _fund(address user, Coin coin, uint256 amount) internal {
        coin.mint(user, amount);
        vm.prank(user);
        coin.approve(address(pool), type(uint256).max);
    }

    function _supply(address user, Coin coin, uint256 amount) internal {
        vm.prank(user);
        pool.supply(address(coin), amount, user, 0);
    }

    function _withdraw(address user, Coin coin, uint256 amount) internal {
        vm.prank(user);
        pool.withdraw(address(coin), amount, user);
    }

    function _borrow(address user, Coin coin, uint256 amount) internal {
        vm.prank(user);
        pool.borrow(address(coin), amount, VARIABLE, 0, user);
    }

    function _repay(address user, Coin coin, uint256 amount) internal {
        vm.startPrank(user);
        coin.approve(address(pool), type(uint256).max);
        pool.repay(address(coin), amount, VARIABLE, user);
        vm.stopPrank();
    }

    // ---- the market

    /// A new source for an asset, as the market's own people may set it.
    function _setPrice(Coin coin, int256 price) internal {
        (address[] memory assets, address[] memory sources) =
            _source(address(coin), address(new FixedPrice(price)));
        oracle.setAssetSources(assets, sources);
    }

    function _source(address asset, address source)
        internal
        pure
        returns (address[] memory assets, address[] memory sources)
    {
        (assets, sources) = (new address[](1), new address[](1));
        (assets[0], sources[0]) = (asset, source);
    }

    function _list(string memory name, int256 price) internal returns (Coin coin) {
        coin = new Coin(name);
        _setPrice(coin, price);
        IConfigurator.InitReserveInput[] memory input = new IConfigurator.InitReserveInput[](1);
        input[0] = _template;
        input[0].underlyingAsset = address(coin);
        configurator.initReserves(input);
        configurator.configureReserveAsCollateral(address(coin), LTV, THRESHOLD, BONUS);
        configurator.setReserveBorrowing(address(coin), true);
        configurator.setSupplyCap(address(coin), SUPPLY_CAP);
        configurator.setBorrowCap(address(coin), BORROW_CAP);
    }

    function _deployMarket() private {
        _provider = _deployForeign("PoolAddressesProvider", abi.encode("market", address(this)));
        IAddressesProvider provider = IAddressesProvider(_provider);
        provider.setACLAdmin(address(this));
        acl = IAclManager(_deployForeign("ACLManager", abi.encode(_provider)));
        provider.setACLManager(address(acl));
        acl.addPoolAdmin(address(this));
        acl.addAssetListingAdmin(address(this));
        provider.setPoolImpl(_deployForeign("Pool", abi.encode(_provider)));
        pool = IPool(provider.getPool());
        provider.setPoolConfiguratorImpl(_deployForeign("PoolConfigurator", ""));
        configurator = IConfigurator(provider.getPoolConfigurator());
        oracle = IPriceOracle(
            _deployForeign(
                "AaveOracle",
                abi.encode(_provider, new address[](0), new address[](0), address(0), address(0), 1e8)
            )
        );
        provider.setPriceOracle(address(oracle));
        data = IDataProvider(_deployForeign("AaveProtocolDataProvider", abi.encode(_provider)));
        provider.setPoolDataProvider(address(data));
        _prepareTemplate();
    }

    function _prepareTemplate() private {
        _template.aTokenImpl = _deployForeign("AToken", abi.encode(pool));
        _template.stableDebtTokenImpl = _deployForeign("StableDebtToken", abi.encode(pool));
        _template.variableDebtTokenImpl = _deployForeign("VariableDebtToken", abi.encode(pool));
        _template.underlyingAssetDecimals = 18;
        _template.treasury = makeAddr("treasury");
        _template.interestRateStrategyAddress = _deployForeign(
            "DefaultReserveInterestRateStrategy",
            abi.encode(
                _provider, 8 * RAY / 10, 0, 4 * RAY / 100, 60 * RAY / 100, RAY / 100, RAY / 100, 0, 0, RAY / 5
            )
        );
    }
}
