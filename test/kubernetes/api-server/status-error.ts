/** What an API server answers instead of an object: meta/v1 Status. */
export class StatusError extends Error {
  readonly code: number;
  readonly reason: string;

  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }

  toJSON(): Record<string, unknown> {
    const { code, reason, message } = this;
    return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, reason, code };
  }
}

export const notFound = (what: string) => new StatusError(404, "NotFound", `${what} not found`);
export const conflict = (what: string) =>
  new StatusError(
    409,
    "Conflict",
    `Operation cannot be fulfilled on ${what}: the object has been modified; please apply your changes to the latest version`,
  );
export const exists = (what: string) => new StatusError(409, "AlreadyExists", `${what} already exists`);
export const invalid = (what: string, why: string) => new StatusError(422, "Invalid", `${what} is invalid: ${why}`);
export const expired = (version: number, oldest: number) =>
  new StatusError(410, "Expired", `too old resource version: ${version} (${oldest})`);
