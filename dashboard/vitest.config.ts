import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts"],
    env: { TZ: "UTC", LANG: "en_US.UTF-8" },
    isolate: false, // they are functions without state: a process for each file is half of what they cost
  },
});
