#!/usr/bin/env node
// Builds artifacts/<Contract>.json: foreign contracts that another compiler than ours makes, from the packages that
// their authors publish, with the settings that they published.
//
//   node build.mjs           write the artifacts, remove those that no project here makes any more
//   node build.mjs --check   write nothing; exit 1 and name each artifact that differs from a rebuild
//
// Each creation code is also compared with the one in the author's own package: what the tests run is what was released.
// No source of theirs is committed; the packages and compilers are in this folder's own node_modules.
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HOME = path.dirname(fileURLToPath(import.meta.url));
const ARTIFACTS = path.join(HOME, "artifacts");
const PACKAGES = path.join(HOME, "node_modules");
const ADDRESS_BYTES = 20;
const load = createRequire(import.meta.url);

// `folders`: where a source unit's name begins → where it lies; the longest beginning wins.
// `published`: the author's own artifact of a contract, below the package.
const PROJECTS = [
  {
    package: "@aave/core-v3",
    licence: "MIT (BUSL-1.1 until the change date, 27 January 2023); libraries MIT, AGPL-3.0",
    compiler: "solc-0810",
    settings: {
      optimizer: { enabled: true, runs: 100000 },
      evmVersion: "london",
      metadata: { useLiteralContent: true },
    },
    folders: { "": "@aave/core-v3" },
    published: (source, name) => `artifacts/${source}/${name}.json`,
    contracts: [
      "contracts/protocol/configuration/PoolAddressesProvider.sol",
      "contracts/protocol/configuration/ACLManager.sol",
      "contracts/protocol/configuration/PriceOracleSentinel.sol",
      "contracts/protocol/pool/Pool.sol",
      "contracts/protocol/pool/PoolConfigurator.sol",
      "contracts/protocol/pool/DefaultReserveInterestRateStrategy.sol",
      "contracts/protocol/libraries/logic/BorrowLogic.sol",
      "contracts/protocol/libraries/logic/BridgeLogic.sol",
      "contracts/protocol/libraries/logic/ConfiguratorLogic.sol",
      "contracts/protocol/libraries/logic/EModeLogic.sol",
      "contracts/protocol/libraries/logic/FlashLoanLogic.sol",
      "contracts/protocol/libraries/logic/LiquidationLogic.sol",
      "contracts/protocol/libraries/logic/PoolLogic.sol",
      "contracts/protocol/libraries/logic/SupplyLogic.sol",
      "contracts/protocol/tokenization/AToken.sol",
      "contracts/protocol/tokenization/StableDebtToken.sol",
      "contracts/protocol/tokenization/VariableDebtToken.sol",
      "contracts/misc/AaveOracle.sol",
      "contracts/misc/AaveProtocolDataProvider.sol",
    ],
  },
  {
    package: "@safe-global/safe-contracts",
    licence: "LGPL-3.0",
    compiler: "solc-0706",
    settings: { optimizer: { enabled: false, runs: 200 }, metadata: { useLiteralContent: true } },
    folders: { "": "@safe-global/safe-contracts" },
    published: (source, name) => `build/artifacts/${source}/${name}.json`,
    contracts: [
      "contracts/Safe.sol",
      "contracts/proxies/SafeProxyFactory.sol",
      "contracts/libraries/MultiSendCallOnly.sol",
    ],
  },
  {
    package: "@eth-optimism/contracts-bedrock",
    licence: "MIT",
    compiler: "solc-0815",
    settings: {
      optimizer: { enabled: true, runs: 999999 },
      evmVersion: "london",
      metadata: { bytecodeHash: "none" },
      remappings: ["@openzeppelin/contracts/=lib/openzeppelin-contracts/contracts/"],
    },
    folders: {
      "": "@eth-optimism/contracts-bedrock",
      "lib/openzeppelin-contracts/contracts/": "openzeppelin-contracts-473",
    },
    published: (source, name) => `forge-artifacts/${path.basename(source)}/${name}.json`,
    contracts: ["src/L1/SuperchainConfig.sol"],
  },
  {
    package: "@venusprotocol/venus-protocol",
    licence: "BSD-3-Clause",
    compiler: "solc-0516",
    settings: { optimizer: { enabled: true, runs: 200 }, metadata: { useLiteralContent: true } },
    folders: { "": "@venusprotocol/venus-protocol" },
    published: (source, name) => `artifacts/${source}/${name}.json`,
    contracts: ["contracts/Comptroller/Comptroller.sol", "contracts/Comptroller/Unitroller.sol"],
  },
];

function reader(folders) {
  const beginnings = Object.keys(folders).sort((a, b) => b.length - a.length);
  return (unit) => {
    const beginning = beginnings.find((start) => unit.startsWith(start));
    const file = path.join(PACKAGES, folders[beginning], unit.slice(beginning.length));
    return fs.readFileSync(file, "utf8");
  };
}

