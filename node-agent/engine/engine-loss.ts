/**
 * How an engine was lost: its runtime `failed` and said so (a device that was reset does), its process `ended` (native code
 * crashed, somebody killed it), or it fell `silent` (a driver hangs) and was killed for it.
 */
export type LossKind = "failed" | "ended" | "silent";

/** Why an engine can't go on. */
export class EngineLoss extends Error {
  override readonly name = "EngineLoss";
  readonly kind: LossKind;

  constructor(kind: LossKind, message: string) {
    super(message);
    this.kind = kind;
  }
}
