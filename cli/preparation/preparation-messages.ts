import type { FaultMessage } from "#kernel";
import type { PreparationReport, PreparationTask } from "#router";

/** From the router's process to the one that prepares: the only message. */
export interface PreparationOrder extends Pick<PreparationTask, "base" | "kind" | "split"> {
  /** Relative to the child's working directory, so that no message names ours. */
  readonly file: string;
  readonly declined: readonly string[];
}

/** And back, as the last word. Paths are relative, too. */
export type PreparationNews =
  | { readonly kind: "done"; readonly report: PreparationReport; readonly train?: string | undefined; readonly valid?: string | undefined }
  | { readonly kind: "failed"; readonly fault: FaultMessage };
