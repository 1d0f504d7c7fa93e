import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { ConfigError } from '@dharma/core/config'
import { onTestFinished } from 'vitest'

/** A path in a folder of its own that is removed after the running test. */
export function temporaryPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'dharma-config-'))
  onTestFinished(() => {
    rmSync(folder, { recursive: true })
  })
  return join(folder, 'file')
}

/** The path of a file with this text, or with this value as JSON, for the running test. */
export function fileOf(content: unknown): string {
  const path = temporaryPath()
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

/** The ConfigError that a call throws. */
export function failureOf(run: () => unknown): ConfigError {
  try {
    run()
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}
