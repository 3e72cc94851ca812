import { asKeyId, Fault } from "#kernel";
import { type CallContext, type Definition, type Handlers, requireClusterKey } from "#proto";
import type { InferenceCore, Principal } from "../contract.ts";
import type { Access } from "../keys/index.ts";
import { RULES, type Rule } from "./rules.ts";

/** A call whose credential has passed its rule. */
export interface GuardedContext extends CallContext {
  readonly principal: Principal;
}

type Guarded<H> = H extends (request: infer Q, context: CallContext) => infer A ? (request: Q, context: GuardedContext) => A : never;

/** One handler per method, told who calls. */
export type GuardedHandlers<D> = { readonly [K in keyof Handlers<D>]: Guarded<Handlers<D>[K]> };

/** Nodes and schedulers: no tenant, and no scope that any other rule asks for. */
const CLUSTER: Principal = { keyId: asKeyId("cluster"), tenantId: undefined, projectId: undefined, scopes: new Set() };

/** Whom a door lets in: customers and operators by their keys, the cluster's own parts by theirs, or all of them. */
export type Door = "all" | "customers" | "cluster";

export interface GuardDeps {
  readonly authenticate: InferenceCore["authenticate"];
  readonly clusterKey: string;
  /** Ends calls whose key loses access; undefined where the handlers see to it themselves. */
  readonly access: Access | undefined;
  /** Default: all. */
  readonly door?: Door;
}

/** A call that was let in. Dispose it when it has ended. */
interface Admitted extends Disposable {
  readonly context: GuardedContext;
}

/** Puts the rule of each method before its handler. */
export function guard<D extends Definition>(definition: D, handlers: GuardedHandlers<D>, deps: GuardDeps): Handlers<D> {
  const guarded: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(definition)) {
    const handler = (handlers as Record<string, (request: unknown, context: GuardedContext) => unknown>)[name]!;
    guarded[name] = method.responseStream
      ? async function* (request: unknown, context: CallContext) {
          using admitted = await admit(context, RULES[method.path], deps);
          for await (const message of handler(request, admitted.context) as AsyncIterable<unknown>) {
            admitted.context.signal.throwIfAborted();
            yield message;
          }
        }
      : async (request: unknown, context: CallContext) => {
          using admitted = await admit(context, RULES[method.path], deps);
          return await handler(request, admitted.context);
        };
  }
  return guarded as Handlers<D>;
}

/** @throws Fault key_missing, key_unknown, tenant_suspended or scope_missing */
async function admit(context: CallContext, rule: Rule | undefined, deps: GuardDeps): Promise<Admitted> {
  const { door = "all" } = deps;
  if (door !== "all" && (rule === "cluster") !== (door === "cluster"))
    throw new Fault(
      "scope_missing",
      `this door is for ${door === "cluster" ? "the cluster's own parts" : "keys of customers and operators"}`,
    );
  if (rule === "cluster") {
    requireClusterKey(context.credential, deps.clusterKey);
    return { context: { ...context, principal: CLUSTER }, [Symbol.dispose]: () => undefined };
  }
  const principal = await deps.authenticate(context.credential);
  requireRule(principal, rule);
  const access = deps.access?.watch(principal);
  const signal = access ? AbortSignal.any([context.signal, access.signal]) : context.signal;
  return { context: { ...context, signal, principal }, [Symbol.dispose]: () => access?.[Symbol.dispose]() };
}

/** What has no rule is refused to everybody. @throws Fault scope_missing */
function requireRule(principal: Principal, rule: Exclude<Rule, "cluster"> | undefined): void {
  const operator = principal.scopes.has("admin");
  if (rule !== undefined && (operator || (rule !== "operator" && principal.scopes.has(rule)))) return;
  const wanted = rule === undefined || rule === "operator" ? "admin" : rule;
  throw new Fault("scope_missing", `the key may not do this: it needs the scope ${wanted}`);
}
