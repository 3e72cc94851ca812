import { Fault } from "#kernel";

/**
 * What Redis says when it cannot serve now, or will not serve us: a replica, a server that starts, has no memory or disk,
 * runs a long script or takes part in no working cluster, or does not let us in.
 */
const REFUSALS = new Set([
  ...["READONLY", "LOADING", "MASTERDOWN", "NOREPLICAS", "CLUSTERDOWN", "TRYAGAIN", "MOVED", "ASK", "CROSSSLOT"],
  ...["OOM", "MISCONF", "BUSY", "UNKILLABLE", "NOAUTH", "NOPERM", "WRONGPASS", "DENIED"],
]);

/** Errors that mean that something else lies under a key than we put there. */
const DAMAGE = /^DAMAGED |^WRONGTYPE |The ID specified in XADD|is not an integer|is not a valid float/;

/** What a script's error says: servers before 7.0 wrap it. */
const WRAPPED = /^ERR Error running script .*?@user_script:? ?\d+: (?=[A-Z]+ )/;

/** Redis's own words for what went wrong, when it was Redis that refused; else undefined. */
export function replyOf(error: unknown): string | undefined {
  return error instanceof Error && error.name === "ReplyError" ? error.message.replace(WRAPPED, "") : undefined;
}

/** Whether a reply says that the server does not know a script by its hash: it was started again, or flushed. */
export function isUnknownScript(error: unknown): boolean {
  return replyOf(error)?.startsWith("NOSCRIPT") ?? false;
}

export function isDamage(error: unknown): boolean {
  return DAMAGE.test(replyOf(error) ?? "");
}

/** Any error of the client as a fault. `server` says which Redis it was. */
export function redisFault(server: string, error: unknown): Fault {
  if (error instanceof Fault) return error;
  if (error instanceof Error && "command" in error) delete error.command; // All that was sent, a whole script too: nothing for a log.
  const reply = replyOf(error);
  if (reply === undefined) return unreachable(server, whyOf(error), error);
  if (REFUSALS.has(reply.split(" ", 1)[0]!)) return unreachable(server, reply, error);
  if (isDamage(error)) return new Fault("checksum_mismatch", `${server} holds something else than we stored: ${reply}`, { cause: error });
  return new Fault("bug", `${server} refuses a command: ${reply}`, { cause: error });
}

export function unreachable(server: string, why: string, cause?: unknown): Fault<"store_unreachable"> {
  return new Fault("store_unreachable", `${server} does not answer: ${why}`, { cause });
}

/** The client speaks of retries, of which we allow none. */
function whyOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.name === "MaxRetriesPerRequestError" ? "the connection broke before the reply" : error.message;
}
