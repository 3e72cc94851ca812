import { useSignal } from "@preact/signals";
import { percent } from "../../components/index.ts";
import type { Token } from "./chunk.ts";

/**
 * A text by its tokens, each the more marked the less likely it was. The pointer, a tap, or the arrow keys choose one, and the
 * alternatives it had are listed below.
 */
export function TokenText({ tokens, text }: { readonly tokens: readonly Token[]; readonly text: string }) {
  const chosen = useSignal<number | undefined>(undefined);
  const token = chosen.value === undefined ? undefined : tokens[chosen.value];
  const said = saidTokens(tokens, text);
  const choose = (event: Event) => {
    const index = (event.target as HTMLElement).dataset["token"];
    if (index !== undefined) chosen.value = Number(index);
  };
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    chosen.value = Math.min(Math.max((chosen.value ?? -step) + step, 0), tokens.length - 1);
  };
  return (
    <>
      {/* biome-ignore lint/a11y/useSemanticElements: a group of words, not of fields */}
      <div
        class="answer-text tokens"
        role="group"
        aria-label="Tokens; the arrow keys go from one to the next"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys walk through its tokens
        tabIndex={0}
        onPointerOver={choose}
        onClick={choose}
        onKeyDown={move}
      >
        {tokens.map(({ text: own, logprob }, index) => (
          <span
            key={index}
            data-token={index}
            class={`token${index === chosen.value ? " token-chosen" : ""}${index >= said ? " token-unsaid" : ""}`}
            style={{ "--doubt": `${Math.round((1 - Math.exp(logprob)) * 100)}%` }}
          >
            {own}
          </span>
        ))}
      </div>
      <div class="token-detail" aria-live="polite">
        {token ? <Alternatives token={token} /> : <p class="hint">Point at a token, or tap it, to see what else was likely.</p>}
      </div>
    </>
  );
}

function Alternatives({ token }: { readonly token: Token }) {
  const known = token.alternatives.some(({ text }) => text === token.text);
  const listed = known ? token.alternatives : [...token.alternatives, { text: token.text, logprob: token.logprob }];
  return (
    <table class="alternatives">
      <caption class="unseen">Likeliest tokens at this place</caption>
      <tbody>
        {listed.map(({ text, logprob }) => (
          <tr key={text} class={text === token.text ? "alternative-chosen" : undefined}>
            <th scope="row" class="mono">
              {visible(text)}
            </th>
            <td class="num">{percent(Math.exp(logprob))}</td>
            <td class="alternative-bar">
              <div style={{ width: `${Math.exp(logprob) * 100}%` }} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** How many of the tokens made the text: the one that ends it, and what belongs to a stop sequence, did not. */
function saidTokens(tokens: readonly Token[], text: string): number {
  let length = 0;
  for (const [index, token] of tokens.entries()) {
    if (length >= text.length) return index;
    length += token.text.length;
  }
  return tokens.length;
}

/** Blanks and line ends, as something that can be seen. */
function visible(text: string): string {
  return text === "" ? "(nothing)" : text.replaceAll(" ", "␣").replaceAll("\n", "⏎").replaceAll("\t", "⇥");
}
