import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

// While developing: `DECANT_URL=http://127.0.0.1:8383 npm run dev` asks a server that runs.
const server = process.env.DECANT_URL ?? 'http://127.0.0.1:8383';
const routes = ['/v1', '/health', '/tokenize', '/tokenizer_info'];

export default defineConfig({
  plugins: [svelte()],
  server: { proxy: Object.fromEntries(routes.map((route) => [route, server])) },
  build: {
    outDir: '../crates/decant-server/playground',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    // Names stay, so that the server can list its files; it tells browsers when bytes have changed.
    rollupOptions: {
      output: {
        entryFileNames: 'assets/playground.js',
        assetFileNames: 'assets/playground[extname]',
        codeSplitting: false,
      },
    },
  },
});
