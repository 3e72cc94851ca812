import type { FileRecord, JobRecord } from "../catalog/index.ts";
import type { Principal } from "../contract.ts";
import type { TenantFiles } from "../files/index.ts";
import type { JobEvents } from "./job-events.ts";

/** OpenAI's columns, in its order; the rest only where something was measured. Cells that were not are empty. */
const COLUMNS = ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"] as const;
const EXTRA_COLUMN = /^(full_valid_loss|full_valid_mean_token_accuracy|classification\/.+)$/;
const PURPOSE = "fine-tune-results";
/** Rows are put together, so that the disk is not asked for each. */
const PIECE_ROWS = 500;

/**
 * Keeps what was measured as a file of the job's tenant, once; undefined when nothing was.
 * @throws Fault rate_exceeded when the tenant may keep no more files
 */
export async function keepResults(
  deps: { readonly files: TenantFiles; readonly events: JobEvents },
  job: JobRecord,
): Promise<FileRecord | undefined> {
  const owner: Principal = { keyId: job.keyId, tenantId: job.tenantId, projectId: job.projectId, scopes: new Set(["train"]) };
  const filename = `${job.id}-results.csv`;
  const kept = deps.files.list(owner).find((file) => file.purpose === PURPOSE && file.filename === filename);
  if (kept) return kept;
  const columns = new Set<string>(COLUMNS);
  let rows = 0;
  for await (const { metrics } of deps.events.all(job.id)) {
    if (!metrics) continue;
    rows++;
    for (const name of Object.keys(metrics)) if (EXTRA_COLUMN.test(name)) columns.add(name);
  }
  if (rows === 0) return undefined;
  await using upload = await deps.files.receive(owner, filename);
  let piece = [`${[...columns].join(",")}\n`];
  const write = async () => {
    await upload.append(Buffer.from(piece.join("")));
    piece = [];
  };
  for await (const { metrics } of deps.events.all(job.id)) {
    if (!metrics) continue;
    piece.push(`${[...columns].map((name) => metrics[name] ?? "").join(",")}\n`);
    if (piece.length >= PIECE_ROWS) await write();
  }
  if (piece.length > 0) await write();
  return await upload.keep({ purpose: PURPOSE });
}
