import { cloudevents } from "./cloudevents.ts";
import type { Exporter } from "./contract.ts";
import { csv } from "./csv.ts";
import { focus } from "./focus.ts";
import { lago } from "./lago.ts";
import { stripe } from "./stripe.ts";

export type { Exporter, ExportSource } from "./contract.ts";

/** Every format, by the name that the command line uses. */
export const EXPORTERS = { csv, focus, cloudevents, stripe, lago } as const satisfies Record<string, Exporter>;
