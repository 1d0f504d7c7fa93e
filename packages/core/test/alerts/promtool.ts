import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PrometheusVersion } from '@dharma/core/alerts'

export interface PromtoolRun {
  readonly isPassed: boolean
  readonly output: string
}

/** Runs promtool in a folder of its own that has these files. */
export function promtool(
  args: readonly string[],
  files: Readonly<Record<string, string>>,
): PromtoolRun {
  const folder = mkdtempSync(join(tmpdir(), 'dharma-promtool-'))
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
    const run = spawnSync('promtool', args, { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 28 })
    if (run.error !== undefined) throw run.error
    return { isPassed: run.status === 0, output: run.stdout + run.stderr }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Whose arithmetic the installed promtool has; `undefined` if there is none. */
export function promtoolVersion(): PrometheusVersion | undefined {
  const run = spawnSync('promtool', ['--version'], { encoding: 'utf8' })
  const found = /version (?<major>\d+)\.(?<minor>\d+)/.exec(`${run.stdout}${run.stderr}`)?.groups
  if (found === undefined) return undefined
  const version = Number(found['major']) * 1000 + Number(found['minor'])
  return version < 3006 ? 'before 3.6' : '3.6'
}

/** Whether tests that need promtool run: always in CI, where a missing one is a failure. */
export const hasPromtool: boolean = process.env['CI'] === 'true' || promtoolVersion() !== undefined

if (!hasPromtool) {
  console.warn('\n!!! promtool is not installed: the alerts are NOT compared with Prometheus !!!\n')
}
