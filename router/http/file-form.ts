import type { FastifyRequest } from "fastify";
import { z } from "zod";
import { type Bytes, Fault, KIB, type Millis, SECOND, shapeWords } from "#kernel";
import type { FileRecord } from "../catalog/index.ts";
import type { FileUpload, TenantFiles } from "../files/index.ts";
import { invalidField } from "./request-body.ts";

/** A form has the file and three fields; clients may add some of their own. */
const FIELDS_MAX = 16;
const FIELD_BYTES_MAX: Bytes = KIB;
const FILENAME_CHARACTERS_MAX = 255;

/** OpenAI's. All are kept alike; what is not for us to work with is for the tenant to fetch again. */
const PURPOSES = ["fine-tune", "batch", "assistants", "vision", "user_data", "evals"] as const;
/** OpenAI's: an hour to thirty days. */
const EXPIRES_SECONDS = { min: 3_600, max: 2_592_000 };

const Form = z.object({
  purpose: z.enum(PURPOSES, { error: `must be one of ${PURPOSES.join(", ")}` }),
  "expires_after[anchor]": z.literal("created_at", { error: "must be created_at" }).optional(),
  "expires_after[seconds]": z.coerce.number().int().min(EXPIRES_SECONDS.min).max(EXPIRES_SECONDS.max).optional(),
});

/**
 * Takes in a form with one file, straight to disk. On any failure, and when the client leaves, nothing of it stays.
 * @throws Fault parameter_invalid, naming the field; message_too_large; rate_exceeded; message_malformed
 */
export async function receiveForm(files: TenantFiles, request: FastifyRequest): Promise<FileRecord> {
  await using uploads = new AsyncDisposableStack();
  let upload: FileUpload | undefined;
  const fields = new Map<string, unknown>();
  // One byte more than fits, so that it is we who see the end of a file that is too large.
  const limits = {
    files: 1,
    fields: FIELDS_MAX,
    fieldSize: FIELD_BYTES_MAX,
    parts: FIELDS_MAX + 1,
    fileSize: files.limits.fileBytesMax + 1,
  };
  for await (const part of sent(request.parts({ limits }))) {
    if (part.type === "field") {
      if (part.valueTruncated) throw invalidField(part.fieldname, `is longer than ${FIELD_BYTES_MAX} bytes`);
      fields.set(part.fieldname, part.value);
      continue;
    }
    if (part.fieldname !== "file") throw invalidField(part.fieldname, "is a file; the one that is sent is called file");
    upload = uploads.use(await files.receive(request.principal, filenameOf(part.filename)));
    for await (const bytes of sent(part.file as AsyncIterable<Buffer>)) await upload.append(bytes);
  }
  if (!upload) throw invalidField("file", "is missing");
  return await upload.keep(readFields(fields)); // Awaited: what is not kept yet would be dropped.
}

/** What comes from the client: where it breaks off or is no form, that is the client's fault. */
async function* sent<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* source;
  } catch (error) {
    if (error instanceof Error && "statusCode" in error) throw error; // A limit of the form's, in its own words.
    throw new Fault("message_malformed", "the form breaks off, or is none", { cause: error });
  }
}

function readFields(fields: ReadonlyMap<string, unknown>): { readonly purpose: string; readonly expiresAfterMs: Millis | undefined } {
  const read = Form.safeParse(Object.fromEntries(fields), { error: shapeWords });
  if (!read.success) throw invalidField(read.error.issues[0]!.path.join("."), read.error.issues[0]!.message);
  const seconds = read.data["expires_after[seconds]"];
  if (read.data["expires_after[anchor]"] !== undefined && seconds === undefined) throw invalidField("expires_after[seconds]", "is missing");
  return { purpose: read.data.purpose, expiresAfterMs: seconds === undefined ? undefined : seconds * SECOND };
}

/** As the tenant calls it. It is only ever shown, never a path. */
function filenameOf(name: string): string {
  if (name === "") throw invalidField("file", "has no name");
  if (name.length > FILENAME_CHARACTERS_MAX) throw invalidField("file", `has a name of more than ${FILENAME_CHARACTERS_MAX} characters`);
  if (!name.isWellFormed()) throw invalidField("file", "has a name that is no valid Unicode text");
  return name;
}
