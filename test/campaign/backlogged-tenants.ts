import { AdminServiceService, InferenceServiceService } from "#proto";
import type { Ask } from "./ask.ts";
import { runClosedLoop } from "./closed-loop.ts";
import { generateRequest } from "./grpc-client.ts";
import type { LiveCluster } from "./live-cluster.ts";
import { addLoadCustomer, type LoadCustomer, sizedAsk } from "./load-customer.ts";
import { jain, type LoadFigures } from "./load-figures.ts";
import { pause } from "./patience.ts";

/** What a token costs in the fair queue's own money: arXiv 2401.00588, as the cluster is configured. */
const INPUT_WEIGHT = 1;
const OUTPUT_WEIGHT = 2;
/** Unlike in every way that a queue could confuse with greed. */
const SHAPES: readonly Ask[] = [sizedAsk(8, 16), sizedAsk(8, 96), sizedAsk(60, 16), sizedAsk(30, 48)];
/** Of each tenant: together far more than there are rows, so that all of them always have something waiting. */
const STREAMS = 32;
const WARM_UP_MS = 2_000;
const SAMPLE_MS = 100;

/** Tenants with unlike requests, each of which always has more than it is given: does each get the same? */
export async function checkBackloggedTenants(cluster: LiveCluster, { seconds }: { readonly seconds: number }): Promise<LoadFigures> {
  const customers: LoadCustomer[] = [];
  for (const _ of SHAPES) customers.push(await addLoadCustomer(cluster, "backlogged"));
  const service = SHAPES.map(() => 0);
  const over = AbortSignal.timeout(WARM_UP_MS + seconds * 1000);
  const loads = customers.map((customer, index) =>
    runClosedLoop(STREAMS, over, async () => {
      await serve(customer, SHAPES[index]!, (amount) => {
        service[index]! += amount;
      });
    }),
  );
  await pause(WARM_UP_MS);
  const start = [...service];
  const samples: number[][] = [];
  while (!over.aborted) {
    samples.push(service.map((amount, index) => amount - start[index]!));
    await pause(SAMPLE_MS);
  }
  await Promise.all(loads);

  const last = samples.at(-1)!;
  const rows = await rowsMax(cluster);
  return {
    figures: {
      tenants: SHAPES.length,
      service_per_s: last.reduce((sum, amount) => sum + amount, 0) / seconds,
      jain: jain(last),
      service_difference_max: differenceMax(samples),
      service_difference_bound: await serviceBound(customers[0]!, rows),
    },
    violations: last.some((amount) => amount <= 0) ? [{ rule: "P12", what: `a backlogged tenant got nothing: ${last.join(", ")}` }] : [],
  };
}

/** The most by which two tenants' service differs over any of the windows between two samples. */
function differenceMax(samples: readonly (readonly number[])[]): number {
  let most = 0;
  for (const [one] of SHAPES.entries()) {
    for (let other = 0; other < one; other++) {
      const gaps = samples.map((sample) => sample[one]! - sample[other]!);
      most = Math.max(most, Math.max(...gaps) - Math.min(...gaps));
    }
  }
  return most;
}

/** Theorem 4.4: 2 · max(w_in · L_in, w_out · M), with M the tokens that a running batch can hold. */
async function serviceBound({ channels }: LoadCustomer, rows: number): Promise<number> {
  const counts = SHAPES.map(({ model, prompt }) => {
    const request = { model, prompt: { kind: { $case: "text", value: prompt } } } as const;
    return channels[0]!.unary(InferenceServiceService.countTokens, request);
  });
  const promptTokens = (await Promise.all(counts)).map(({ tokens }) => tokens);
  const promptTokensMax = Math.max(...promptTokens);
  const sequenceTokensMax = Math.max(...SHAPES.map(({ maxTokens }, index) => promptTokens[index]! + maxTokens));
  return 2 * Math.max(INPUT_WEIGHT * promptTokensMax, OUTPUT_WEIGHT * rows * sequenceTokensMax);
}

async function rowsMax(cluster: LiveCluster): Promise<number> {
  const { nodes } = await cluster.admin.unary(AdminServiceService.getCluster, {});
  return nodes.flatMap(({ view }) => view?.bases ?? []).reduce((sum, base) => sum + base.rowsMax, 0);
}

/** One request; tells what every piece of it was worth. */
async function serve(customer: LoadCustomer, ask: Ask, got: (amount: number) => void): Promise<void> {
  let computed = 0;
  try {
    for await (const { tokenIds, usage } of customer.channels[0]!.serverStream(InferenceServiceService.generate, generateRequest(ask))) {
      // What a kept prefix spares is no service: the queue does not count it either.
      const now = usage ? usage.promptTokens - usage.cachedTokens : computed;
      got(OUTPUT_WEIGHT * tokenIds.length + INPUT_WEIGHT * (now - computed));
      computed = now;
    }
  } catch {
    await pause(SAMPLE_MS); // Shed: it asks again.
  }
}
