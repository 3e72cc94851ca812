/** A duration or an instant in milliseconds. Instants count from the Unix epoch unless called monotonic. */
export type Millis = number;

/** A size in bytes. */
export type Bytes = number;

/** A number of tokens. */
export type Tokens = number;

export const KIB: Bytes = 1024;
export const MIB: Bytes = 1024 * KIB;
export const GIB: Bytes = 1024 * MIB;

export const SECOND: Millis = 1000;
export const MINUTE: Millis = 60 * SECOND;
export const HOUR: Millis = 60 * MINUTE;
/** Days of bills and prices are UTC's. */
export const DAY: Millis = 24 * HOUR;
