import { availableParallelism } from 'node:os'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const integration = '**/*.integration.test.ts'
const fault = '**/*.fault.test.ts'

/** `unit` needs no server; `integration` gets real ones by `inject`; `fault` breaks servers of its own. */
const config: ViteUserConfig = defineConfig({
  ssr: { resolve: { conditions: ['@dharma/source'] } },
  test: {
    restoreMocks: true,
    unstubEnvs: true,
    maxWorkers: Math.max(2, availableParallelism()),
    coverage: { include: ['packages/*/src/**'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'scripts/test/**/*.test.ts'],
          exclude: [integration, fault],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: [
            `packages/*/test/${integration}`,
            `examples/${integration}`,
            `scripts/${integration}`,
            `infrastructure/${integration}`,
          ],
          globalSetup: ['packages/testkit/src/vitest/global-setup.ts'],
          testTimeout: 20_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'fault',
          include: [`packages/*/test/${fault}`, `examples/${fault}`, `scripts/${fault}`],
          globalSetup: ['packages/testkit/src/vitest/global-setup.ts'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
    ],
  },
})

export default config
