#!/usr/bin/env node
// Prints the path of the native `forge` or `anvil`: npm's binary for this platform, else the same version from PATH.
//
// The platform packages are named directly, without npm's wrapper package: the wrapper runs the binary as its child and
// leaves it behind when it is killed, and it wants packages for platforms that the registry does not have (linux-arm64).
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const HOME = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");
const PROCESSORS = { x64: "amd64", arm64: "arm64" };

function lockedVersion(tool) {
  const { optionalDependencies } = JSON.parse(fs.readFileSync(path.join(HOME, "package.json"), "utf8"));
  const [, version] = Object.entries(optionalDependencies).find(([name]) => name.startsWith(`@foundry-rs/${tool}-`));
  return version;
}

function onPath(tool, version) {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    const file = path.join(folder, tool);
    if (folder === "" || !fs.existsSync(file)) continue;
    const { stdout } = spawnSync(file, ["--version"], { encoding: "utf8" });
    if (stdout?.includes(version)) return file;
  }
  return undefined;
}

function main(tool) {
  if (tool !== "forge" && tool !== "anvil") {
    throw new Error(`unknown tool: expected forge or anvil, got ${tool ?? "nothing"}`);
  }
  const platform = `${process.platform}-${PROCESSORS[process.arch] ?? process.arch}`;
  const packaged = path.join(HOME, "node_modules", "@foundry-rs", `${tool}-${platform}`, "bin", tool);
  if (fs.existsSync(packaged)) return packaged;
  const version = lockedVersion(tool);
  const found = onPath(tool, version);
  if (found) return found;
  throw new Error(
    `missing: ${tool} ${version} for ${platform}, neither from npm nor in PATH\n` +
      `    foundryup --install ${version}        (npm's registry has no package for every platform)`,
  );
}

try {
  process.stdout.write(`${main(process.argv[2])}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
