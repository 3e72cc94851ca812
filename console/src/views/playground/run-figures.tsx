import { priceOf, type Rates } from "../../api/index.ts";
import { Badge, count, duration, usd } from "../../components/index.ts";
import type { Run, RunState } from "./run.ts";

/** Tokens, money and time of one call, as it goes on. */
export function RunFigures({ run, rates }: { readonly run: Run; readonly rates: Rates | undefined }) {
  const state = run.state.value;
  const { usage, firstTokenMs } = state;
  const speed = tokensPerSecond(state);
  return (
    <dl class="figures num">
      <div>
        <dt class="unseen">State</dt>
        <dd>
          <Badge kind={KINDS[state.status]}>{ended(state)}</Badge>
        </dd>
      </div>
      {usage && (
        <div>
          <dt>Tokens</dt>
          <dd>
            {count(usage.promptTokens)} in, {count(usage.completionTokens)} out
            {usage.cachedTokens > 0 && ` (${count(usage.cachedTokens)} cached)`}
          </dd>
        </div>
      )}
      {usage && rates && (
        <div>
          <dt>Price</dt>
          <dd>{usd(priceOf(rates, usage))}</dd>
        </div>
      )}
      {firstTokenMs !== undefined && (
        <div>
          <dt>First token</dt>
          <dd>{duration(firstTokenMs)}</dd>
        </div>
      )}
      {speed !== undefined && (
        <div>
          <dt>Speed</dt>
          <dd>{count(speed)} tokens/s</dd>
        </div>
      )}
    </dl>
  );
}

const KINDS = { waiting: "plain", streaming: "accent", done: "good", stopped: "warn", failed: "bad" } as const;

function ended({ status, choices }: RunState): string {
  if (status !== "done") return status;
  return choices.some(({ finish }) => finish === "length") ? "cut at its length" : "done";
}

/** Pieces that come in one go tell nothing of how fast they were made. */
const SPAN_MS_MIN = 50;

/** Of all choices together, from the first token to the last one so far. */
function tokensPerSecond({ usage, firstTokenMs = 0, lastTokenMs = 0 }: RunState): number | undefined {
  const spanMs = lastTokenMs - firstTokenMs;
  return usage && spanMs >= SPAN_MS_MIN ? ((usage.completionTokens - 1) / spanMs) * 1_000 : undefined;
}
