import { formatUsd, type NanoUsd } from "#kernel";
import type { BaseInfo } from "#model";
import { chooseEpochs, estimateCost, estimateTrainingMs, type Preparation } from "#trainer";
import { type OutputFormat, printData, printMessage } from "./output.ts";

export interface DataReportContext {
  readonly base: Pick<BaseInfo, "name" | "contextTokensMax" | "parameterCount">;
  /** As the user named it; undefined for the default. */
  readonly namedBase: string | undefined;
  /** Of trained tokens; undefined when nobody says. */
  readonly perMillion: NanoUsd | undefined;
  readonly tokensPerSecond: number | undefined;
}

/** What was done with a data set, what training on it would take, and what to call next. JSON is one object. */
export function printDataReport(output: OutputFormat, prepared: Preparation, context: DataReportContext): void {
  const plan = planTraining(prepared, context);
  if (output === "json") {
    const { steps, files, ...facts } = prepared;
    printData(JSON.stringify({ ...facts, base: context.base.name, steps, files: files ?? null, ...plan }, null, 2));
    return;
  }
  for (const line of reportLines(prepared, context, plan)) printMessage(line);
  printData(plan.next);
}

type Plan = ReturnType<typeof planTraining>;

function planTraining(prepared: Preparation, { namedBase, base, perMillion, tokensPerSecond }: DataReportContext) {
  const { source, files, rows, tokens, task } = prepared;
  const { train = { path: source, rows: rows.kept, tokens: tokens.total }, valid } = files ?? {};
  const { epochs, reason } = chooseEpochs(train.rows);
  const trainedTokens = train.tokens * epochs;
  return {
    epochs,
    epochsReason: reason,
    trainedTokens,
    costUsd: perMillion === undefined ? null : formatUsd(estimateCost(trainedTokens, perMillion)),
    estimatedSeconds: Math.ceil(estimateTrainingMs(trainedTokens, base.parameterCount, tokensPerSecond) / 1000),
    next: [
      ...["deltaplane ft create -t", quoted(train.path)],
      ...(valid ? ["-v", quoted(valid.path), ...(task === "classification" ? ["--classification"] : [])] : []),
      ...(namedBase === undefined ? [] : ["-m", quoted(base.name)]),
    ].join(" "),
  };
}

function reportLines(prepared: Preparation, { base, perMillion, tokensPerSecond }: DataReportContext, plan: Plan): readonly string[] {
  const { rows, tokens, files, separator, stop, task, steps, source } = prepared;
  const drops = steps.filter(({ applied, dropped }) => applied && dropped);
  const declined = steps.filter(({ kind, applied }) => kind === "recommended" && !applied);
  const written = files ? [files.train, ...(files.valid ? [files.valid] : [])] : [];
  const price =
    perMillion === undefined ? "unknown: no cluster told its price (--price)" : `$${plan.costUsd} at $${formatUsd(perMillion)} per million`;
  return [
    "",
    ...row("rows", `${rows.kept} of ${rows.read} kept, ${rows.dropped} dropped`),
    ...drops.map(({ check, dropped }) => `           ${check}: ${dropped!.rows}, lines ${listed(dropped!)}`),
    ...row("task", task),
    ...row(
      "tokens",
      `${tokens.total} a pass for ${base.name}; median ${tokens.median}, longest ${tokens.longest} (line ${tokens.longestLine}) of ${base.contextTokensMax}`,
    ),
    ...row("epochs", `${plan.epochs}: ${plan.epochsReason}`),
    ...row("cost", `${plan.trainedTokens} tokens in all, ${price}`),
    ...row(
      "time",
      `about ${duration(plan.estimatedSeconds)}${tokensPerSecond === undefined ? " on two cores, by order of magnitude" : ""}`,
    ),
    ...(written.length === 0 ? row("file", `nothing to change: ${source} is ready as it is`) : []),
    ...written.flatMap((file) => row("wrote", `${file.path} (${file.rows} rows, ${file.tokens} tokens)`)),
    ...(declined.length === 0 ? [] : row("left", `recommended and not done: ${declined.map(({ check }) => check).join(", ")}`)),
    ...(task === "classification" && !files?.valid ? row("left", "no examples are kept apart, to measure with (--split)") : []),
    ...(separator === undefined ? [] : row("call", `end each prompt with ${JSON.stringify(separator)}, as these do`)),
    ...(stop === undefined ? [] : row("call", `pass stop=[${JSON.stringify(stop)}]`)),
    "",
    "Next:",
  ];
}

function row(name: string, text: string): readonly string[] {
  return [`${name.padEnd(11)}${text}`];
}

function listed({ rows, firstLines }: { readonly rows: number; readonly firstLines: readonly number[] }): string {
  return firstLines.join(", ") + (rows > firstLines.length ? ", …" : "");
}

function duration(seconds: number): string {
  if (seconds < 100) return `${seconds} s`;
  if (seconds < 100 * 60) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

/** As a shell takes it. */
function quoted(text: string): string {
  return /^[\w./:@%+,=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
