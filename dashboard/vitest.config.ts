import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["src/**/*.test.ts"], env: { TZ: "UTC", LANG: "en_US.UTF-8" } } });
