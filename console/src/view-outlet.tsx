import type { ComponentType } from "preact";
import { useErrorBoundary } from "preact/hooks";
import { ApiFailure, useResource } from "./api/index.ts";
import { Failure, Remote } from "./components/index.ts";
import type { View } from "./views/registry.ts";

/** Loads a view's code and shows it. A view that breaks says so in its place; the frame stays. */
export function ViewOutlet({ view }: { readonly view: View }) {
  const [broken, again] = useErrorBoundary((error: unknown) => console.error(error));
  const code = useResource(() => loaded(view), [view]);
  if (broken) return <Failure failure={new ApiFailure(`this view broke: ${String(broken)}`, { status: 0 })} retry={again} />;
  return (
    <Remote of={code} what={view.title.toLowerCase()}>
      {({ Shown }) => <Shown />}
    </Remote>
  );
}

async function loaded(view: View): Promise<{ readonly Shown: ComponentType }> {
  const { default: Shown } = await view.load();
  return { Shown };
}
