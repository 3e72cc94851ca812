import { asKeyId, Fault } from "#kernel";
import { type CallContext, type Definition, type Handlers, requireClusterKey } from "#proto";
import type { InferenceCore, Principal } from "../contract.ts";
import { RULES, type Rule } from "./rules.ts";

/** A call whose credential has passed its rule. */
export interface GuardedContext extends CallContext {
  readonly principal: Principal;
}

type Guarded<H> = H extends (request: infer Q, context: CallContext) => infer A ? (request: Q, context: GuardedContext) => A : never;

/** One handler per method, told who calls. */
export type GuardedHandlers<D> = { readonly [K in keyof Handlers<D>]: Guarded<Handlers<D>[K]> };

/** Nodes and schedulers: no tenant, and no scope that any other rule asks for. */
const CLUSTER: Principal = { keyId: asKeyId("cluster"), tenantId: undefined, scopes: new Set() };

export interface GuardDeps {
  readonly authenticate: InferenceCore["authenticate"];
  readonly clusterKey: string;
}

/** Puts the rule of each method before its handler. */
export function guard<D extends Definition>(definition: D, handlers: GuardedHandlers<D>, deps: GuardDeps): Handlers<D> {
  const guarded: Record<string, unknown> = {};
  for (const [name, method] of Object.entries(definition)) {
    const handler = (handlers as Record<string, (request: unknown, context: GuardedContext) => unknown>)[name]!;
    const admit = async (context: CallContext) => ({ ...context, principal: await callerOf(context, RULES[method.path], deps) });
    guarded[name] = method.responseStream
      ? async function* (request: unknown, context: CallContext) {
          yield* handler(request, await admit(context)) as AsyncIterable<unknown>;
        }
      : async (request: unknown, context: CallContext) => handler(request, await admit(context));
  }
  return guarded as Handlers<D>;
}

/** @throws Fault key_missing, key_unknown or scope_missing */
async function callerOf(context: CallContext, rule: Rule | undefined, deps: GuardDeps): Promise<Principal> {
  if (rule === "cluster") {
    requireClusterKey(context.credential, deps.clusterKey);
    return CLUSTER;
  }
  const principal = await deps.authenticate(context.credential);
  const operator = principal.scopes.has("admin");
  if (rule !== undefined && (operator || (rule !== "operator" && principal.scopes.has(rule)))) return principal;
  const wanted = rule === undefined || rule === "operator" ? "admin" : rule;
  throw new Fault("scope_missing", `the key may not do this: it needs the scope ${wanted}`);
}
