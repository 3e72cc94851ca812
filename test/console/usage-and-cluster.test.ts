import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemClock } from "#kernel";
import { AdminServiceService, BillingServiceService, BudgetPeriod, UpdateTenantRequest } from "#proto";
import { type RunningCluster, startCluster } from "../cluster/running-cluster.ts";
import { CHROMIUM, openBrowser, openConsole } from "./browser.ts";

/** Bills and the cluster in a real browser, against a real cluster: what a tenant sees, and what an operator does. */

const DEMO = join(import.meta.dirname, "../../models/demo-deltas/tax");
const MONTH = new Date().toISOString().slice(0, 7);
const HOSTILE = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

let cluster: RunningCluster;
let browser: Browser;
/** The model that the fine-tune made. */
let tuned: string;

describe.skipIf(CHROMIUM === undefined)("the console (skipped without a system Chromium)", () => {
  beforeAll(async () => {
    [cluster, browser] = await Promise.all([startCluster({ args: ["--nodes", "2", "--threads", "1"] }), openBrowser()]);
    await using admin = cluster.adminChannel();
    const budget = { usd: "0.5", period: BudgetPeriod.BUDGET_PERIOD_MONTH };
    await admin.unary(AdminServiceService.updateTenant, { ...UpdateTenantRequest.create(), id: "shopkit", budget });
    tuned = await fineTune(cluster.tenantKeys["shopkit"]!);
    await complete(cluster.tenantKeys["shopkit"]!, tuned);
    await complete(cluster.tenantKeys["taxly"]!, "taxly/tax");
    await using operator = cluster.channel(cluster.adminKey);
    const correction = { id: "ticket-17", tenantId: "shopkit", requestId: "", amountUsd: "-0.0000125", reason: HOSTILE };
    await operator.unary(BillingServiceService.postCorrection, correction);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await cluster?.[Symbol.asyncDispose]();
  });

  async function api(key: string, path: string, body?: string | FormData, headers: Readonly<Record<string, string>> = {}) {
    const answer = await fetch(cluster.http + path, {
      headers: { authorization: `Bearer ${key}`, ...headers },
      ...(body !== undefined && { method: "POST", body }),
    });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    // biome-ignore lint/suspicious/noExplicitAny: whatever the route answers
    return (await answer.json()) as any;
  }

  const JSON_BODY = { "content-type": "application/json" };

  /** A few examples, once: enough to be billed. */
  async function fineTune(key: string): Promise<string> {
    const examples = readFileSync(join(DEMO, "train-sample.jsonl"), "utf8").split("\n").slice(0, 24).join("\n");
    const form = new FormData();
    form.set("purpose", "fine-tune");
    form.set("file", new Blob([examples]), "tax.jsonl");
    const { id: training_file } = await api(key, "/v1/files", form);
    const method = { type: "supervised", supervised: { hyperparameters: { n_epochs: 1 } } };
    const wish = JSON.stringify({ model: "demo-base", training_file, suffix: "tax", seed: 7, method });
    let job = await api(key, "/v1/fine_tuning/jobs", wish, JSON_BODY);
    while (!["succeeded", "failed", "cancelled"].includes(job.status)) {
      await systemClock.after(200);
      job = await api(key, `/v1/fine_tuning/jobs/${job.id}`);
    }
    expect(job).toMatchObject({ status: "succeeded", error: null });
    return job.fine_tuned_model as string;
  }

  async function complete(key: string, model: string): Promise<void> {
    await api(
      key,
      "/v1/completions",
      JSON.stringify({ model, prompt: "2025-09-22 PAPETERIA", max_tokens: 16, ignore_eos: true }),
      JSON_BODY,
    );
    // Its claim is in the ledger when the money is.
    const charged = async () => {
      const { data } = await api(key, "/v1/usage?by=model");
      return data.some((row: { model: string; completion_tokens: number }) => row.model === model && row.completion_tokens > 0);
    };
    while (!(await charged())) await systemClock.after(100);
  }

  /** Some texts at once, long enough to be seen. */
  async function keepBusy(key: string, model: string): Promise<void> {
    const wish = JSON.stringify({ model, prompt: "2025-09-22", max_tokens: 300, n: 4, ignore_eos: true });
    await api(key, "/v1/completions", wish, JSON_BODY);
  }

  test("a tenant reads the bill for its fine-tune and its calls, and takes it away as a file", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await open.signIn(cluster.tenantKeys["shopkit"]!, "/usage");
    await page.getByRole("heading", { name: "Usage and bills" }).waitFor();
    await expect.poll(() => page.getByRole("region", { name: "Budget" }).textContent()).toContain("$0.50");

    const { data } = await api(cluster.tenantKeys["shopkit"]!, "/v1/usage?by=model");
    const row = page.getByRole("region", { name: "Usage by model" }).getByRole("row").filter({ hasText: tuned });
    const used = data.find((each: { model: string }) => each.model === tuned);
    await expect.poll(() => row.textContent()).toContain(`$${used.amount_usd}`);
    expect(data.some((each: { trained_tokens: number }) => each.trained_tokens > 0)).toBe(true);
    expect(await open.faults()).toEqual([]);
    await open.shot("usage");

    await page.getByLabel("by key").check({ force: true });
    await page.getByRole("region", { name: "Usage by key" }).waitFor();
    await page.getByLabel("Tokens", { exact: true }).check({ force: true });
    await page.getByRole("img", { name: /Tokens by day/ }).waitFor();

    await page.getByLabel("Invoice and exports").check({ force: true });
    const invoice = await api(cluster.tenantKeys["shopkit"]!, `/v1/invoices/${MONTH}`);
    const lines = page.getByRole("region", { name: "Lines of the invoice" });
    await lines.waitFor();
    const shown = await lines.textContent();
    for (const line of invoice.lines) expect(shown).toContain(`$${line.amount_usd}`);
    expect(invoice.lines.map((line: { kind: string }) => line.kind)).toEqual(expect.arrayContaining(["training", "prompt", "completion"]));
    expect(await page.getByRole("region", { name: "Invoice", exact: true }).textContent()).toContain(`$${invoice.total_usd}`);
    expect(await page.getByRole("region", { name: "Corrections" }).textContent()).toContain(HOSTILE);
    expect(await page.title()).not.toContain("owned");
    expect(await open.faults()).toEqual([]);
    await open.shot("invoice");

    const download = page.waitForEvent("download");
    await page.getByRole("button", { name: "CSV" }).click();
    const file = await download;
    expect(file.suggestedFilename()).toMatch(/^shopkit-.*-csv\.csv$/);
    expect(readFileSync((await file.path())!, "utf8")).toContain("ticket-17");
    expect(open.complaints).toEqual([]);
  });

  test("a tenant is not shown what operators have, and is refused it when it knows the address", async () => {
    await using open = await openConsole(browser, cluster.http, { width: 360, dark: true });
    await open.signIn(cluster.tenantKeys["taxly"]!, "/cluster");
    await open.page.getByText("There is nothing here for this key.").waitFor();
    expect(await open.page.getByRole("link", { name: "Cluster" }).count()).toBe(0);
    await open.page.goto(`${cluster.http}/#/usage/usage?tenant=shopkit`);
    await open.page.getByRole("region", { name: "Usage by model" }).waitFor();
    expect(await open.page.locator("body").textContent()).not.toContain("shopkit");
    expect(await open.page.getByLabel("Price book").count()).toBe(0);
    expect(await open.page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
    expect(await open.faults()).toEqual([]);
    await open.shot("usage-phone");
    expect(open.complaints).toEqual([]);
  });

  test("an operator sees all tenants, the price book, and revenue beside GPU-hours", async () => {
    await using open = await openConsole(browser, cluster.http, { dark: true });
    const { page } = open;
    await open.signIn(cluster.adminKey, "/usage/tenants");
    const tenants = page.getByRole("region", { name: "Tenants and their spending" });
    await tenants.getByRole("link", { name: "shopkit" }).waitFor();
    for (const tenant of ["taxly", "shopkit", "lingua"]) expect(await tenants.textContent()).toContain(tenant);
    await open.shot("tenants");
    expect(await open.faults()).toEqual([]);
    await page.getByLabel("Price book").check({ force: true });
    await page.getByText("in force", { exact: true }).first().waitFor();
    expect(await open.faults()).toEqual([]);
    await page.getByLabel("Revenue and GPUs").check({ force: true });
    await page.getByRole("region", { name: "Revenue by tenant and base" }).waitFor();
    expect(await open.faults()).toEqual([]);
    await open.shot("revenue");
    await page.getByLabel("Tenants", { exact: true }).check({ force: true });
    await page.getByRole("link", { name: "shopkit" }).click();
    await page.getByRole("region", { name: "Usage by model" }).getByText(tuned).waitFor();
    expect(open.complaints).toEqual([]);
  });

  test("names from a router gone mad are text, wherever they stand", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    const madden = (pattern: string, change: (json: never) => object) =>
      page.route(pattern, async (route) => {
        const answer = await route.fetch();
        await route.fulfill({ response: answer, json: change((await answer.json()) as never), headers: { etag: "mad" } });
      });
    await madden("**/v1/usage?*", ({ data, ...rest }: { data: object[] }) => ({
      ...rest,
      data: data.map((row) => ({ ...row, model: HOSTILE, key_id: HOSTILE })),
    }));
    await madden("**/v1/admin/tenants*", ({ data, ...rest }: { data: object[] }) => ({
      ...rest,
      data: data.map((row, index) => ({ ...row, id: `${index}"><script>document.title='owned'</script>`, price_plan: HOSTILE })),
    }));
    await madden("**/v1/admin/cluster", ({ nodes, ...rest }: { nodes: { tiers: object }[] }) => ({
      ...rest,
      nodes: nodes.map((node) => ({ ...node, id: `javascript:document.title='owned'//${HOSTILE}` })),
    }));
    await open.signIn(cluster.adminKey, "/usage/usage");
    await page.getByRole("region", { name: "Usage by model" }).getByText(HOSTILE).waitFor();
    await page.goto(`${cluster.http}/#/usage/tenants`);
    await page.getByRole("link", { name: "0\"><script>document.title='owned'</script>" }).waitFor();
    await page.goto(`${cluster.http}/#/cluster`);
    const title = page.getByRole("heading", { name: "javascript:" }).first();
    expect(await title.textContent()).toContain(HOSTILE);
    await page
      .getByRole("link", { name: /^Deltas of/ })
      .first()
      .click();
    await page.getByRole("dialog").waitFor();
    expect(await page.title()).toBe("Cluster · Deltaplane");
    expect(await page.locator("img, main script, dialog script").count()).toBe(0);
    expect(open.complaints.filter((text) => !text.includes("404"))).toEqual([]);
  });

  test("a router that does not answer leaves what was seen, says so, and is asked until it does", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await open.signIn(cluster.adminKey, "/cluster");
    await page.getByText("live", { exact: true }).waitFor();
    await page.route("**/v1/admin/cluster", (route) => route.abort());
    await page.getByText("not connected", { exact: true }).waitFor();
    await page.getByRole("alert").getByText("the router did not answer").waitFor();
    await page.getByRole("region", { name: "Node node-1" }).waitFor();
    expect(await open.faults()).toEqual([]);
    await page.getByRole("button", { name: "Try again" }).click();
    await page.unroute("**/v1/admin/cluster");
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("paused", { exact: true }).waitFor();
    expect(open.complaints.filter((text) => !text.includes("ERR_FAILED"))).toEqual([]);
  });

  test("an operator looks at a delta, evicts and pins it, drains a node, sees that, and takes it back", async () => {
    await using open = await openConsole(browser, cluster.http);
    const { page } = open;
    await open.signIn(cluster.adminKey, "/cluster");
    const tile = (id: string) => page.getByRole("region", { name: `Node ${id}` });
    for (const id of ["node-1", "node-2"]) await tile(id).getByText("ready", { exact: true }).waitFor();
    expect(await open.faults()).toEqual([]);
    const asked = [
      ["taxly", "taxly/tax"],
      ["shopkit", "shopkit/copy"],
      ["shopkit", tuned],
    ] as const;
    const busy = asked.map(([tenant, model]) => keepBusy(cluster.tenantKeys[tenant]!, model));
    await page.locator("a.cell-used").first().waitFor();
    await open.shot("cluster");
    await page.emulateMedia({ colorScheme: "dark" });
    await open.shot("cluster-dark");
    await page.emulateMedia({ colorScheme: "light" });
    await Promise.all(busy);
    await page.setViewportSize({ width: 360, height: 780 });
    expect(await page.evaluate("document.documentElement.scrollWidth - innerWidth")).toBe(0);
    await open.shot("cluster-phone");
    await page.setViewportSize({ width: 1280, height: 900 });

    // One that nobody asks for: the scheduler brings back what is hot.
    await page.getByLabel("Find a delta").fill("lingua");
    await page.getByRole("region", { name: "Deltas found" }).getByRole("link").first().click();
    const dialog = page.getByRole("dialog");
    const copies = dialog.getByRole("region", { name: "Copies by node" });
    await copies.getByRole("button", { name: /^Evict/ }).click();
    await expect.poll(() => copies.textContent(), { timeout: 10_000 }).toContain("disk");
    await expect.poll(() => dialog.getByRole("region", { name: "History" }).textContent(), { timeout: 10_000 }).toMatch(/to disk/);
    await dialog.getByRole("button", { name: "Pin" }).click();
    await dialog.getByRole("button", { name: "Unpin" }).waitFor();
    await expect.poll(() => copies.textContent(), { timeout: 10_000 }).toContain("pinned");
    await dialog.getByRole("button", { name: "Unpin" }).click();
    await dialog.getByRole("button", { name: "Pin", exact: true }).waitFor();
    expect(await open.faults()).toEqual([]);
    await open.shot("delta", "window");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });

    // By keyboard alone.
    await page.getByRole("button", { name: "Drain node-2", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog", { name: "Drain node-2?" }).waitFor();
    expect(await open.faults()).toEqual([]);
    await page.getByRole("button", { name: "Drain it" }).focus();
    await page.keyboard.press("Enter");
    await tile("node-2").getByText("drained", { exact: true }).waitFor();
    expect(await page.getByRole("button", { name: "Drain node-2", exact: true }).count()).toBe(0);
    expect(await tile("node-1").getByText("ready", { exact: true }).count()).toBe(1);
    await open.shot("cluster-drained");
    await complete(cluster.tenantKeys["shopkit"]!, tuned);
    await page.getByRole("button", { name: "Undrain node-2" }).click();
    await tile("node-2").getByText("ready", { exact: true }).waitFor();
    expect(open.complaints).toEqual([]);
  });
});
