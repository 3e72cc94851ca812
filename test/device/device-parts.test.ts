import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { type LoadedDelta, TOP_LOGITS } from "#model";
import { softwareDevice } from "../software-device.ts";
import {
  type Changes,
  createDeltas,
  createLogits,
  createTokens,
  type DeltaAnswers,
  PARTS_BASE,
  TOP_ROWS,
  type TopAnswer,
} from "./device-parts.ts";

interface Answers {
  readonly top: readonly TopAnswer[];
  readonly kept: {
    readonly top: readonly number[];
    readonly dense: readonly number[];
    readonly last: readonly number[];
    readonly broken: string;
  };
  readonly deltas: DeltaAnswers;
}

const device = softwareDevice();

describe.skipIf(!device)("on a software device (skipped without chromium, which carries it)", async () => {
  const answers = device ? await run({ ...process.env, ...device }) : undefined;

  test("the largest logits are those of all, equal ones by id, and the sum is that of all", () => {
    for (const { vocabularySize, ids, logits, sums } of answers!.top) {
      const all = createLogits(vocabularySize);
      for (let row = 0; row < TOP_ROWS; row++) {
        const own = all.subarray(row * vocabularySize, (row + 1) * vocabularySize);
        const ranked = rank(own);
        const count = ids.length / TOP_ROWS;
        expect(ids.slice(row * count, (row + 1) * count)).toEqual(ranked.slice(0, count));
        expect(logits.slice(row * count, (row + 1) * count)).toEqual(ranked.slice(0, count).map((id) => own[id]));
        const sum = own.reduce((total, logit) => total + Math.exp(logit - own[ranked[0]!]!), 0);
        expect(Math.log(sums[row]!)).toBeCloseTo(Math.log(sum), 5);
      }
    }
  });

  test("who asked for the largest can still have all, and others of the batch get what they asked for", () => {
    const all = createLogits(1000);
    expect(answers!.kept.dense).toEqual([...all.subarray(0, 1000)]);
    expect(answers!.kept.top).toEqual(rank(all.subarray(0, 1000)).slice(0, TOP_LOGITS));
    expect(answers!.kept.last).toEqual([...all.subarray(1000, 2000)]);
    expect(Number(answers!.kept.broken), "one logit that is not a number spoils the sum").toSatisfy((sum: number) => !Number.isFinite(sum));
  });

  const [small, wide, partial, other] = createDeltas();

  test("each token gets the change of its own delta, of any rank, or none", () => {
    expectChanges(answers!.deltas.alone, [wide, undefined, wide]);
    expectChanges(answers!.deltas.together, [small, wide, undefined, other, wide, small]);
  });

  test("who had a page before leaves nothing in it", () => {
    expect(answers!.deltas.refused).toBe(true);
    expectChanges(answers!.deltas.reused, [partial, small]);
  });

  test("deltas come in parts, and what a step sends does not grow with who else is there", () => {
    expect(answers!.deltas.partCounts).toEqual([2, 2, 2, 2]);
    expect(answers!.deltas.upBytes[0]).toBe(answers!.deltas.upBytes[1]);
  });
});

async function run(env: NodeJS.ProcessEnv): Promise<Answers> {
  const script = path.join(import.meta.dirname, "device-parts-process.ts");
  const { stdout } = await promisify(execFile)(process.execPath, [script], { env, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(stdout);
}

function rank(logits: Float32Array): number[] {
  return [...logits.keys()].sort((one, other) => logits[other]! - logits[one]! || one - other);
}

function expectChanges(changes: Changes, deltaOfToken: readonly (LoadedDelta | undefined)[]): void {
  for (const { site, inputSize, outputSize } of PARTS_BASE.linears) {
    const tokens = createTokens(site, deltaOfToken.length, inputSize);
    const expected = deltaOfToken.flatMap((delta, token) => {
      const x = tokens.subarray(token * inputSize, (token + 1) * inputSize);
      const layer = delta?.layers.find((each) => each.site === site);
      const ranks = Array.from({ length: layer?.rank ?? 0 }, (_, rank) =>
        x.reduce((sum, value, at) => sum + value * layer!.a[rank * inputSize + at]!, 0),
      );
      return Array.from({ length: outputSize }, (_, at) =>
        ranks.reduce((sum, value, rank) => sum + value * layer!.b[rank * outputSize + at]!, 0),
      );
    });
    const worst = Math.max(...expected.map((value, at) => Math.abs(value - changes[site]![at]!)));
    expect(worst, site).toBeLessThan(1e-5);
  }
}
