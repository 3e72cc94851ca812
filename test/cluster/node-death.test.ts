import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BillingServiceService, UsageDimension } from "#proto";
import { generate, greedy } from "./generated-text.ts";
import { startCluster } from "./running-cluster.ts";

const STREAMS = 16;
const DELTAS = [
  ["taxly", "tax"],
  ["shopkit", "copy"],
  ["lingua", "translate"],
] as const;

test("kill -9 of a node agent under 16 streams: every text is complete and exact, and the ledger says what clients counted", async () => {
  await using cluster = await startCluster();
  const asks = Array.from({ length: STREAMS }, (_, index) => {
    const [tenant, delta] = DELTAS[index % DELTAS.length]!;
    const lines = readFileSync(join(import.meta.dirname, "../../models/demo-deltas", delta, "heldout.jsonl"), "utf8").split("\n");
    const { prompt } = JSON.parse(lines[index]!) as { prompt: string };
    const request = greedy(`${tenant}/${delta}`, `${prompt}\n`, 160);
    // Long enough that the kill comes in the middle: the text goes on after its end token.
    return {
      tenant,
      channel: cluster.channel(cluster.tenantKeys[tenant]!),
      request: { ...request, sampling: { ...request.sampling!, ignoreEos: true } },
    };
  });
  const undisturbed = await Promise.all(asks.map(({ channel, request }) => generate(channel, request)));

  const victim = Object.values(cluster.nodePids())[0]!;
  let pieces = 0;
  const killAt = STREAMS * 20;
  const disturbed = await Promise.all(
    asks.map(({ channel, request }) =>
      generate(channel, request, () => {
        if (++pieces === killAt) process.kill(victim, "SIGKILL");
      }),
    ),
  );
  expect(pieces, "the kill came while all streams ran").toBeGreaterThan(killAt);
  expect(disturbed.map((answer) => answer.tokenIds)).toEqual(undisturbed.map((answer) => answer.tokenIds));
  expect(disturbed.map((answer) => answer.text)).toEqual(undisturbed.map((answer) => answer.text));

  const counted = [...undisturbed, ...disturbed].reduce((total, answer) => total + answer.tokenIds.length, 0);
  const admin = cluster.channel(cluster.adminKey);
  const billed = async () => {
    const { rows } = await admin.unary(BillingServiceService.getUsage, {
      by: [UsageDimension.USAGE_DIMENSION_TENANT],
      sinceMs: 0,
      untilMs: 0,
      tenantId: "",
    });
    return rows.reduce((total, row) => total + row.completionTokens, 0);
  };
  await expect.poll(billed, { timeout: 10_000 }).toBe(counted);
});
