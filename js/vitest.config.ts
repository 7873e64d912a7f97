import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    alias: [{ find: /^.*\.css$/, replacement: fileURLToPath(new URL("tests/css.ts", import.meta.url)) }],
  },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"] },
});
