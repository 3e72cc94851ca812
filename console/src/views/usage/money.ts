/**
 * Money is whole nano-dollars here too. The API writes dollars as text, with up to nine decimal places; nothing on the way
 * to the page makes a floating-point number of it, so that what is shown adds up to what is billed.
 */
export type NanoUsd = bigint;

const NANO_PER_USD = 1_000_000_000n;
const DECIMAL = /^(-?)(\d+)(?:\.(\d{1,9}))?$/;

/** "12.5" dollars. @throws RangeError for what is none: then the router and this page are of two versions */
export function nanoUsd(text: string): NanoUsd {
  const [, sign, whole, fraction = ""] = DECIMAL.exec(text) ?? [];
  if (whole === undefined) throw new RangeError(`"${text}" is no amount of dollars`);
  const nano = BigInt(whole) * NANO_PER_USD + BigInt(fraction.padEnd(9, "0"));
  return sign === "-" ? -nano : nano;
}

/** $1,234.50, $0.0000312: every digit there is, at least two behind the point. */
export function exactUsd(amount: NanoUsd): string {
  const absolute = amount < 0n ? -amount : amount;
  const fraction = (absolute % NANO_PER_USD).toString().padStart(9, "0").replace(/0+$/, "").padEnd(2, "0");
  const whole = (absolute / NANO_PER_USD).toString().replace(/\B(?=(\d{3})+$)/g, ",");
  return `${amount < 0n ? "−" : ""}$${whole}.${fraction}`;
}

/** The API's text as people read it. */
export function usdText(text: string): string {
  return exactUsd(nanoUsd(text));
}

export function sumOf(amounts: Iterable<NanoUsd>): NanoUsd {
  let sum = 0n;
  for (const amount of amounts) sum += amount;
  return sum;
}

/** 0 for none, and for amounts below it. */
export function largestOf(amounts: Iterable<bigint>): bigint {
  let largest = 0n;
  for (const amount of amounts) if (amount > largest) largest = amount;
  return largest;
}

/** How much of `whole` a part is, from 0 to 1, for a bar's length: to a ten-thousandth, which no bar shows. */
export function shareOf(part: NanoUsd, whole: NanoUsd): number {
  if (whole <= 0n || part <= 0n) return 0;
  return part >= whole ? 1 : Number((part * 10_000n) / whole) / 10_000;
}
