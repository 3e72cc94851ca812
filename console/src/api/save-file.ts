const KEPT_MS = 10_000;

/** Hands an answer to the browser to be kept: a link can't bring a key. */
export async function saveFile(answer: Response, filename: string): Promise<void> {
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), KEPT_MS); // Not before the browser has begun to read it.
}
