export { type FolderStoreDeps, openFolderStore } from "./folder-store.ts";
