import { formatUsd } from "#kernel";
import type { Charge, PostedCorrection } from "../../ledger/index.ts";
import type { Exporter } from "./contract.ts";
import { csvRow, numberCell, textCell } from "./delimited.ts";

/** What a row says of a request, and what of a correction; an empty cell means that there is no such thing. */
interface Row {
  readonly type: "request" | "correction";
  readonly charge?: Charge;
  readonly correction?: PostedCorrection;
}

const COLUMNS: readonly (readonly [title: string, cell: (row: Row) => string])[] = [
  ["type", ({ type }) => textCell(type)],
  ["id", ({ charge, correction }) => textCell(charge?.requestId ?? correction?.id)],
  ["time", ({ charge, correction }) => textCell(new Date(charge?.admittedAt ?? correction!.postedAt).toISOString())],
  ["tenant_id", ({ charge, correction }) => textCell((charge ?? correction!).tenantId)],
  ["project_id", ({ charge }) => textCell(charge?.projectId)],
  ["key_id", ({ charge }) => textCell(charge?.keyId)],
  ["model", ({ charge }) => textCell(charge?.model)],
  ["base", ({ charge }) => textCell(charge?.baseName)],
  ["delta_digest", ({ charge }) => textCell(charge?.deltaDigest)],
  ["price_version", ({ charge }) => (charge ? numberCell(charge.priceVersion) : "")],
  ["outcome", ({ charge }) => textCell(charge?.outcome)],
  ["prompt_tokens", ({ charge }) => (charge ? numberCell(charge.promptTokens) : "")],
  ["cached_tokens", ({ charge }) => (charge ? numberCell(charge.cachedTokens) : "")],
  ["completion_tokens", ({ charge }) => (charge ? numberCell(charge.completionTokens) : "")],
  ["trained_tokens", ({ charge }) => (charge ? numberCell(charge.trainedTokens) : "")],
  ["amount_usd", ({ charge, correction }) => numberCell(formatUsd((charge ?? correction!).amount))],
  ["corrects_request_id", ({ correction }) => textCell(correction?.requestId)],
  ["reason", ({ correction }) => textCell(correction?.reason)],
];

/** One row per request, then one per correction, of each tenant. `prompt_tokens` includes the cached ones. */
export const csv: Exporter = async function* ({ ledger, tenantIds, since, until }) {
  const row = (of: Row) => csvRow(COLUMNS.map(([, cell]) => cell(of)));
  yield csvRow(COLUMNS.map(([title]) => title));
  for (const tenantId of tenantIds) {
    for await (const charge of ledger.charges(tenantId, since, until)) yield row({ type: "request", charge });
    for (const correction of await ledger.corrections(tenantId, since, until)) yield row({ type: "correction", correction });
  }
};
