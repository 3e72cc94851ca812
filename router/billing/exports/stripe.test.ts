import { expect, test } from "vitest";
import { z } from "zod";
import { asTenantId } from "#kernel";
import { ACME, exported, fill, jsonLines } from "../testing/exported.ts";
import { claimOf, NOON, openBooks } from "../testing/open-books.ts";

/** `POST /v1/billing/meter_events`: names and identifiers up to 100 characters, a whole value as text, whole seconds. */
const MeterEvent = z.strictObject({
  event_name: z.string().min(1).max(100),
  identifier: z.string().min(1).max(100),
  timestamp: z.int().multipleOf(3600),
  payload: z.strictObject({ stripe_customer_id: z.string().min(1), value: z.string().regex(/^-?\d{1,15}$/) }),
});

async function eventsOf(books: Awaited<ReturnType<typeof openBooks>>, tenant = ACME) {
  const { text } = await exported(books, "stripe", { tenantIds: [tenant] });
  return jsonLines(text).map((event) => MeterEvent.parse(event));
}

test("stripe gets one event per meter and hour, whole values, the spend to the nano-dollar", async () => {
  await using books = await openBooks();
  await fill(books);
  const events = await eventsOf(books);
  expect(new Set(events.map(({ identifier }) => identifier)).size).toBe(events.length);
  expect(events.map(({ identifier, payload }) => `${identifier} ${payload.value}`)).toEqual([
    "acme:deltaplane_prompt_tokens:2026-11-22T12:1400 600",
    "acme:deltaplane_cached_tokens:2026-11-22T12:400 400",
    "acme:deltaplane_completion_tokens:2026-11-22T12:500 500",
    "acme:deltaplane_spend_nano_usd:2026-11-22T12:1900 420000",
    "acme:deltaplane_prompt_tokens:2026-11-22T13:10 10",
    "acme:deltaplane_spend_nano_usd:2026-11-22T13:10 3000",
    "acme:deltaplane_prompt_tokens:2026-11-23T12:114 100",
    "acme:deltaplane_cached_tokens:2026-11-23T12:7 7",
    "acme:deltaplane_completion_tokens:2026-11-23T12:101 101",
    "acme:deltaplane_spend_nano_usd:2026-11-23T12:215 239176",
    "acme:deltaplane_spend_nano_usd:2026-11-23T14:2 -1234562",
    "acme:deltaplane_prompt_tokens:2026-11-24T12:5 5",
    "acme:deltaplane_completion_tokens:2026-11-24T12:5 5",
    "acme:deltaplane_spend_nano_usd:2026-11-24T12:10 0",
  ]);
  expect(events[0]).toMatchObject({ timestamp: (NOON - 86_400_000) / 1000, payload: { stripe_customer_id: "acme" } });
});

test("an hour that grew or was corrected has new identifiers, the other hours keep theirs", async () => {
  await using books = await openBooks();
  await fill(books);
  const before = new Set((await eventsOf(books)).map(({ identifier }) => identifier));
  await books.ledger.post([claimOf("req_7", { at: NOON + 60_000, usage: [3, 3, 0] })]);
  await books.ledger.correct({ id: "c-3", tenantId: ACME, amount: 1n, reason: "more" });
  const changed = (await eventsOf(books)).map(({ identifier }) => identifier).filter((identifier) => !before.has(identifier));
  expect(changed).toEqual([
    "acme:deltaplane_prompt_tokens:2026-11-23T12:120",
    "acme:deltaplane_cached_tokens:2026-11-23T12:10",
    "acme:deltaplane_spend_nano_usd:2026-11-23T12:221",
    "acme:deltaplane_spend_nano_usd:2026-11-23T14:3",
  ]);
});

test("the longest tenant's identifiers fit, and are its own", async () => {
  await using books = await openBooks();
  const [one, other] = ["a".repeat(63), `${"a".repeat(62)}b`];
  await books.ledger.post([claimOf("r1", { tenant: one! }), claimOf("r2", { tenant: other! })]);
  const events = [...(await eventsOf(books, asTenantId(one!))), ...(await eventsOf(books, asTenantId(other!)))];
  expect(new Set(events.map(({ identifier }) => identifier)).size).toBe(8);
});
