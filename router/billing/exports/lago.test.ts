import { expect, test } from "vitest";
import { z } from "zod";
import { exported, fill, jsonLines } from "../testing/exported.ts";
import { claimOf, openBooks } from "../testing/open-books.ts";

/** `POST /api/v1/events/batch` */
const Batch = z.strictObject({
  events: z
    .array(
      z.strictObject({
        transaction_id: z.string().min(1),
        external_subscription_id: z.string().min(1),
        code: z.literal("deltaplane_tokens"),
        timestamp: z.string().regex(/^\d{10}\.\d{3}$/),
        precise_total_amount_cents: z.string().regex(/^-?\d+(\.\d+)?$/),
        properties: z.record(z.string(), z.string()),
      }),
    )
    .min(1)
    .max(100),
});

test("lago gets batches of at most 100 events of one tenant, each with a transaction id, a time and an exact amount", async () => {
  await using books = await openBooks();
  await fill(books);
  await books.ledger.post(Array.from({ length: 230 }, (_, index) => claimOf(`many_${index}`, { tenant: "rival" })));
  const batches = jsonLines((await exported(books, "lago")).text).map((batch) => Batch.parse(batch).events);
  expect(batches.map(({ length }) => length)).toEqual([7, 100, 100, 31]);
  for (const events of batches) expect(new Set(events.map((event) => event.external_subscription_id)).size).toBe(1);
  const events = batches.flat();
  expect(new Set(events.map((event) => event.transaction_id)).size).toBe(238);
  expect(events[0]).toEqual({
    ...{ transaction_id: "req_1:1900", external_subscription_id: "acme", code: "deltaplane_tokens", timestamp: "1795348800.000" },
    precise_total_amount_cents: "0.042",
    properties: {
      ...{ tokens: "1500", model: "acme/bot", base: "demo-base", project_id: "default", key_id: "00000000000000aa", price_version: "1" },
      ...{ prompt_tokens: "1000", cached_tokens: "400", completion_tokens: "500" },
    },
  });
  expect(events.map((event) => event.precise_total_amount_cents).slice(3, 7)).toEqual(["0.0225", "0", "-0.1234567", "0.0000005"]);
});
