import { Fault } from "./fault.ts";

/**
 * An amount of money in nano-dollars, always whole. One nano-dollar per token is $0.001 per million tokens, so every
 * price is a whole number of them and no amount is ever rounded.
 */
export type NanoUsd = bigint;

export const NANO_PER_USD = 1_000_000_000n;

const DECIMAL = /^(-?)(\d{1,9})(?:\.(\d{1,9}))?$/;

/** Reads "12.5" dollars. @throws Fault parameter_invalid for anything but a decimal number with at most nine places */
export function parseUsd(text: string, field: string): NanoUsd {
  const [, sign, whole, fraction = ""] = DECIMAL.exec(text) ?? [];
  if (whole === undefined) {
    throw new Fault("parameter_invalid", `${field} is "${text}"; it must be dollars like 12.5, with at most nine decimal places`, {
      detail: { field },
    });
  }
  const nano = BigInt(whole) * NANO_PER_USD + BigInt(fraction.padEnd(9, "0"));
  return sign === "-" ? -nano : nano;
}

/** "12.5": dollars without trailing zeros, with at least `places` decimal places. Exact. */
export function formatUsd(amount: NanoUsd, places = 2): string {
  const absolute = amount < 0n ? -amount : amount;
  const digits = (absolute % NANO_PER_USD).toString().padStart(9, "0");
  const fraction = digits.replace(/0+$/, "").padEnd(places, "0");
  return `${amount < 0n ? "-" : ""}${absolute / NANO_PER_USD}${fraction === "" ? "" : `.${fraction}`}`;
}
