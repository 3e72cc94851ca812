/** Where a shell tells what happened; a pino logger is one. Pure code does not log, it returns what happened. */
export interface Log {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
