import type { ComponentChildren } from "preact";
import { Icon, type IconName } from "./icon.tsx";

interface ButtonProps {
  readonly children?: ComponentChildren;
  readonly kind?: "primary" | "plain" | "quiet" | "danger";
  readonly icon?: IconName;
  /** What it does; needed where it shows only an icon. */
  readonly label?: string;
  readonly type?: "button" | "submit";
  readonly disabled?: boolean;
  /** Something is under way: it can't be pressed again, and says so. */
  readonly busy?: boolean;
  readonly pressed?: boolean;
  readonly onPress?: () => void;
}

export function Button({
  children,
  kind = "plain",
  icon,
  label,
  type = "button",
  disabled = false,
  busy = false,
  pressed,
  onPress,
}: ButtonProps) {
  return (
    <button
      type={type}
      class={`button button-${kind}${children === undefined ? " button-icon" : ""}`}
      disabled={disabled || busy}
      aria-label={label}
      title={children === undefined ? label : undefined}
      aria-busy={busy}
      aria-pressed={pressed}
      onClick={onPress}
    >
      {icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}
