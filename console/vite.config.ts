import preact from "@preact/preset-vite";
import { defineConfig } from "vite";

const router = process.env["VITE_ROUTER"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  root: import.meta.dirname,
  plugins: [preact({ devToolsEnabled: false })],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2023",
    // Everything is a file of its own: an inlined one would need a wider policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  // For development only: the page from Vite, the API from a router.
  server: { proxy: { "/v1": router, "/readyz": router } },
});
