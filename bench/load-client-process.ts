import { Agent, request } from "node:http";
import { text } from "node:stream/consumers";
import type { LoadPlan, LoadRequest, LoadResult, TimedRequest } from "./load-plan.ts";

/**
 * A client of its own process, so that its work is not measured as the server's: plain node:http, server-sent events
 * taken apart by hand, and no JSON parsed but the usage at the end. Reads a LoadPlan, writes a LoadResult.
 */
async function main(): Promise<void> {
  const plan = JSON.parse(await text(process.stdin)) as LoadPlan;
  const agent = new Agent({ keepAlive: true, maxSockets: plan.inFlight });
  const startedMs = performance.now();
  const results: TimedRequest[] = new Array(plan.requests.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < plan.requests.length; index = next++) {
      results[index] = await stream(plan, plan.requests[index]!, agent, startedMs);
    }
  };
  await Promise.all(Array.from({ length: plan.inFlight }, worker));
  agent.destroy();
  const result: LoadResult = { requests: results };
  process.stdout.write(JSON.stringify(result));
}

/** One streamed completion. Rejects on any status but 200, on an error event, and on a stream without its end. */
function stream(plan: LoadPlan, { model, prompt, maxTokens }: LoadRequest, agent: Agent, originMs: number): Promise<TimedRequest> {
  const body = JSON.stringify({
    ...{ model, prompt, max_tokens: maxTokens, temperature: 0 },
    ...{ stream: true, stream_options: { include_usage: true } },
  });
  const headers = {
    authorization: `Bearer ${plan.key}`,
    "content-type": "application/json",
    "content-length": Buffer.byteLength(body),
  };
  return new Promise((resolve, reject) => {
    const startedMs = performance.now() - originMs;
    const sent = request(`${plan.url}/v1/completions`, { method: "POST", agent, headers }, (response) => {
      const events = new EventReader(originMs);
      const failure: string[] = [];
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => (response.statusCode === 200 ? events.take(chunk) : failure.push(chunk)));
      response.on("error", reject);
      response.on("end", () => {
        if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}: ${failure.join("").slice(0, 500)}`));
        else if (!events.done || !events.usage) reject(new Error(`the stream of ${model} ended early: ${events.lastEvent.slice(0, 500)}`));
        else {
          const { prompt_tokens: promptTokens, completion_tokens: completionTokens } = events.usage;
          const endedMs = performance.now() - originMs;
          resolve({ startedMs, endedMs, piecesMs: events.piecesMs, promptTokens, completionTokens });
        }
      });
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

interface WireUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
}

class EventReader {
  readonly piecesMs: number[] = [];
  usage: WireUsage | undefined;
  done = false;
  lastEvent = "";
  readonly #originMs: number;
  #rest = "";

  constructor(originMs: number) {
    this.#originMs = originMs;
  }

  take(chunk: string): void {
    const events = (this.#rest + chunk).split("\n\n");
    this.#rest = events.pop()!;
    const nowMs = performance.now() - this.#originMs;
    for (const event of events) this.#read(event, nowMs);
  }

  #read(event: string, nowMs: number): void {
    this.lastEvent = event;
    if (event === "data: [DONE]") this.done = true;
    else if (event.includes('"choices":[]')) this.usage = (JSON.parse(event.slice("data: ".length)) as { usage: WireUsage }).usage;
    else if (event.includes('"choices":[{') && !event.includes('"text":""')) this.piecesMs.push(nowMs);
  }
}

await main();
