import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

/** Files smaller than this grow or stay when they are compressed. */
const WORTH_COMPRESSING_BYTES = 1024;

/** Larger files take brotli's best quality seconds, for some hundredths less. */
const BEST_QUALITY_BYTES = 300_000;

/** Writes a .br and a .gz beside each file, so that the server compresses nothing. */
function precompress(): Plugin {
  return {
    name: "precompress",
    apply: "build",
    writeBundle({ dir = "dist" }) {
      for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
        const path = join(entry.parentPath, entry.name);
        const bytes = entry.isFile() ? readFileSync(path) : Buffer.alloc(0);
        if (bytes.length < WORTH_COMPRESSING_BYTES) continue;
        writeFileSync(`${path}.br`, brotli(bytes));
        writeFileSync(`${path}.gz`, gzipSync(bytes));
      }
    },
  };
}

function brotli(bytes: Buffer): Buffer {
  const quality = bytes.length > BEST_QUALITY_BYTES ? 9 : constants.BROTLI_MAX_QUALITY;
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } });
}

const api = process.env["FLUXRATE_URL"] ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react(), precompress()],
  build: {
    target: "es2023",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 800, // GraphiQL, which nobody loads beside a page of the dashboard
    rollupOptions: { input: ["index.html", "graphiql.html"] },
  },
  server: { proxy: { "/graphql": { target: api, ws: true }, "/session": api } },
});
