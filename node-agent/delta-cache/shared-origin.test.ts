import { expect, test } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId, Fault } from "#kernel";
import { SharedOrigin } from "./shared-origin.ts";

const DELTA = { digest: asDeltaDigest("d".repeat(64)), tenantId: asTenantId("acme"), baseDigest: asBaseDigest("b".repeat(64)) };
const never = new AbortController().signal;

/** An origin that writes down who was asked. */
function originOver(answers: (address: string) => boolean) {
  const asked: string[] = [];
  let during: boolean | undefined;
  const origin: SharedOrigin = new SharedOrigin(
    {
      async fetch() {
        asked.push("store");
        during = origin.comesFromStore(DELTA.digest);
      },
    },
    async (address) => {
      asked.push(address);
      if (origin.comesFromStore(DELTA.digest)) throw new Error("it waits for another node, and says that it fetches");
      if (!answers(address)) throw new Fault("delta_unavailable", "not here");
    },
  );
  return { origin, asked, fetchedFromStore: () => during, fetch: () => origin.fetch(DELTA, "/nowhere", 1, never) };
}

test("whoever is said to have the delta is asked before the store", async () => {
  const { origin, asked, fetch } = originOver(() => true);
  origin.hint(DELTA.digest, ["node-1:1", "node-2:1"]);
  await fetch();
  expect(asked).toEqual(["node-1:1"]);
});

test("when nobody has it any more the store is, and is passed on from there", async () => {
  const { origin, asked, fetch, fetchedFromStore } = originOver(() => false);
  origin.hint(DELTA.digest, ["node-1:1", "node-2:1", "node-3:1"]);
  await fetch();
  expect(asked).toEqual(["node-1:1", "node-2:1", "store"]);
  expect(fetchedFromStore()).toBe(true);
  expect(origin.comesFromStore(DELTA.digest)).toBe(false);
});

test("a hint serves one fetch: later ones may be years away", async () => {
  const { origin, asked, fetch } = originOver(() => true);
  origin.hint(DELTA.digest, ["node-1:1"]);
  await fetch();
  await fetch();
  expect(asked).toEqual(["node-1:1", "store"]);
});
