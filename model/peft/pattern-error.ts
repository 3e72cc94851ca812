/** Why a pattern of a file can't be used. */
export class PatternError extends Error {
  override readonly name = "PatternError";
}
