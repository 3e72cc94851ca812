import { Panel } from "../../components/index.ts";
import type { Job } from "./job.ts";

/** The reasons speak of the wire's names; OpenAI's own differ in one. */
const REASON_NAMES: Readonly<Record<string, string>> = { n_epochs: "epochs" };

/** What the training was done with, and why. */
export function Hyperparameters({ of }: { readonly of: Job }) {
  const { hyperparameters, reasons, seed } = of;
  const entries = [...Object.entries(hyperparameters), ["seed", seed] as const];
  return (
    <Panel title="Settings">
      <dl class="knob-list">
        {entries.map(([name, value]) => {
          const reason = reasons[REASON_NAMES[name] ?? name];
          return (
            <div key={name}>
              <dt>{name.replaceAll("_", " ")}</dt>
              <dd class="num">
                {String(value)}
                {reason !== undefined && <span class="hint"> {reason.replace(/^[^:]*: /, "")}</span>}
              </dd>
            </div>
          );
        })}
      </dl>
    </Panel>
  );
}
