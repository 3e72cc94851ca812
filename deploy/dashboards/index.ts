import type { Dashboard } from "../dashboard.ts";
import { CLUSTER } from "./cluster.ts";
import { DELTAS } from "./deltas.ts";
import { FINE_TUNING } from "./fine-tuning.ts";
import { MONEY } from "./money.ts";
import { TENANTS } from "./tenants.ts";

export const DASHBOARDS: readonly Dashboard[] = [CLUSTER, DELTAS, TENANTS, MONEY, FINE_TUNING];
