import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { chromiumPath } from "../chromium-installation.ts";

/** The system's Chromium; undefined where there is none: then tests that need it are skipped. */
export const CHROMIUM = chromiumPath();

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Runs in the page, before anything of its own. */
const TELL_POLICY = `document.addEventListener("securitypolicyviolation", (event) =>
  console.error("policy: " + event.violatedDirective + " " + event.blockedURI))`;
/** Where `shot` writes; nowhere when it is not said. */
const SHOTS = process.env["CONSOLE_SHOTS"];

export function openBrowser(): Promise<Browser> {
  // Without its sandbox, which a container has no rights for: it sees nothing but our own page.
  return chromium.launch({ executablePath: CHROMIUM!, args: ["--no-sandbox"] });
}

/** The console in a tab, with everything that must not be said by it. */
export interface OpenConsole extends AsyncDisposable {
  readonly page: Page;
  /** Errors and warnings of the page's console, exceptions, refused requests of the page's policy. */
  readonly complaints: readonly string[];
  signIn(key: string, address: string): Promise<void>;
  /** What axe finds wrong in what is shown now: rule, and where. */
  faults(): Promise<readonly string[]>;
  /** Of the whole page, or of what is in the window. */
  shot(name: string, area?: "page" | "window"): Promise<Buffer>;
}

export interface ConsoleOptions {
  readonly width?: number;
  readonly dark?: boolean;
}

export async function openConsole(
  browser: Browser,
  http: string,
  { width = 1280, dark = false }: ConsoleOptions = {},
): Promise<OpenConsole> {
  const context = await browser.newContext({
    viewport: { width, height: width < 600 ? 780 : 900 },
    colorScheme: dark ? "dark" : "light",
    reducedMotion: "reduce",
    acceptDownloads: true,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(TELL_POLICY);
  return {
    page,
    complaints,
    async signIn(key, address) {
      await page.goto(`${http}/#${address}`);
      await page.getByLabel("API key").fill(key);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByRole("button", { name: "Sign out" }).waitFor();
    },
    faults: () => axeFaults(page),
    async shot(name, area = "page") {
      await page.evaluate("scrollTo(0, 0)");
      if (SHOTS !== undefined) mkdirSync(SHOTS, { recursive: true });
      return page.screenshot({ fullPage: area === "page", ...(SHOTS !== undefined && { path: join(SHOTS, `${name}.png`) }) });
    },
    [Symbol.asyncDispose]: () => context.close(),
  };
}

interface AxeResult {
  readonly violations: readonly { readonly id: string; readonly nodes: readonly { readonly html: string }[] }[];
}

async function axeFaults(page: Page): Promise<readonly string[]> {
  await page.evaluate(AXE);
  const result = (await page.evaluate("axe.run()")) as AxeResult;
  return result.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" | ")}`);
}
