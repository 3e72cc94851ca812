/** What the router answers, as far as this view reads it. Amounts are exact dollars as text. */

export type Dimension = "day" | "model" | "key" | "project" | "tenant";

export interface UsageRow {
  readonly day?: string | null;
  readonly model?: string | null;
  readonly key_id?: string | null;
  readonly project_id?: string | null;
  readonly tenant_id?: string | null;
  readonly requests: number;
  readonly prompt_tokens: number;
  readonly cached_tokens: number;
  readonly completion_tokens: number;
  readonly trained_tokens: number;
  readonly amount_usd: string;
}

export interface UsageList {
  readonly since_ms: number;
  readonly until_ms: number;
  readonly data: readonly UsageRow[];
}

export interface Spending {
  readonly tenant_id: string;
  readonly requests_running: number;
  readonly spent_usd: string;
  readonly held_usd: string;
  readonly period: "month" | "ever";
  readonly budget_usd: string | null;
  readonly left_usd: string | null;
}

export interface InvoiceLine {
  readonly base: string;
  readonly model: string;
  readonly kind: "prompt" | "cached" | "completion" | "training";
  readonly price_version: number;
  readonly tokens: number;
  readonly usd_per_million: string;
  readonly amount_usd: string;
}

export interface Correction {
  readonly id: string;
  readonly request_id: string | null;
  readonly reason: string;
  readonly amount_usd: string;
  readonly posted_at_ms: number;
}

export interface Invoice {
  readonly tenant_id: string;
  readonly month: string;
  readonly preliminary: boolean;
  readonly position: number;
  readonly hash: string;
  readonly total_usd: string;
  readonly lines: readonly InvoiceLine[];
  readonly corrections: readonly Correction[];
}

export interface Tenant {
  readonly id: string;
  readonly price_plan: string;
  readonly suspended_at_ms: number | null;
  readonly limits: Readonly<Record<string, number>>;
  readonly spending: Spending;
}

export interface TenantList {
  readonly total: number;
  readonly data: readonly Tenant[];
  readonly has_more: boolean;
}

export interface Prices {
  readonly prompt: string;
  readonly cached_prompt: string;
  readonly completion: string;
  readonly training: string;
}

export interface PriceList {
  readonly version: number;
  readonly plan: string;
  readonly effective_from_ms: number;
  readonly gpu_hour_usd: string;
  readonly default_prices: Prices | null;
  readonly bases: Readonly<Record<string, Prices>>;
}

export interface Revenue {
  readonly bases: readonly {
    readonly base: string;
    readonly tokens: number;
    readonly revenue_usd: string;
    readonly gpu_hours: number;
    readonly gpu_cost_usd: string;
  }[];
  readonly tenants: readonly {
    readonly tenant_id: string;
    readonly base: string;
    readonly tokens: number;
    readonly revenue_usd: string;
    readonly gpu_hours: number;
    readonly rented_gpu_hours: number;
    readonly rented_cost_usd: string;
  }[];
}
