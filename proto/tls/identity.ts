import { COMPONENTS, type Component } from "#kernel";

/** `spiffe://deltaplane/router`: what a part of the cluster is, as a URI among its certificate's alternative names. */
export function identityOf(component: Component): string {
  return `spiffe://deltaplane/${component}`;
}

/** One name of Node's list: `URI:…`, quoted as JSON where it holds anything that could be mistaken for the list's own marks. */
const NAME = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/y;

/**
 * Which part of the cluster a certificate vouches for; undefined for none, and for more than one.
 * @param names the certificate's `subjectAltName`, as Node prints it
 */
export function componentOf(names: string | undefined): Component | undefined {
  const uris = alternativeNames(names ?? "").flatMap(({ kind, value }) => (kind === "URI" ? [value] : []));
  const found = COMPONENTS.filter((component) => uris.includes(identityOf(component)));
  return found.length === 1 ? found[0] : undefined;
}

function alternativeNames(text: string): readonly { readonly kind: string; readonly value: string }[] {
  const names: { kind: string; value: string }[] = [];
  NAME.lastIndex = 0;
  while (NAME.lastIndex < text.length) {
    const match = NAME.exec(text);
    if (!match) return []; // Not a list that Node makes: better nobody than somebody else.
    const [, kind, value] = match;
    names.push({ kind: kind!, value: value!.startsWith('"') ? (JSON.parse(value!) as string) : value! });
  }
  return names;
}
