import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: {
    alias: [{ find: /^.*\.css$/, replacement: fileURLToPath(new URL("tests/css.ts", import.meta.url)) }],
  },
  // axe reads every element; on a busy machine that takes more than the usual five seconds
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts"], testTimeout: 30_000 },
});
