import type { ComponentChildren } from "preact";
import type { ApiFailure, Resource } from "../api/index.ts";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icon.tsx";

/** Where something will be in a moment. `what`: "models", "your jobs". */
export function Loading({ what }: { readonly what: string }) {
  return (
    <p class="state loading" role="status">
      <span class="loading-bar" aria-hidden="true" />
      Loading {what} …
    </p>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly icon?: IconName;
  /** What to do about it. */
  readonly children?: ComponentChildren;
}

export function Empty({ title, icon, children }: EmptyProps) {
  return (
    <div class="state empty">
      {icon && <Icon name={icon} />}
      <p class="empty-title">{title}</p>
      {children && <div class="muted">{children}</div>}
    </div>
  );
}

interface FailureProps {
  readonly failure: ApiFailure;
  readonly retry?: () => void;
}

/** The router's own words, and its id of the request for who asks about it. */
export function Failure({ failure, retry }: FailureProps) {
  return (
    <div class="notice notice-bad" role="alert">
      <Icon name="warning" />
      <div class="grow">
        <p>{failure.message}</p>
        <p class="small muted">
          {[failure.status > 0 ? `HTTP ${failure.status}` : undefined, failure.code, failure.requestId]
            .filter((part) => part !== undefined)
            .join(" · ")}
        </p>
      </div>
      {retry && (
        <Button icon="retry" onPress={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Notice({ kind = "info", children }: { readonly kind?: "info" | "good" | "warn"; readonly children: ComponentChildren }) {
  return (
    <div class={`notice notice-${kind}`} role="status">
      {kind !== "info" && <Icon name={kind === "good" ? "check" : "warning"} />}
      <div class="grow">{children}</div>
    </div>
  );
}

interface RemoteProps<T> {
  readonly of: Resource<T>;
  readonly what: string;
  readonly children: (value: T) => ComponentChildren;
}

/** Loading, failed, or there; what was there once stays while it is refreshed, with the failure above it. */
export function Remote<T>({ of, what, children }: RemoteProps<T>) {
  const { value, failure } = of.state.value;
  return (
    <>
      {failure && <Failure failure={failure} retry={of.reload} />}
      {value !== undefined ? children(value) : !failure && <Loading what={what} />}
    </>
  );
}
