import { computed, signal } from "@preact/signals";
import { perSession } from "../../session/index.ts";
import { type Asked, type Call, type ChatMessage, callOf } from "./call.ts";
import { type Run, startRun } from "./run.ts";
import { INITIAL_SETTINGS, type Settings } from "./settings.ts";

export type Mode = "chat" | "prompt";

/** What was asked, and each column's answer; a column that was opened later has none. */
export interface Turn {
  readonly id: number;
  readonly asked: string;
  readonly runs: readonly (Run | undefined)[];
}

export type Playground = ReturnType<typeof createPlayground>;

/** What the playground remembers until its user signs out. */
export const playground = perSession(createPlayground);

function createPlayground() {
  const mode = signal<Mode>("chat");
  /** Of each column. */
  const models = signal<readonly [string, string]>(["", ""]);
  const comparing = signal(false);
  const system = signal("");
  /** The message, or the prompt, that is being written. */
  const draft = signal<Readonly<Record<Mode, string>>>({ chat: "", prompt: "" });
  const settings = signal<Settings>(INITIAL_SETTINGS);
  const probabilities = signal(false);
  const turns = signal<Readonly<Record<Mode, readonly Turn[]>>>({ chat: [], prompt: [] });
  const columns = computed(() => (comparing.value ? [0, 1] : [0]) as readonly (0 | 1)[]);
  const shownTurns = computed(() => turns.value[mode.value]);
  const runsOpen = computed(() => shownTurns.value.flatMap(({ runs }) => runs).filter((run) => run !== undefined && isOpen(run)));

  const text = computed(() => draft.value[mode.value]);
  const write = (value: string) => {
    draft.value = { ...draft.value, [mode.value]: value };
  };
  const callIn = (column: 0 | 1): Call => {
    const asked: Asked =
      mode.value === "prompt"
        ? { kind: "prompt", prompt: text.value }
        : { kind: "chat", messages: conversation(system.value, turns.value.chat, column, text.value) };
    return callOf(models.value[column], asked, settings.value, probabilities.value);
  };
  /** What "view code" shows: the call that would be made, or was made last when nothing is being written. */
  const shownCall = (): Call => (text.value === "" ? shownTurns.value.at(-1)?.runs[0]?.call : undefined) ?? callIn(0);
  const send = () => {
    if (text.value === "" || runsOpen.value.length > 0) return;
    const runs = columns.value.map((column) => startRun(callIn(column)));
    const turn = { id: (shownTurns.value.at(-1)?.id ?? 0) + 1, asked: text.value, runs };
    turns.value = { ...turns.value, [mode.value]: mode.value === "chat" ? [...shownTurns.value, turn] : [turn] };
    if (mode.value === "chat") write("");
  };
  const stop = () => {
    for (const run of runsOpen.value) run?.stop();
  };
  const clear = () => {
    stop();
    turns.value = { ...turns.value, [mode.value]: [] };
  };
  return {
    mode,
    models,
    comparing,
    system,
    text,
    write,
    settings,
    probabilities,
    shownTurns,
    runsOpen,
    columns,
    shownCall,
    send,
    stop,
    clear,
  };
}

function isOpen({ state }: Run): boolean {
  return state.value.status === "waiting" || state.value.status === "streaming";
}

/** What a column's model has been told and has said. Of several choices the first goes on; what failed was not said. */
function conversation(system: string, turns: readonly Turn[], column: 0 | 1, next: string): readonly ChatMessage[] {
  const said = turns.flatMap(({ asked, runs }): readonly ChatMessage[] => {
    const answer = runs[column]?.state.value.choices[0]?.text;
    if (answer === undefined || answer === "") return [];
    return [
      { role: "user", content: asked },
      { role: "assistant", content: answer },
    ];
  });
  return [...(system === "" ? [] : [{ role: "system" as const, content: system }]), ...said, { role: "user", content: next }];
}
