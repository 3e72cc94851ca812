import { Brand } from "./brand.tsx";
import { Button, Empty, Icon } from "./components/index.ts";
import { hrefTo, route } from "./routing/index.ts";
import { type Session, signOut } from "./session/index.ts";
import { ViewOutlet } from "./view-outlet.tsx";
import { VIEWS } from "./views/registry.ts";

/** Navigation beside the view that the address names. */
export function Frame({ session }: { readonly session: Session }) {
  const offered = VIEWS.filter((view) => view.offered());
  const current = route.value.view === "" ? offered[0] : offered.find(({ id }) => id === route.value.view);
  return (
    <div class="frame">
      <button type="button" class="skip button" onClick={() => document.querySelector<HTMLElement>("#content")?.focus()}>
        Skip to content
      </button>
      <header class="side">
        <Brand />
        <nav aria-label="Views">
          <ul class="nav">
            {offered.map(({ id, title, icon }) => (
              <li key={id}>
                <a href={hrefTo(id)} aria-current={id === current?.id ? "page" : undefined}>
                  <Icon name={icon} />
                  {title}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <div class="who">
          <span class="who-name">{session.tenant ?? "Operator"}</span>
          <Button kind="quiet" icon="leave" onPress={signOut}>
            Sign out
          </Button>
        </div>
      </header>
      <main class="content" id="content" tabIndex={-1}>
        {current ? <ViewOutlet key={current.id} view={current} /> : <Empty title="There is nothing here for this key." icon="warning" />}
      </main>
    </div>
  );
}
