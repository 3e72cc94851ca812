import { join } from "node:path";

/** Of the built console, which lies beside the sources. */
export const CONSOLE_DIRECTORY = join(import.meta.dirname, "../../console/dist");