/** What the compiler asks for imports: a function until 0.5, an object since 0.6. */
function importer(read, compiler) {
  const find = (unit) => {
    try {
      return { contents: read(unit) };
    } catch (error) {
      return { error: `import not found: ${unit} (${error.code})` };
    }
  };
  return compiler.version().startsWith("0.5.") ? find : { import: find };
}

function compile(project, compiler, read) {
  const wanted = ["metadata", "evm.bytecode.object", "evm.bytecode.linkReferences"];
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(project.contracts.map((source) => [source, { content: read(source) }])),
    settings: { ...project.settings, outputSelection: { "*": { "*": wanted } } },
  };
  const output = JSON.parse(compiler.compile(JSON.stringify(input), importer(read, compiler)));
  const errors = (output.errors ?? []).filter((report) => report.severity === "error");
  for (const report of errors) process.stderr.write(`${report.formattedMessage}\n`);
  if (errors.length > 0) throw new Error(`${project.package}: compilation failed`);
  return output.contracts;
}

/** Where a library's address goes: byte offsets into the creation code, in which zeros stand there. */
function links(references) {
  return Object.values(references)
    .flatMap((byName) => Object.entries(byName))
    .flatMap(([library, places]) => places.map(({ start }) => ({ library, offset: start })))
    .sort((a, b) => a.offset - b.offset);
}

function unlinked(bytecode) {
  return `0x${bytecode.replace(/^0x/, "").replaceAll(/__\$[0-9a-f]{34}\$__/g, "00".repeat(ADDRESS_BYTES))}`;
}

/** The author's own build: hardhat keeps the code as a string, forge as an object. */
function published(project, source, name) {
  const file = path.join(PACKAGES, project.package, project.published(source, name));
  const { bytecode } = JSON.parse(fs.readFileSync(file, "utf8"));
  return unlinked(bytecode.object ?? bytecode);
}

function artifact(project, source, name, contract, compiler, read) {
  const { version } = JSON.parse(fs.readFileSync(path.join(PACKAGES, project.package, "package.json"), "utf8"));
  const units = Object.keys(JSON.parse(contract.metadata).sources).sort();
  const digest = (unit) => crypto.createHash("sha256").update(read(unit)).digest("hex");
  const bytecode = unlinked(contract.evm.bytecode.object);
  if (bytecode !== published(project, source, name)) {
    throw new Error(`${project.package}: ${name} differs from the build that the package brings`);
  }
  const made = links(contract.evm.bytecode.linkReferences);
  return {
    contractName: name,
    source: `${project.package}/${source}`,
    package: `${project.package}@${version}`,
    licence: project.licence,
    compiler: { name: "solc", version: compiler.version(), settings: project.settings },
    sourcesSha256: Object.fromEntries(units.map((unit) => [unit, digest(unit)])),
    libraries: made.map(({ library }) => library),
    offsets: made.map(({ offset }) => offset),
    bytecode,
  };
}

/** File name → text. */
function build() {
  const files = new Map();
  for (const project of PROJECTS) {
    const compiler = load(project.compiler);
    const read = reader(project.folders);
    const compiled = compile(project, compiler, read);
    for (const source of project.contracts) {
      const name = path.basename(source, ".sol");
      const made = artifact(project, source, name, compiled[source][name], compiler, read);
      files.set(`${name}.json`, `${JSON.stringify(made, null, 2)}\n`);
    }
  }
  return files;
}

function committed() {
  if (!fs.existsSync(ARTIFACTS)) return [];
  return fs.readdirSync(ARTIFACTS).filter((name) => name.endsWith(".json"));
}

function differences(files) {
  const found = [];
  for (const [name, text] of files) {
    const file = path.join(ARTIFACTS, name);
    if (!fs.existsSync(file)) found.push(`${name}: not committed`);
    else if (fs.readFileSync(file, "utf8") !== text) found.push(`${name}: differs from a rebuild`);
  }
  for (const name of committed()) if (!files.has(name)) found.push(`${name}: no project makes it`);
  return found;
}

function write(files) {
  fs.mkdirSync(ARTIFACTS, { recursive: true });
  for (const name of committed()) if (!files.has(name)) fs.unlinkSync(path.join(ARTIFACTS, name));
  for (const [name, text] of files) fs.writeFileSync(path.join(ARTIFACTS, name), text);
}

function main(options) {
  const files = build();
  if (!options.includes("--check")) {
    write(files);
    process.stdout.write(`${files.size} foreign artifacts written\n`);
    return;
  }
  const found = differences(files);
  for (const line of found) process.stderr.write(`adapters/evm/third_party/artifacts/${line}\n`);
  if (found.length > 0) throw new Error("foreign artifacts are out of date: run `make contracts` and commit them");
  process.stdout.write(`${files.size} foreign artifacts equal a rebuild and their authors' builds\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
