import { useState } from "preact/hooks";
import { Button } from "./button.tsx";

/** Puts a text on the clipboard, and says whether that worked: a browser may forbid it. */
export function CopyButton({ text, label = "Copy" }: { readonly text: string; readonly label?: string }) {
  const [said, setSaid] = useState<string>();
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setSaid("Copied");
    } catch {
      setSaid("Not permitted: select and copy it by hand");
    }
    setTimeout(() => setSaid(undefined), 2_000);
  };
  return (
    <Button icon={said === "Copied" ? "check" : "copy"} onPress={() => void copy()}>
      {said ?? label}
    </Button>
  );
}
