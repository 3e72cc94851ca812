/** A wing seen from above. */
export function Brand() {
  return (
    <span class="brand">
      <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
        <path d="M16 4 30 26 16 20.5 2 26Z" />
      </svg>
      Deltaplane
    </span>
  );
}
