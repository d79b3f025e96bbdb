import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The Worker serves the files below /-/ (cloud/worker/src/routes/dashboard.ts). Nothing is inlined: its policy would refuse it.
export default defineConfig({
  base: "/-/",
  plugins: [react()],
  build: {
    outDir: "../worker/public",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: "es2023",
    manifest: true,
    chunkSizeWarningLimit: 800,
  },
});
