export interface PictureSize {
  readonly width: number;
  readonly height: number;
  /** Where the title begins. */
  readonly left: number;
}

/** A white picture with a title over what is drawn, as SVG text. */
export function svgPicture(title: string, { width, height, left }: PictureSize, drawn: readonly string[]): string {
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    `<text x="${left}" y="22" font-size="14">${svgText(title)}</text>`,
    ...drawn,
    "</svg>\n",
  ].join("\n");
}

/** Text as it may stand in an element. */
export function svgText(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
