#!/usr/bin/env node
// Prints the path of the native `forge` or `anvil` binary of this platform, as npm installed it.
//
// npm's own wrapper is not used: it runs the binary as its child and leaves it behind when the wrapper is killed.
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

const MODULES = path.join(path.dirname(fileURLToPath(import.meta.url)), "..", "node_modules", "@foundry-rs");
const PROCESSORS = { x64: "amd64", arm64: "arm64" };

function main(tool) {
  if (tool !== "forge" && tool !== "anvil") {
    throw new Error(`unknown tool: expected forge or anvil, got ${tool ?? "nothing"}`);
  }
  const platform = `${process.platform}-${PROCESSORS[process.arch] ?? process.arch}`;
  const binary = path.join(MODULES, `${tool}-${platform}`, "bin", tool);
  if (fs.existsSync(binary)) return binary;
  const { version } = JSON.parse(fs.readFileSync(path.join(MODULES, tool, "package.json"), "utf8"));
  throw new Error(
    `missing ${tool} for ${platform}: the npm registry had none when package-lock.json was written. If it has one now:\n` +
      `  npm --prefix adapters/evm install --no-save --ignore-scripts @foundry-rs/${tool}-${platform}@${version}`,
  );
}

try {
  process.stdout.write(`${main(process.argv[2])}\n`);
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
