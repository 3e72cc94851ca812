import { Page, Tabs } from "../../components/index.ts";
import { isOperator } from "../../session/index.ts";
import { InvoicePart } from "./invoice-part.tsx";
import { PricesPart } from "./prices-part.tsx";
import { RevenuePart } from "./revenue-part.tsx";
import { TenantPicker } from "./tenant-picker.tsx";
import { TenantsPart } from "./tenants-part.tsx";
import { UsagePart } from "./usage-part.tsx";
import { PARTS, type Part, partShown, show, tenantShown } from "./whose.ts";
import "./usage.css";

const CONTENT = { usage: UsagePart, invoice: InvoicePart, tenants: TenantsPart, prices: PricesPart, revenue: RevenuePart };

export default function UsageView() {
  const part = partShown();
  const tenant = tenantShown();
  const Content = CONTENT[part];
  const parts = PARTS.filter(({ operator }) => !operator || isOperator.value);
  return (
    <Page title="Usage and bills" lead="Tokens and money, exact to the nano-dollar. Days and months are UTC.">
      <div class="row row-spread usage-bar">
        <div class="usage-tabs">
          <Tabs label="Part" value={part} onChange={(value) => show(value as Part)} options={parts} />
        </div>
        {isOperator.value && (part === "usage" || part === "invoice") && <TenantPicker key={tenant} tenant={tenant} part={part} />}
      </div>
      <Content key={`${part} ${tenant}`} tenant={tenant} />
    </Page>
  );
}
