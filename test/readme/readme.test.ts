import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";

const ROOT = join(import.meta.dirname, "../..");
const README = readFileSync(join(ROOT, "README.md"), "utf8");

interface Example {
  readonly language: "sh" | "ts";
  readonly code: string;
}

/** The fenced blocks that say what they are written in. */
const EXAMPLES: readonly Example[] = [...README.matchAll(/^```(sh|ts)\n([\s\S]*?)^```$/gm)].map((match) => ({
  language: match[1] as Example["language"],
  code: match[2]!,
}));

/** What a block's last comment says that it prints. */
const EXPECTED = /^(?:# … "text":"|\/\/ )(?<text>[^"\n]+)/m;

let cluster: RunningCluster;
/** Looks like a checkout in which the cluster was started: the state is in `.deltaplane`, everything else is the project's. */
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "deltaplane-readme-"));
  mkdirSync(join(folder, ".deltaplane"));
  for (const name of ["node_modules", "package.json", "proto", "models", "cli"]) symlinkSync(join(ROOT, name), join(folder, name));
  cluster = await startCluster({ home: join(folder, ".deltaplane") });
});
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

function run({ language, code }: Example): string {
  const here = code.replaceAll("http://127.0.0.1:8080", cluster.http).replaceAll("127.0.0.1:50051", cluster.grpc);
  const file = join(folder, `example.${language}`);
  // As the reader's shell has it, but with this machine's ports; `npx` would resolve the same program.
  const shell = `set -eu\nnpx() { shift; "${process.execPath}" "${join(ROOT, "cli/main.ts")}" "$@"; }\n${here}`;
  writeFileSync(file, language === "sh" ? shell : here);
  const [command, ...args] = language === "sh" ? ["bash", file] : [process.execPath, file];
  const env = { ...process.env, DELTAPLANE_HOME: join(folder, ".deltaplane"), NO_COLOR: "1" };
  return execFileSync(command!, args, { cwd: folder, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
}

describe("every example of the README runs", () => {
  test("there are examples for HTTP, the openai package, gRPC and the command line", () => {
    for (const sign of ["curl ", "new OpenAI(", "InferenceService(", "npx deltaplane run"]) expect(README).toContain(sign);
    expect(EXAMPLES.length).toBeGreaterThanOrEqual(5);
  });

  for (const [index, example] of EXAMPLES.entries()) {
    test(`${index + 1}: ${example.code.trim().split("\n")[0]}`, () => {
      const printed = run(example);
      expect(printed.trim()).not.toBe("");
      const answer = EXPECTED.exec(example.code)?.groups?.["text"];
      if (answer !== undefined) expect(printed).toContain(answer);
    });
  }
});

test("a document that the README points at is there", () => {
  const links = [...README.matchAll(/\]\(([^)#]+)\)/g)].map((match) => match[1]!).filter((link) => !link.includes("://"));
  expect(links.length).toBeGreaterThan(3);
  for (const link of links) execFileSync("test", ["-e", join(ROOT, link)]);
});
