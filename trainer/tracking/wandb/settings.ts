import { Fault } from "#kernel";
import type { TrackedRun } from "../contract.ts";
import { netrcPassword } from "./netrc.ts";

/** How runs reach W&B: the words of its own client, so that a machine that is set up for it needs nothing more. */
export interface WandbSettings {
  /** `online`: live over HTTP. `offline`: folders for `wandb sync`. `disabled`: neither. */
  readonly mode: "online" | "offline" | "disabled";
  /** The API, without a slash at its end. */
  readonly baseUrl: string;
  /** Undefined: nobody has logged in. */
  readonly apiKey: string | undefined;
  /** Undefined: the key's own default. */
  readonly entity: string | undefined;
  readonly project: string;
}

export const DEFAULT_BASE_URL = "https://api.wandb.ai";
export const DEFAULT_PROJECT = "deltaplane-fine-tune";

const MODES: Readonly<Record<string, WandbSettings["mode"]>> = {
  "": "online",
  online: "online",
  shared: "online",
  offline: "offline",
  dryrun: "offline",
  disabled: "disabled",
};

/**
 * WANDB_MODE, WANDB_BASE_URL, WANDB_API_KEY, WANDB_ENTITY, WANDB_PROJECT; without a key in the environment, the one in `netrc`
 * (the content of `~/.netrc`, "" when there is none).
 * @throws Fault parameter_invalid naming the variable
 */
export function wandbSettings(env: Readonly<Record<string, string | undefined>>, netrc: string): WandbSettings {
  const mode = MODES[env["WANDB_MODE"] ?? ""];
  if (mode === undefined) throw invalid("WANDB_MODE", `is "${env["WANDB_MODE"]}", none of online, offline, disabled`);
  const baseUrl = (env["WANDB_BASE_URL"] || DEFAULT_BASE_URL).replace(/\/+$/, "");
  if (!URL.canParse(baseUrl) || !/^https?:/.test(baseUrl)) throw invalid("WANDB_BASE_URL", "is no http or https URL");
  return {
    mode,
    baseUrl,
    apiKey: env["WANDB_API_KEY"] || netrcPassword(netrc, new URL(baseUrl).host),
    entity: env["WANDB_ENTITY"] || undefined,
    project: env["WANDB_PROJECT"] || DEFAULT_PROJECT,
  };
}

/** Where a run goes: as its job says, else as configured. */
export function runTarget(settings: WandbSettings, run: TrackedRun): { readonly entity: string | undefined; readonly project: string } {
  return { entity: run.entity ?? settings.entity, project: run.project ?? settings.project };
}

function invalid(field: string, message: string): Fault {
  return new Fault("parameter_invalid", `${field} ${message}`, { detail: { field } });
}
