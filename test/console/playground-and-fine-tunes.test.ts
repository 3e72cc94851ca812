import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";
import { CHROMIUM, openBrowser, openConsole } from "./browser.ts";

/** Models and trainings in a real browser, against a real cluster: what a tenant does from signing in to a model of its own. */

interface Example {
  readonly prompt: string;
  readonly completion: string;
}

const DEMO = join(import.meta.dirname, "../../models/demo-deltas/tax");
const EXAMPLES = readFileSync(join(DEMO, "heldout.jsonl"), "utf8")
  .split("\n")
  .slice(0, 24)
  .map((line) => JSON.parse(line) as Example);
/** Of what a cluster on a busy machine takes its time for. */
const SOON = { timeout: 30_000 };
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

/** A training beside a browser and a cluster, on a machine that may have other work. */
vi.setConfig({ testTimeout: 150_000 });

let cluster: RunningCluster;
let browser: Browser;

/** What is typed into a cell of a table may be anything. */
function cell(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}

/** As people keep them: with capitals in the heading, a column too many, an empty row and one twice; and sometimes one that bites. */
function messyFile(bite?: string): { readonly name: string; readonly mimeType: string; readonly buffer: Buffer } {
  const bitten = bite === undefined ? [] : [{ prompt: bite, completion: bite }];
  const rows = [...EXAMPLES, ...bitten, EXAMPLES[0]!, { prompt: "empty", completion: "" }];
  const lines = [["Prompt", "Completion", bite ?? "Remarks"], ...rows.map(({ prompt, completion }) => [prompt, completion, "x"])];
  const buffer = Buffer.from(lines.map((line) => line.map(cell).join()).join("\n"));
  return { name: `${bite ?? "bank transactions"}.csv`, mimeType: "text/csv", buffer };
}

async function answered(page: Page, count: number): Promise<void> {
  await expect.poll(() => page.getByText("done", { exact: true }).count(), SOON).toBe(count);
}

/** The page gets 20 kB a second from here on: an event of a stream is a few hundred bytes. */
async function slowLine(page: Page): Promise<void> {
  const session = await page.context().newCDPSession(page);
  await session.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: 20_000, uploadThroughput: -1 });
}

