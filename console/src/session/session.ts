import { computed, signal } from "@preact/signals";
import { ApiFailure } from "../api/failure.ts";
import { request } from "../api/request.ts";

export type Scope = "infer" | "train" | "admin";

/** Who is signed in. The key lives here and nowhere else: closing the tab forgets it. */
export interface Session {
  readonly key: string;
  readonly keyId: string;
  /** Undefined for an operator. */
  readonly tenant: string | undefined;
  readonly project: string | undefined;
  readonly scopes: ReadonlySet<Scope>;
  /** Aborts with the session: whatever is still being asked or streamed in its name. */
  readonly ended: AbortSignal;
}

/** `GET /v1/account` */
interface Account {
  readonly key: { readonly id: string; readonly project_id: string | null; readonly scopes: readonly Scope[] };
  readonly tenant: { readonly id: string } | null;
}

export const session = signal<Session | undefined>(undefined);
let ending = new AbortController();
/** Why the last session ended without its user's doing. */
export const endedBy = signal<ApiFailure | undefined>(undefined);

/** An operator's key may do everything. */
export const isOperator = computed(() => session.value?.scopes.has("admin") ?? false);

export function may(scope: Scope): boolean {
  return session.value !== undefined && (session.value.scopes.has(scope) || session.value.scopes.has("admin"));
}

/** @throws ApiFailure when the key is not known */
export async function signIn(key: string, signal: AbortSignal): Promise<void> {
  const { key: own, tenant } = await request<Account>(key, "GET", "/v1/account", { signal });
  endedBy.value = undefined;
  ending = new AbortController();
  session.value = {
    key,
    ended: ending.signal,
    keyId: own.id,
    tenant: tenant?.id,
    project: own.project_id ?? undefined,
    scopes: new Set(own.scopes),
  };
}

export function signOut(): void {
  ending.abort();
  session.value = undefined;
}

/** A key that was revoked, or has expired, ends the session wherever it is noticed. */
export function endSessionOn(failure: unknown): void {
  if (!(failure instanceof ApiFailure) || failure.status !== 401) return;
  endedBy.value = failure;
  signOut();
}
