import { assert } from "#kernel";
import type { Check, Finding, Fix, RowSet, Survey } from "./checks/index.ts";
import type { Dialogue } from "./dialogue.ts";
import type { Row } from "./rows.ts";

/** Reads all rows again, from the first. */
export type Rows<R extends Row> = () => AsyncGenerator<readonly R[]>;

/** Counts what the checks need to know of all rows together. */
export interface Surveyor<R extends Row> {
  see(row: R): void;
  conclude(): Survey;
}

export interface Settled<R extends Row> {
  readonly rows: Rows<R>;
  readonly survey: Survey;
  readonly separator: string | undefined;
  readonly stop: string | undefined;
  /** Whether any fix was made. */
  readonly changed: boolean;
}

/** Each fix that is made costs a reading at most, and few are made more than once: more rounds mean that two undo each other. */
const ROUNDS_MAX = 50;

/**
 * Reads the rows as often as needed until no check has anything left to change, so that the same checks find nothing in
 * what was prepared. Fixes are made while reading: only row numbers and statistics are held.
 *
 * @throws what a check finds to be an error
 */
export async function settle<R extends Row>(
  source: Rows<R>,
  checks: readonly Check<R>[],
  surveyor: () => Surveyor<R>,
  dialogue: Dialogue,
): Promise<Settled<R>> {
  const fixes = new AppliedFixes<R>();
  const rows = () => fixes.over(source);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const { findings, survey } = await inspect(rows, checks, surveyor());
    if (await act(checks, findings, fixes, dialogue)) continue;
    const separator = findings.find((finding) => finding?.separator !== undefined)?.separator;
    const stop = findings.find((finding) => finding?.stop !== undefined)?.stop;
    return { rows, survey, separator, stop, changed: round > 0 };
  }
  assert(false, "the fixes of the checks do not undo each other");
}

type Findings<R extends Row> = readonly (Finding<R> | undefined)[];

async function inspect<R extends Row>(rows: Rows<R>, checks: readonly Check<R>[], surveyor: Surveyor<R>) {
  const inspections = checks.map((check) => check.start());
  for await (const batch of rows()) {
    for (const row of batch) {
      surveyor.see(row);
      for (const inspection of inspections) inspection.see(row);
    }
  }
  const survey = surveyor.conclude();
  return { survey, findings: inspections.map((inspection) => inspection.conclude(survey)) };
}

/** Makes the fixes of the first stage that has any; says whether it did. */
async function act<R extends Row>(
  checks: readonly Check<R>[],
  findings: Findings<R>,
  fixes: AppliedFixes<R>,
  dialogue: Dialogue,
): Promise<boolean> {
  let changedStage: number | undefined;
  for (const [index, { name, stage }] of checks.entries()) {
    const finding = findings[index];
    if (changedStage !== undefined && stage > changedStage) break;
    if (!finding) continue;
    if (finding.error) throw finding.error;
    if (finding.immediateMessage !== undefined) dialogue.note(name, finding.immediateMessage);
    const { necessary, optional } = finding;
    const fix = necessary ?? optional;
    if (!fix || !(await dialogue.accept(name, necessary ? "necessary" : "recommended", fix))) continue;
    fixes.add(fix);
    changedStage = stage;
  }
  return changedStage !== undefined;
}

/** All fixes that were made, as one way from a source's rows to the prepared ones. */
class AppliedFixes<R extends Row> {
  readonly #dropped: RowSet[] = [];
  readonly #rewrites: ((row: R) => R)[] = [];

  add({ drop, rewrite }: Fix<R>): void {
    if (drop) this.#dropped.push(drop);
    if (rewrite) this.#rewrites.push(rewrite);
  }

  async *over(source: Rows<R>): AsyncGenerator<readonly R[]> {
    for await (const batch of source()) {
      const kept: R[] = [];
      for (const row of batch) {
        if (this.#dropped.some((rows) => rows.has(row.ordinal))) continue;
        kept.push(this.#rewrites.reduce((rewritten, rewrite) => rewrite(rewritten), row));
      }
      yield kept;
    }
  }
}
