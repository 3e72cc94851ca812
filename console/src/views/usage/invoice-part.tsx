import { useSignal } from "@preact/signals";
import { get, pathOf, useResource } from "../../api/index.ts";
import { Badge, count, Empty, moment, Notice, Panel, Remote, Select, Stat, Stats, Table } from "../../components/index.ts";
import { ExportButtons } from "./export-buttons.tsx";
import { exactUsd, nanoUsd, sumOf, usdText } from "./money.ts";
import type { Invoice } from "./shapes.ts";

const MONTHS_OFFERED = 12;
const KINDS = { prompt: "prompt", cached: "prompt, cached", completion: "completion", training: "training" } as const;

/** What is owed for a month, and the same in formats that other systems take. */
export function InvoicePart({ tenant }: { readonly tenant: string }) {
  const months = monthsUntil(new Date(), MONTHS_OFFERED);
  const month = useSignal(months[0]!);
  const options = months.map((value) => ({ value, label: monthName(value) }));
  const change = (value: string) => {
    month.value = value;
  };
  return (
    <>
      <Panel title="Invoice" actions={<Select label="Month" value={month.value} onChange={change} options={options} />}>
        {tenant === "" ? (
          <Empty title="An invoice is one tenant's." icon="usage">
            Choose a tenant above.
          </Empty>
        ) : (
          <OneInvoice key={month.value} tenant={tenant} month={month.value} />
        )}
      </Panel>
      <Panel title="Exports">
        <ExportButtons tenant={tenant} month={month.value} />
      </Panel>
    </>
  );
}

function OneInvoice({ tenant, month }: { readonly tenant: string; readonly month: string }) {
  const invoice = useResource((signal) => get<Invoice>(`/v1/invoices${pathOf(month)}`, { tenant_id: tenant }, signal), [tenant, month]);
  return (
    <Remote of={invoice} what="the invoice">
      {(value) => <InvoiceLines invoice={value} />}
    </Remote>
  );
}

function InvoiceLines({ invoice }: { readonly invoice: Invoice }) {
  if (invoice.lines.length === 0 && invoice.corrections.length === 0)
    return <Empty title="Nothing was charged in this month." icon="usage" />;
  return (
    <>
      <Stats>
        <Stat label={`Total of ${monthName(invoice.month)}`} value={usdText(invoice.total_usd)} note="lines and corrections" />
        <Stat
          label="State"
          value={<Badge kind={invoice.preliminary ? "warn" : "good"}>{invoice.preliminary ? "preliminary" : "final"}</Badge>}
        />
        <Stat label="Lines of the book" value={count(invoice.position)} />
      </Stats>
      {invoice.preliminary && <Notice>Until a day after the month ends, claims of nodes that were cut off may still come.</Notice>}
      <Table
        caption="Lines of the invoice"
        rows={invoice.lines}
        keyOf={(line) => `${line.base} ${line.model} ${line.kind} ${line.price_version}`}
        columns={[
          { title: "Model", cell: ({ model, base }) => model || base },
          { title: "Base", cell: ({ base }) => base },
          { title: "Tokens of", cell: ({ kind }) => KINDS[kind] },
          { title: "Price list", numeric: true, cell: (line) => line.price_version },
          { title: "Tokens", numeric: true, cell: ({ tokens }) => count(tokens) },
          { title: "per million", numeric: true, cell: (line) => usdText(line.usd_per_million) },
          { title: "Amount", numeric: true, cell: (line) => usdText(line.amount_usd) },
        ]}
        foot={["Lines together", "", "", "", "", "", together(invoice.lines)]}
      />
      {invoice.corrections.length > 0 && (
        <Table
          caption="Corrections"
          rows={invoice.corrections}
          keyOf={({ id }) => id}
          columns={[
            { title: "Correction", cell: ({ id }) => id },
            { title: "Reason", cell: ({ reason }) => reason },
            { title: "Of request", cell: (each) => each.request_id ?? "–" },
            { title: "Posted", numeric: true, cell: (each) => moment(each.posted_at_ms / 1000) },
            { title: "Amount", numeric: true, cell: (each) => usdText(each.amount_usd) },
          ]}
          foot={["Corrections together", "", "", "", together(invoice.corrections)]}
        />
      )}
      <p class="small muted">
        The same head of the book, the same invoice: line {count(invoice.position)}
        {invoice.hash !== "" && (
          <>
            , hash <code class="hash">{invoice.hash}</code>
          </>
        )}
      </p>
    </>
  );
}

function together(parts: readonly { readonly amount_usd: string }[]): string {
  return exactUsd(sumOf(parts.map((part) => nanoUsd(part.amount_usd))));
}

/** YYYY-MM, the present one first. */
export function monthsUntil(now: Date, length: number): readonly string[] {
  return Array.from({ length }, (_, back) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - back)).toISOString().slice(0, 7));
}

const MONTH = new Intl.DateTimeFormat("en-GB", { month: "long", year: "numeric", timeZone: "UTC" });

function monthName(month: string): string {
  return MONTH.format(new Date(`${month}-01T00:00:00Z`));
}
