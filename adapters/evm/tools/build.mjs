#!/usr/bin/env node
// Builds artifacts/<Contract>.json from contracts/*.sol and contracts/demo/*.sol with npm's solc: same sources, same bytes.
//
//   node tools/build.mjs           write the artifacts, remove those that no source makes any more
//   node tools/build.mjs --check   write nothing; exit 1 and name each artifact that differs from a rebuild
//
// The compiler settings are those of foundry.toml, so that what forge tests is what is shipped. No path of this machine
// reaches the compiler: it sees source names relative to this adapter, and the metadata hash depends on them.
import crypto from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HOME = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const ARTIFACTS = path.join(HOME, "artifacts");
const SOURCE_FOLDERS = ["contracts", "contracts/demo"];
const solc = createRequire(import.meta.url)("solc");

function compilerSettings() {
  const text = fs.readFileSync(path.join(HOME, "foundry.toml"), "utf8");
  const value = (key) => {
    const line = text.match(new RegExp(`^${key} = (.+)$`, "m"));
    if (!line) throw new Error(`foundry.toml: expected a line "${key} = …"`);
    return JSON.parse(line[1]);
  };
  return {
    evmVersion: value("evm_version"),
    optimizer: { enabled: value("optimizer"), runs: value("optimizer_runs") },
    viaIR: value("via_ir"),
  };
}

function ownSources() {
  const names = SOURCE_FOLDERS.flatMap((folder) => {
    const absolute = path.join(HOME, folder);
    if (!fs.existsSync(absolute)) return [];
    return fs
      .readdirSync(absolute)
      .filter((name) => name.endsWith(".sol"))
      .map((name) => `${folder}/${name}`);
  });
  if (names.length === 0) throw new Error(`no contract: expected *.sol in ${SOURCE_FOLDERS.join(" or ")}`);
  return names.sort();
}

/** The text of a source unit: our own file, or a package's (`@openzeppelin/…`) from node_modules. */
function readUnit(name) {
  const folder = name.startsWith("contracts/") ? HOME : path.join(HOME, "node_modules");
  return fs.readFileSync(path.join(folder, name), "utf8");
}

function importUnit(name) {
  try {
    return { contents: readUnit(name) };
  } catch (error) {
    return { error: `import not found: ${name} (${error.code})` };
  }
}

/** Errors anywhere, warnings in our own sources: what a library's authors are warned of is theirs to judge. */
function concernsUs(report) {
  return report.severity === "error" || (report.sourceLocation?.file ?? "contracts/").startsWith("contracts/");
}

function compile(names, settings) {
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(names.map((name) => [name, { content: readUnit(name) }])),
    settings: {
      ...settings,
      outputSelection: {
        "*": { "*": ["abi", "metadata", "evm.bytecode.object", "evm.deployedBytecode.object"] },
      },
    },
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: importUnit }));
  const reports = output.errors ?? [];
  for (const report of reports.filter(concernsUs)) process.stderr.write(`${report.formattedMessage}\n`);
  if (reports.some((report) => report.severity === "error")) throw new Error("compilation failed");
  return output.contracts;
}

function artifact(source, name, contract, settings) {
  const bytecode = contract.evm.bytecode.object;
  if (bytecode.includes("__$")) throw new Error(`${source}: ${name} needs a linked library; expected none`);
  const units = Object.keys(JSON.parse(contract.metadata).sources).sort();
  const digest = (unit) => crypto.createHash("sha256").update(readUnit(unit)).digest("hex");
  return {
    contractName: name,
    source,
    abi: contract.abi,
    bytecode: `0x${bytecode}`,
    deployedBytecode: `0x${contract.evm.deployedBytecode.object}`,
    compiler: { name: "solc", version: solc.version(), settings },
    sourcesSha256: Object.fromEntries(units.map((unit) => [unit, digest(unit)])),
  };
}

/** File name → text, for every contract of ours that can be deployed (interfaces and abstract contracts have no code). */
function build() {
  const settings = compilerSettings();
  const names = ownSources();
  const compiled = compile(names, settings);
  const files = new Map();
  for (const source of names) {
    for (const [name, contract] of Object.entries(compiled[source] ?? {}).sort()) {
      if (contract.evm.bytecode.object === "") continue;
      const file = `${name}.json`;
      if (files.has(file)) throw new Error(`${source}: a contract named ${name} stands in another file too`);
      files.set(file, `${JSON.stringify(artifact(source, name, contract, settings), null, 2)}\n`);
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
  for (const name of committed()) if (!files.has(name)) found.push(`${name}: no source makes it`);
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
    process.stdout.write(`${files.size} artifacts written\n`);
    return;
  }
  const found = differences(files);
  for (const line of found) process.stderr.write(`adapters/evm/artifacts/${line}\n`);
  if (found.length > 0) throw new Error("artifacts are out of date: run `make contracts` and commit the result");
  process.stdout.write(`${files.size} artifacts equal a rebuild\n`);
}

try {
  main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
