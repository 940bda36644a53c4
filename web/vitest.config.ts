import { defineConfig } from 'vitest/config';

// What is tested in src is plain TypeScript; what is made of it is tested in a browser.
export default defineConfig({ test: { testTimeout: 60_000, hookTimeout: 60_000 } });
