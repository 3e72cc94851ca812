import { expect, test } from "vitest";
import { asDeltaDigest, asTenantId, type DeltaDigest, type Residency, sha256Hex, type Tier } from "#kernel";
import { BASE_DIGEST, nodeView, snapshotOf } from "../testing/cluster-of.ts";
import { ResidencyHistory } from "./residency-history.ts";

const digest = (name: string) => asDeltaDigest(sha256Hex(name));
const [tax, copy] = [digest("tax"), digest("copy")];

function held(...deltas: readonly (readonly [DeltaDigest, Tier])[]): ReadonlyMap<DeltaDigest, Residency> {
  const rest = { state: "ready", tenantId: asTenantId("acme"), baseDigest: BASE_DIGEST, rank: 8, sizeBytes: 1, references: 0 } as const;
  return new Map(deltas.map(([delta, tier]) => [delta, { ...rest, tier, pinned: false }]));
}

/** One node `a`, and `b` when it is given. */
function cluster(a: ReadonlyMap<DeltaDigest, Residency>, b?: ReadonlyMap<DeltaDigest, Residency>) {
  return snapshotOf([nodeView("a", { deltas: a }), ...(b ? [nodeView("b", { deltas: b })] : [])]);
}

test("what comes, moves and leaves is told, the latest first; what was there at first is no change", () => {
  const history = new ResidencyHistory();
  history.observe(cluster(held([tax, "disk"])), 1_000);
  history.observe(cluster(held([tax, "slot"], [copy, "ram"])), 2_000);
  history.observe(cluster(held([copy, "ram"]), held([tax, "disk"])), 3_000);
  expect(history.of(tax)).toEqual([
    { at: 3_000, nodeId: "b", from: undefined, to: "disk" },
    { at: 3_000, nodeId: "a", from: "slot", to: undefined },
    { at: 2_000, nodeId: "a", from: "disk", to: "slot" },
  ]);
  expect(history.of(copy)).toEqual([{ at: 2_000, nodeId: "a", from: undefined, to: "ram" }]);
  expect(history.of(digest("never seen"))).toEqual([]);
});

test("a node that goes away takes its deltas with it", () => {
  const history = new ResidencyHistory();
  history.observe(cluster(held(), held([tax, "ram"])), 1_000);
  history.observe(cluster(held()), 2_000);
  expect(history.of(tax)).toEqual([{ at: 2_000, nodeId: "b", from: "ram", to: undefined }]);
});

test("a delta that moves all day keeps its latest changes only", () => {
  const history = new ResidencyHistory();
  for (let at = 0; at <= 100; at++) history.observe(cluster(held([tax, at % 2 === 0 ? "ram" : "slot"])), at);
  const changes = history.of(tax);
  expect(changes).toHaveLength(32);
  expect(changes.map(({ at }) => at)).toEqual(Array.from({ length: 32 }, (_, back) => 100 - back));
});

test("of more deltas than it has room for, those that moved last are remembered", () => {
  const history = new ResidencyHistory();
  history.observe(cluster(held()), 0);
  const many = Array.from({ length: 10_001 }, (_, index) => digest(`delta ${index}`));
  history.observe(cluster(held(...many.map((delta) => [delta, "disk"] as const))), 1);
  expect(history.of(many[0]!)).toEqual([]);
  expect(history.of(many.at(-1)!)).toHaveLength(1);
});

test("a cluster that is too large for one round is gone around in several, and no change is lost", () => {
  const history = new ResidencyHistory();
  const filler = Array.from({ length: 12_000 }, (_, index) => [digest(`filler ${index}`), "disk"] as const);
  const all = (tier: Tier) => snapshotOf(["a", "b", "c", "d"].map((id) => nodeView(id, { deltas: held(...filler, [digest(id), tier]) })));
  history.observe(all("disk"), 0);
  const later = all("ram");
  const moved = () => ["a", "b", "c", "d"].filter((id) => history.of(digest(id)).length === 1);
  history.observe(later, 1);
  expect(moved()).toEqual(["a", "b"]);
  history.observe(later, 2);
  expect(moved()).toEqual(["a", "b", "c", "d"]);
  expect(history.of(digest("d"))).toEqual([{ at: 2, nodeId: "d", from: "disk", to: "ram" }]);
});
