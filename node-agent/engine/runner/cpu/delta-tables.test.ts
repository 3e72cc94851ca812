import fc from "fast-check";
import { expect, test } from "vitest";
import { asBaseDigest, asDeltaDigest, asTenantId } from "#kernel";
import type { BaseInfo, LoadedDelta } from "#model";
import type { Slot } from "../../contract.ts";
import { DeltaTables, tableRanks } from "./delta-tables.ts";

const SEED = 20_261_123; // fast-check prints it, with the path, when a property fails.
const SITE = { site: "layers.0.q", module: "q", inputSize: 2, outputSize: 3 };
const BASE = { linears: [SITE] } as unknown as BaseInfo;
const RANKS = 64;

/** A delta whose every value is its mark, so that its ranks can be recognised wherever they are. */
function delta(mark: number, rank: number): LoadedDelta {
  const layer = { site: SITE.site, rank, a: new Float32Array(rank * 2).fill(mark), b: new Float32Array(rank * 3).fill(mark) };
  const reference = { digest: asDeltaDigest(String(mark)), tenantId: asTenantId("t"), baseDigest: asBaseDigest("b") };
  return { reference, rank, sizeBytes: 0, layers: [layer] };
}

test("a delta finds room exactly when its table ranks are free, however the others came and went; each keeps its values", () => {
  const attach = fc.record({ kind: fc.constant("attach" as const), rank: fc.integer({ min: 1, max: RANKS }) });
  const detach = fc.record({ kind: fc.constant("detach" as const), which: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(fc.oneof(attach, detach), { maxLength: 60 }), (commands) => {
      const tables = new DeltaTables(BASE, RANKS, RANKS);
      const attached = new Map<Slot, { mark: number; rank: number }>();
      for (const [index, command] of commands.entries()) {
        const used = [...attached.values()].reduce((sum, { rank }) => sum + tableRanks(rank), 0);
        if (command.kind === "attach") {
          const slot = tables.attach(delta(index + 1, command.rank));
          expect(slot !== undefined).toBe(used + tableRanks(command.rank) <= RANKS);
          if (slot !== undefined) attached.set(slot, { mark: index + 1, rank: command.rank });
        } else if (attached.size > 0) {
          const slot = [...attached.keys()][command.which % attached.size]!;
          tables.detach(slot);
          attached.delete(slot);
        }
        expectIntact(tables, attached);
      }
    }),
    { seed: SEED, numRuns: 200 },
  );
});

function expectIntact(tables: DeltaTables, attached: ReadonlyMap<Slot, { mark: number; rank: number }>): void {
  if (attached.size === 0) return;
  const { firstRank, chunkRanks, places } = tables.bind(new Set(attached.keys()), false);
  const [{ a, b }] = tables.tables as [(typeof tables.tables)[number]];
  for (const [slot, { mark, rank }] of attached) {
    const { chunk, from, to } = places.get(slot)!;
    const start = firstRank + chunk * chunkRanks + from;
    expect(to - from).toBe(tableRanks(rank));
    expect([...a.subarray(start * 2, (start + rank) * 2)]).toEqual(new Array(rank * 2).fill(mark));
    expect([...b.subarray(start * 3, (start + rank) * 3)]).toEqual(new Array(rank * 3).fill(mark));
    expect([...a.subarray((start + rank) * 2, (start + to - from) * 2)].every((value) => value === 0)).toBe(true);
  }
}