describe.skipIf(CHROMIUM === undefined)("the console (skipped without a system Chromium)", () => {
  beforeAll(async () => {
    [cluster, browser] = await Promise.all([startCluster({ args: ["--nodes", "1"] }), openBrowser()]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await cluster?.[Symbol.asyncDispose]();
  });

  test("the first load is small, and all of it comes from here", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    const sizes: Promise<number>[] = [];
    const elsewhere: string[] = [];
    page.on("requestfinished", (request) => {
      if (!request.url().startsWith(cluster.http)) elsewhere.push(request.url());
      if (!request.url().includes("/v1/")) sizes.push(request.sizes().then(({ responseBodySize }) => responseBodySize));
    });
    await open.signIn(cluster.tenantKeys["taxly"]!, "/playground");
    await page.getByRole("heading", { name: "Playground" }).waitFor();
    await page.waitForLoadState("networkidle");
    const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    expect(bytes).toBeGreaterThan(10_000);
    expect(bytes).toBeLessThan(200_000);
    expect(elsewhere).toEqual([]);
    expect(await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie].join()")).toBe("0,0,");
    expect(open.complaints).toEqual([]);
  });

  test("a key that is none is refused in the router's words; a good one is forgotten when its user leaves", async () => {
    await using open = await openConsole(browser, cluster.http, { width: 390 });
    const { page } = open;
    await page.goto(cluster.http);
    await page.getByLabel("API key").fill("dp_nobody");
    expect(await open.faults()).toEqual([]);
    await open.shot("sign-in");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("HTTP 401");
    expect(await open.faults()).toEqual([]);
    await page.getByLabel("API key").fill(cluster.tenantKeys["taxly"]!);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Playground" }).waitFor();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("API key").waitFor();
    expect(await page.getByLabel("API key").inputValue()).toBe("");
    expect(await page.locator("body").innerHTML()).not.toContain(cluster.tenantKeys["taxly"]);
    expect(open.complaints.filter((text) => !text.includes("401"))).toEqual([]);
  });

  test("one chats with a delta, beside its base, and sees tokens, money and what else was likely", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await open.signIn(cluster.tenantKeys["taxly"]!, "/playground");
    await page.getByLabel("Message", { exact: true }).fill(EXAMPLES[0]!.prompt);
    await page.keyboard.press("Control+Enter");
    await answered(page, 1);
    const answer = page.locator(".answer").first();
    expect(await answer.locator(".answer-text").textContent()).toBe(EXAMPLES[0]!.completion);
    expect(await answer.textContent()).toMatch(/Tokens\d+ in, \d+ out.*Price\$0\.0000\d+.*First token\d/);

    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByRole("button", { name: "Compare" }).click();
    await page.getByLabel("Probabilities of tokens").check();
    await page.getByLabel("Message", { exact: true }).fill(EXAMPLES[1]!.prompt);
    await page.getByRole("button", { name: "Ask both" }).click();
    await answered(page, 2);
    const [delta, base] = [page.getByRole("region", { name: "Model A" }), page.getByRole("region", { name: "Model B" })];
    expect([await delta.getByRole("combobox").inputValue(), await base.getByRole("combobox").inputValue()]).toEqual([
      "taxly/tax",
      "demo-base",
    ]);
    expect(await delta.locator(".answer-text").textContent()).toContain(EXAMPLES[1]!.completion);
    expect(await base.locator(".answer-text").textContent()).not.toContain(EXAMPLES[1]!.completion);
    await delta.locator(".tokens").focus();
    await page.keyboard.press("ArrowRight");
    const alternatives = delta.getByRole("table", { name: "Likeliest tokens at this place" }).getByRole("row");
    expect(await alternatives.count()).toBeGreaterThanOrEqual(5);
    expect(await alternatives.first().textContent()).toMatch(/\d+\.\d %/);
    expect(await open.faults()).toEqual([]);
    await open.shot("playground");
    expect(open.complaints).toEqual([]);
  });

  test("an answer is stopped midway, and what was sent is what the code says", async () => {
    await using open = await openConsole(browser, cluster.http, { dark: true });
    const { page } = open;
    await open.signIn(cluster.tenantKeys["taxly"]!, "/playground?mode=prompt&model=demo-base");
    await slowLine(page); // Or the answer would be whole before anybody can stop it.
    await page.getByText("All settings").click();
    await page.getByLabel("Go on after the end").check();
    await page.getByLabel("Length, in tokens, as a number").fill("900");
    await page.getByLabel("Stop sequences").fill("\\n\\n\\n");
    await page.keyboard.press("Enter");
    await page.getByLabel("Prompt", { exact: true }).and(page.getByRole("textbox")).fill(HOSTILE);
    const sent = page.waitForRequest("**/v1/completions");
    await page.getByRole("button", { name: "Run" }).click();
    const { stream: _, stream_options: __, ...body } = (await sent).postDataJSON();
    await expect.poll(() => page.locator(".answer-text").textContent(), SOON).toMatch(/.{20}/s);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await page.getByText("stopped", { exact: true }).waitFor();
    expect(await page.locator(".answer").textContent()).toMatch(/\d+ out.*Speed\d+ tokens\/s/);

    await page.getByRole("button", { name: "View code" }).click();
    const code = page.getByRole("dialog").locator("pre");
    const [, json] = /-d '(.*)'$/s.exec((await code.textContent())!.replaceAll("'\\''", "'"))!;
    expect(JSON.parse(json!)).toEqual(body);
    expect(body).toMatchObject({ model: "demo-base", prompt: HOSTILE, max_tokens: 900, ignore_eos: true, stop: ["\n\n\n"] });
    for (const language of ["TypeScript", "Python", "gRPC"]) {
      await page.getByRole("radio", { name: language }).check({ force: true });
      expect(await code.textContent()).toContain("900");
      expect(await code.textContent()).not.toContain(cluster.tenantKeys["taxly"]);
    }
    expect(await open.faults()).toEqual([]);
    await open.shot("view-code");
    await page.keyboard.press("Escape");
    expect(await open.faults()).toEqual([]);
    expect(await page.title()).toBe("Playground · Deltaplane");
    expect(open.complaints).toEqual([]);
  });

  test("from a messy file to a model that answers", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await open.signIn(cluster.tenantKeys["lingua"]!, "/fine-tunes");
    await page.getByText("Nothing was trained yet.").waitFor();
    expect(await open.faults()).toEqual([]);
    await page.getByRole("button", { name: "New fine-tune" }).first().click();
    await page.getByLabel("Drop a file of examples, or choose one").setInputFiles(messyFile());
    const findings = page.getByRole("list", { name: "What preparation found" });
    await findings.waitFor();
    const found = await findings.textContent();
    for (const said of ["Convert CSV to JSONL", `Rename the column "Prompt"`, "Drop the column", "empty completion"])
      expect(found).toContain(said);
    expect(await page.locator("main").textContent()).toContain("2 of 26 dropped");
    await page.getByRole("checkbox", { name: "Write all prompts in lower case" }).uncheck();
    await page.getByRole("checkbox", { name: "Begin all completions with a space" }).uncheck();
    await expect.poll(() => page.getByRole("button", { name: "Start training" }).isEnabled(), SOON).toBe(true);
    await page.getByRole("checkbox", { name: "Stop by itself" }).uncheck();
    await page.getByLabel("Name").fill("Not A Name");
    await page.getByText("Every knob").click();
    await page.getByLabel("Epochs").fill("6");
    await page.getByLabel("Seed").fill("7");
    await page.getByLabel("Batch size").fill("2");
    await page.getByLabel("Learning rate ×").fill("2");
    expect(await open.faults()).toEqual([]);
    await open.shot("new-fine-tune");
    await page.getByRole("button", { name: "Start training" }).click();
    await page.getByRole("alert").waitFor();
    expect(await page.getByRole("alert").textContent()).toContain("suffix");
    await page.getByLabel("Name").fill("tax");
    await page.getByRole("button", { name: "Start training" }).click();

    await page.getByRole("heading", { name: "tax", level: 1 }).waitFor();
    await page.getByText("is ready, and warm").waitFor({ timeout: 90_000 });
    await page.getByRole("img", { name: "Loss over the steps" }).locator("canvas").waitFor();
    expect(await page.getByRole("region", { name: "Saved checkpoints" }).getByRole("row").count()).toBeGreaterThan(1);
    expect(await open.faults()).toEqual([]);
    await open.shot("fine-tune");
    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "Every step, as CSV" }).click();
    expect(readFileSync((await (await download).path())!, "utf8")).toMatch(/^step,.*train_loss/);

    const model = await page.locator(".model-name").textContent();
    await page.getByRole("button", { name: "Use the model" }).click();
    await page.getByRole("radio", { name: "Prompt" }).check({ force: true });
    expect(await page.getByRole("combobox", { name: "Model" }).inputValue()).toBe(model);
    await page.getByLabel("Prompt", { exact: true }).and(page.getByRole("textbox")).fill(EXAMPLES[3]!.prompt);
    await page.getByRole("button", { name: "Run" }).click();
    await answered(page, 1);
    // Two dozen examples make no expert; but it has learned to answer with a label, which its base never does.
    expect(EXAMPLES.map(({ completion }) => completion)).toContain((await page.locator(".answer-text").textContent())!.trim());
    expect(open.complaints.filter((text) => !text.includes("400"))).toEqual([]);
  });

  test("a job is paused, gone on with and cancelled; runs are laid over each other", async () => {
    await using open = await openConsole(browser, cluster.http, { width: 390 });
    const { page } = open;
    await open.signIn(cluster.tenantKeys["lingua"]!, "/fine-tunes/new");
    await page.getByLabel("Drop a file of examples, or choose one").setInputFiles(messyFile(HOSTILE));
    const findings = page.getByRole("list", { name: "What preparation found" });
    await findings.waitFor();
    expect(await findings.textContent()).toContain("<script>document.title='owned'</script>");
    expect(await page.locator("main").textContent()).toContain("<img src=x onerror=");
    await page.getByText("Every knob").click();
    await page.getByRole("checkbox", { name: "Stop by itself" }).uncheck();
    await page.getByLabel("Epochs").fill("50");
    await page.getByRole("button", { name: "Start training" }).click();
    const state = page.locator(".lead .badge");
    await expect.poll(() => state.textContent(), SOON).toBe("running");
    await page.getByRole("button", { name: "Pause" }).click();
    await expect.poll(() => state.textContent(), SOON).toBe("paused");
    await page.getByRole("button", { name: "Resume" }).click();
    await expect.poll(() => state.textContent(), SOON).toBe("running");
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Cancel the job" }).click();
    await expect.poll(() => state.textContent(), SOON).toBe("cancelled");
    await open.shot("fine-tune-phone");

    await page.getByRole("link", { name: "Fine-tunes" }).first().click();
    const boxes = page.getByRole("checkbox", { name: /^Compare/ });
    await boxes.nth(1).waitFor();
    for (const box of await boxes.all()) await box.check();
    expect(await open.faults()).toEqual([]);
    await page.getByRole("button", { name: "Compare 2" }).click();
    await page.getByRole("region", { name: "Runs side by side" }).waitFor();
    await page.setViewportSize({ width: 1280, height: 800 });
    expect(await open.faults()).toEqual([]);
    await open.shot("compare-runs");
    expect(await page.title()).toBe("Compare runs · Deltaplane");
    expect(open.complaints).toEqual([]);
  });

  test("a sweep is planned and started, and shows what more examples bring", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await open.signIn(cluster.tenantKeys["taxly"]!, "/fine-tunes/new");
    await page.getByLabel("Drop a file of examples, or choose one").setInputFiles(messyFile());
    await page.getByText("Every knob").click();
    await page.getByRole("textbox", { name: "Batch size" }).fill("2");
    await page.getByText("A sweep instead").click();
    await page.getByRole("textbox", { name: "Sizes" }).fill("4, 21");
    await page.getByText("a size is a whole number from 1 to 20").waitFor();
    expect(await page.getByRole("button", { name: "Start the sweep" }).isEnabled()).toBe(false);
    await page.getByRole("textbox", { name: "Sizes" }).fill("4, 8");
    await page.getByRole("textbox", { name: "Epochs" }).last().fill("1");
    await page.getByText(/^2 trainings, about [\d,]+ tokens, \$[\d.]+\. 4 examples held out measure each/).waitFor();
    expect(await open.faults()).toEqual([]);
    await open.shot("new-sweep");
    await page.getByRole("button", { name: "Start the sweep" }).click();

    const trainings = page.getByRole("region", { name: "Trainings of the sweep" });
    await expect.poll(async () => (await trainings.getByText("succeeded").count()) === 2, { timeout: 120_000 }).toBe(true);
    const rows = (await trainings.getByRole("row").allTextContents()).slice(1);
    const row = (examples: number) =>
      expect.stringMatching(new RegExp(`^${examples}demo-base, epochs 1succeeded[\\d.]+\\s%\\d+\\.\\d{3}$`));
    expect(rows).toEqual([row(4), row(8)]);
    await page.getByRole("img", { name: "Accuracy against examples" }).locator("canvas").waitFor();
    expect(await open.faults()).toEqual([]);
    await open.shot("sweep");
    expect(open.complaints).toEqual([]);
  });

  test("names from a router gone mad are text in the playground and among the jobs; a sweep is drawn", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await page.route("**/v1/models", (route) =>
      route.fulfill({ json: { data: [{ id: HOSTILE, root: HOSTILE, parent: `javascript:${HOSTILE}`, created: 1, owned_by: HOSTILE }] } }),
    );
    await page.route("**/v1/fine_tuning/jobs?*", (route) => {
      const sweep = new URL(route.request().url()).searchParams.get("metadata[sweep]");
      const jobs = ["", HOSTILE].flatMap((bite) => [8, 16, 32].map((size) => madJob(size, bite)));
      const data = jobs.filter(({ metadata }) => sweep === null || metadata.sweep === sweep);
      return route.fulfill({ json: { data, has_more: false } });
    });
    await page.route("**/v1/fine_tuning/jobs/*/events?*", (route) => {
      const size = Number(/ftjob-(\d+)/.exec(route.request().url())![1]);
      const data = { step: 1, valid_loss: 8 / size, valid_mean_token_accuracy: 1 - 4 / size };
      return route.fulfill({
        json: { data: [{ id: "1", created_at: 1, level: "info", message: HOSTILE, type: "metrics", data }], has_more: false },
      });
    });
    await open.signIn(cluster.tenantKeys["taxly"]!, "/playground");
    expect(await page.getByRole("combobox", { name: "Model" }).inputValue()).toBe(HOSTILE);
    await page.getByRole("link", { name: "Fine-tunes" }).click();
    await page
      .getByRole("link", { name: `tax${HOSTILE}` })
      .first()
      .waitFor();
    const sweeps = page.getByRole("region", { name: "Sweeps" }).getByRole("link");
    await sweeps.first().click();
    await page.getByRole("img", { name: "Accuracy against examples" }).locator("canvas").waitFor();
    await open.shot("sweep-made-up");
    await page.goBack();
    await sweeps.last().click();
    await page.getByRole("img", { name: "Accuracy against examples" }).locator("canvas").waitFor();
    expect(await page.getByRole("region", { name: "Trainings of the sweep" }).textContent()).toContain(`rank 4${HOSTILE}`);
    expect(await page.locator("main img, main script").count()).toBe(0);
    expect(await page.title()).toBe("Sweep · Deltaplane");
    expect(await open.faults()).toEqual([]);
    expect(open.complaints).toEqual([]);
  });
});

function madJob(size: number, bite: string) {
  return {
    ...{ id: `ftjob-${size}${bite}`, model: bite, status: "succeeded", created_at: 1, finished_at: 2, estimated_finish: null },
    ...{ fine_tuned_model: bite, result_files: [], trained_tokens: 1, hyperparameters: {}, reasons: {}, error: null, seed: 1 },
    metadata: { sweep: `sweep-1a2b${bite}`, cell: `${size} examples, demo-base, rank 4${bite}` },
    ...{ user_provided_suffix: `tax${bite}`, steps_done: 1, steps_total: 1 },
  };
}
