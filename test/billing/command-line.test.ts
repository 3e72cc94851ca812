import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { isFault, systemClock } from "#kernel";
import { BillingServiceService, claimToMessage } from "#proto";
import { openEmbeddedStore } from "#state";
import { exitCodeOf } from "../../cli/exit-code.ts";
import { printFault } from "../../cli/output.ts";
import { createProgram } from "../../cli/program.ts";
import { claimOf } from "../../router/billing/testing/open-books.ts";
import { CLUSTER_KEY, type RouterUnderTest, runRouter } from "../../router/testing/running-router.ts";

/** The money commands as they are typed, against a router, and against a store without one. */

const NOW = Date.now();
const TODAY = new Date(NOW).toISOString().slice(0, 10);
const MONTH = TODAY.slice(0, 7);

let folder: string;
let router: RouterUnderTest;
let acmeKey: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "deltaplane-billing-"));
  vi.stubEnv("DELTAPLANE_HOME", folder);
  router = await runRouter({});
  acmeKey = (await router.tenantKey("acme")).text;
  await router.tenantKey("rival");
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await router[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

/** What a command printed, and what it ended with. */
interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A process of its own, as a user starts it. */
async function deltaplane(...args: readonly string[]): Promise<Ended> {
  const main = join(import.meta.dirname, "../../cli/main.ts");
  const env = { ...process.env, DELTAPLANE_HOME: folder, NO_COLOR: "1" };
  const child = spawn(process.execPath, [main, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const exit = new Promise<number>((resolve) => child.once("exit", (code) => resolve(code ?? -1)));
  const [status, stdout, stderr] = await Promise.all([exit, text(child.stdout), text(child.stderr)]);
  return { status, stdout, stderr };
}

/** The same in this process, a second faster. */
async function command(...args: readonly string[]): Promise<Ended> {
  const printed = { stdout: "", stderr: "" };
  const spies = (["stdout", "stderr"] as const).map((stream) =>
    vi.spyOn(process[stream], "write").mockImplementation((piece) => {
      printed[stream] += piece;
      return true;
    }),
  );
  let status: number | undefined;
  try {
    await createProgram().parseAsync([...args], { from: "user" });
  } catch (error) {
    if (isFault(error)) printFault(error);
    status = exitCodeOf(error);
  }
  for (const spy of spies) spy.mockRestore();
  status ??= Number(process.exitCode ?? 0);
  process.exitCode = 0;
  return { status, ...printed };
}

/** Flags that lead to the router, as an operator unless a key is named. */
function to(key = router.adminKey): readonly string[] {
  const { grpcPort, adminPort } = router.router;
  return ["--server", `127.0.0.1:${grpcPort}`, "--admin-server", `127.0.0.1:${adminPort}`, "--key", key];
}

function asked(args: readonly string[], key?: string): Promise<Ended> {
  return command(...to(key), ...args);
}

describe("from prices to the invoice", () => {
  test("prices are set from a file and listed", async () => {
    const file = join(folder, "prices.json");
    const prices = { prompt: "0.15", cached_prompt: "0.075", completion: "0.60", training: "3" };
    await writeFile(file, JSON.stringify({ default_prices: prices, gpu_hour_usd: "2.50" }, null, 2));
    expect(await asked(["prices", "set", file])).toMatchObject({ status: 0, stderr: "" });
    const { stdout } = await asked(["prices", "ls", "-o", "json"]);
    expect(JSON.parse(stdout)).toMatchObject([
      { version: 1, plan: "standard", defaultPrices: { cachedPrompt: "0.075" }, gpuHourUsd: "2.50" },
    ]);
    await writeFile(file, JSON.stringify({ default_prices: { ...prices, prompt: "0.00001" }, gpu_hour_usd: "2.50" }, null, 2));
    const refused = await asked(["prices", "set", file]);
    expect([refused.status, refused.stdout]).toEqual([1, ""]);
    expect(refused.stderr).toContain("prices.json:3: default_prices.prompt");
  });

  test("usage and costs show tokens and dollars", async () => {
    const node = router.channel(CLUSTER_KEY);
    const claims = [
      claimOf("req_1", { at: NOW, usage: [1000, 400, 500] }),
      claimOf("req_2", { at: NOW, usage: [10, 0, 10], model: "demo-base" }),
      claimOf("req_3", { at: NOW, tenant: "rival" }),
    ];
    await node.unary(BillingServiceService.submitClaims, { claims: claims.map(claimToMessage) });
    const usage = await asked(["usage", "--by", "tenant,model,day", "--since", "1d"]);
    expect(usage.stdout.split("\n").map((line) => line.trim().split(/ {2,}/))).toEqual([
      ["TENANT", "MODEL", "DAY", "REQUESTS", "PROMPT TOKENS", "CACHED TOKENS", "COMPLETION TOKENS", "TRAINED TOKENS", "USD"],
      ["acme", "acme/bot", TODAY, "1", "1000", "400", "500", "0", "0.00042"],
      ["acme", "demo-base", TODAY, "1", "10", "0", "10", "0", "0.0000075"],
      ["rival", "rival/bot", TODAY, "1", "10", "4", "5", "0", "0.0000042"],
      [""],
    ]);
    const costs = await asked(["costs"], acmeKey);
    expect(costs.stdout).toMatch(/total +2 +1520 +0\.0004275\n$/);
    expect(costs.stdout).not.toContain("rival");
    expect(await asked(["usage", "--tenant", "rival"], acmeKey)).toMatchObject({ status: 4, stdout: "" });
  });

  test("a correction stands on the invoice", async () => {
    const correct = ["billing", "correct", "acme", "--amount", "-0.0001", "--reason", "slow answers", "--request", "req_1", "--id", "c-1"];
    expect(await asked(correct)).toMatchObject({ status: 0 });
    expect((await asked(correct)).stdout).toContain("c-1 posted as line");
    expect(await asked(correct, acmeKey)).toMatchObject({ status: 3 });
    const { stdout, stderr } = await asked(["invoice", "acme", MONTH], acmeKey);
    expect(stdout).toMatch(/acme\/bot +completion +1 +500 +0\.60 +0\.0003\n/);
    expect(stdout).toMatch(/c-1 +req_1 +slow answers +-0\.0001\n/);
    expect(stdout).toContain(`total of acme for ${MONTH}: $0.0003275\n`);
    expect(stderr).toContain("preliminary");
    expect(await asked(["invoice", "rival", MONTH], acmeKey)).toMatchObject({ status: 4 });
    expect(JSON.parse((await asked(["invoice", "acme", MONTH, "-o", "json"])).stdout)).toMatchObject({
      totalUsd: "0.0003275",
      preliminary: true,
    });
  });

  test("an export goes to stdout, or to a new file", async () => {
    const { stdout, stderr, status } = await deltaplane(...to(), "billing", "export", "--format", "csv", "--month", MONTH);
    expect(status).toBe(0);
    expect(stdout.split("\r\n").map((row) => row.split(",").slice(0, 2).join(" "))).toEqual([
      ...["type id", "request req_1", "request req_2", "correction c-1", "request req_3", ""],
    ]);
    expect(stderr).toContain("not closed");
    const file = join(folder, "events.jsonl");
    const write = ["billing", "export", "--format", "cloudevents", "--tenant", "rival", "--out", file];
    expect(await asked(write)).toMatchObject({ status: 0, stdout: "" });
    expect(await readFile(file, "utf8")).toContain('"subject":"rival"');
    expect(await asked(write)).toMatchObject({ status: 1 });
    expect(await asked(["billing", "export", "--format", "pdf"])).toMatchObject({ status: 2 });
  });

  test("revenue stands beside what renting would have cost", async () => {
    const { stdout } = await asked(["billing", "revenue", "--since", "1d"]);
    expect(stdout).toMatch(/demo-base +1535 +0\.0004317 +0\.00 +0\.00\n/);
    expect(stdout).toMatch(/acme +demo-base +1520 +0\.0004275 +0\.00 +2\.00 +5\.00\n/);
  });

  test("the recount is exact, through the router", async () => {
    const { status, stdout, stderr } = await asked(["billing", "verify"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^acme +5 +2 +2 +1 +0\.0003275 +0$/m);
    expect(stdout.endsWith("exact\n")).toBe(true);
    expect(await asked(["billing", "verify"], acmeKey)).toMatchObject({ status: 3 });
  });
});

test("the recount reads a store by itself, and exits 1 when a line was changed", async () => {
  const file = join(folder, "state.db");
  await copyBooks(file);
  const verify = ["billing", "verify", "--state", `file:${file}`, "-o", "json"];
  const exact = await deltaplane(...verify);
  expect([exact.status, exact.stderr]).toEqual([0, ""]);
  expect(JSON.parse(exact.stdout)).toMatchObject({
    exact: true,
    differences: [],
    books: [{ book: "acme", requests: 2 }, { book: "rival" }],
  });
  tamper(file);
  const changed = await deltaplane(...verify);
  expect(changed.status).toBe(1);
  expect(JSON.parse(changed.stdout)).toMatchObject({ exact: false });
  const table = await command("billing", "verify", "--state", `file:${file}`, "--book", "acme");
  expect(table).toMatchObject({ status: 1 });
  expect(table.stdout).toMatch(/^acme line 1: .*\n(.*\n)*NOT exact\n$/m);
});

test("a store that is not there is not exact", async () => {
  expect(await command("billing", "verify", "--state", `file:${join(folder, "nowhere.db")}`)).toMatchObject({ status: 4, stdout: "" });
});

/** The router's books and price lists, in a store of their own. */
async function copyBooks(file: string): Promise<void> {
  await using store = await openEmbeddedStore(file, { clock: systemClock });
  for (const { key, value } of await router.store.records.list("price/")) await store.records.putIf(key, value, undefined);
  for (const book of await router.store.journal.books()) {
    const lines = await router.store.journal.lines(book, 1, 1_000);
    const groups = await router.store.journal.groups(book);
    const counters = await router.store.journal.counters(book, groups);
    const flat = groups.flatMap((group, index) => [...counters[index]!].map(([name, amount]) => ({ group, name, amount })));
    await store.journal.commit([{ book, basedOn: 0, lines, values: new Map(), counters: flat, releases: [] }]);
  }
}

/** Makes a claim one token larger, as somebody with access to the disk could. */
function tamper(file: string): void {
  const database = new DatabaseSync(file);
  database.exec("DROP TRIGGER lines_stay");
  const change = `UPDATE lines SET text = replace(text, '"completionTokens":500', '"completionTokens":501') WHERE position = 1`;
  expect(Number(database.prepare(change).run().changes)).toBeGreaterThan(0);
  database.close();
}
