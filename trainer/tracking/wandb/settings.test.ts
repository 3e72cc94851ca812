import { expect, test } from "vitest";
import { netrcPassword } from "./netrc.ts";
import { DEFAULT_BASE_URL, DEFAULT_PROJECT, wandbSettings } from "./settings.ts";

const NETRC = `
# machine api.wandb.ai password commented
machine example.org login me password other
macdef init
machine api.wandb.ai password inside-a-macro

machine api.wandb.ai
  login user
  password "the key"
machine localhost:8080 login user password local
`;

test("the key of a machine is found in ~/.netrc as wandb login writes it", () => {
  expect(netrcPassword(NETRC, "api.wandb.ai")).toBe("the key");
  expect(netrcPassword(NETRC, "localhost:8080")).toBe("local");
  expect(netrcPassword(NETRC, "elsewhere.org")).toBeUndefined();
  expect(netrcPassword(`${NETRC}\ndefault login any password fallback`, "elsewhere.org")).toBe("fallback");
  expect(netrcPassword("", "api.wandb.ai")).toBeUndefined();
});

test("nothing set: W&B's own server, our project, whoever logged in", () => {
  const settings = { mode: "online", baseUrl: DEFAULT_BASE_URL, apiKey: "the key", entity: undefined, project: DEFAULT_PROJECT };
  expect(wandbSettings({}, NETRC)).toEqual(settings);
});

test("everything set by W&B's own variables, which win over ~/.netrc", () => {
  const env = {
    WANDB_MODE: "dryrun",
    WANDB_BASE_URL: "http://localhost:8080/",
    WANDB_API_KEY: "k",
    WANDB_ENTITY: "acme",
    WANDB_PROJECT: "p",
  };
  expect(wandbSettings(env, NETRC)).toEqual({
    mode: "offline",
    baseUrl: "http://localhost:8080",
    apiKey: "k",
    entity: "acme",
    project: "p",
  });
});

test("nonsense is refused by the variable's name", () => {
  expect(() => wandbSettings({ WANDB_MODE: "maybe" }, "")).toThrow(/WANDB_MODE is "maybe"/);
  expect(() => wandbSettings({ WANDB_BASE_URL: "ftp://x" }, "")).toThrow(/WANDB_BASE_URL/);
});
