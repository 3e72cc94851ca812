import type { ComponentType } from "preact";
import type { IconName } from "../components/index.ts";
import { isOperator, may } from "../session/index.ts";

/** One view of the console. Its code is loaded when it is first opened. */
export interface View {
  /** In the address, and the folder's name. */
  readonly id: string;
  readonly title: string;
  readonly icon: IconName;
  /** Whether the key that is signed in has anything to do there. */
  readonly offered: () => boolean;
  readonly load: () => Promise<{ readonly default: ComponentType }>;
}

/** In the order of the navigation; the first that is offered is where one arrives. */
export const VIEWS: readonly View[] = [
  { id: "playground", title: "Playground", icon: "playground", offered: () => may("infer"), load: () => import("./playground/index.tsx") },
  { id: "fine-tunes", title: "Fine-tunes", icon: "fine-tunes", offered: () => may("train"), load: () => import("./fine-tunes/index.tsx") },
  { id: "usage", title: "Usage and bills", icon: "usage", offered: () => may("infer"), load: () => import("./usage/index.tsx") },
  { id: "cluster", title: "Cluster", icon: "cluster", offered: () => isOperator.value, load: () => import("./cluster/index.tsx") },
];
