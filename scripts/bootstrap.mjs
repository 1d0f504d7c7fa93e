#!/usr/bin/env node
/**
 * `npm start` and `npm test` on a machine that has only Node (20 or later) and npm: installs what
 * the lock file names, then runs the job on the Node that came with it. Needs no dependency itself.
 *
 *     node scripts/bootstrap.mjs start [--once …]
 *     node scripts/bootstrap.mjs install
 *     node scripts/bootstrap.mjs test [vitest's own arguments]
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const PNPM = 'pnpm@12.21.0'
const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const stamp = join(root, 'node_modules', '.dharma-installed')
const isWindows = process.platform === 'win32'

const jobs = {
  install: () => ['node', ['--version']],
  start: () => ['node', ['--conditions=@dharma/source', 'examples/campaign-service/main.ts']],
  test: () => ['vitest', ['run', '--config', 'vitest.workspace.ts', ...testReporters()]],
}

const [jobName, ...jobArguments] = process.argv.slice(2)
const job = jobs[jobName]
if (job === undefined)
  fail(`unknown job '${jobName ?? ''}'`, `use one of: ${Object.keys(jobs).join(', ')}`)
if (Number(process.versions.node.split('.')[0]) < 20) {
  fail(
    `Node ${process.versions.node} is too old`,
    'install Node 20 or later; the rest is fetched for you',
  )
}

process.chdir(root)
await install()
const [command, commandArguments] = job()
process.exitCode = await run(join(bin, command), [...commandArguments, ...jobArguments], {
  PATH: `${bin}${delimiter}${process.env.PATH ?? ''}`,
})

/** Installs once for each state of the lock file; afterwards it costs one hash. */
async function install() {
  const wanted = await fingerprint()
  if (existsSync(stamp) && (await readFile(stamp, 'utf8')) === wanted) return
  await rm(stamp, { force: true })
  process.stderr.write('Installing the packages that pnpm-lock.yaml names …\n')
  const code = await run(
    'npx',
    ['--yes', PNPM, 'install', '--frozen-lockfile', '--reporter=append-only'],
    {
      CI: process.env.CI ?? 'true',
    },
  )
  if (code !== 0) {
    fail(
      `\`npx ${PNPM} install --frozen-lockfile\` ended with ${code}`,
      'its own message stands above. Most often the npm registry cannot be reached, the disk is full, or node_modules belongs to another user: remove node_modules and try again',
    )
  }
  await writeFile(stamp, wanted)
}

/** What decides the content of node_modules: lock file, workspace settings, manifests, this Node. */
async function fingerprint() {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`)
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', 'package.json']) {
    hash.update(await readFile(join(root, file)))
  }
  return hash.digest('hex')
}

/** CI reads the counts from a file; everyone else reads the terminal. */
function testReporters() {
  const file = process.env.DHARMA_TEST_RESULTS
  if (file === undefined) return []
  return ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
}

/** Runs a program to its end with our own streams; signals that reach us reach it too. */
function run(program, programArguments, environment) {
  return new Promise((resolve) => {
    const child = spawn(program, programArguments, {
      stdio: 'inherit',
      env: { ...process.env, ...environment },
      shell: isWindows,
    })
    // A terminal sends Ctrl-C to the whole group, so it is passed on only where there is none.
    const onInterrupt = () => void (process.stdin.isTTY || child.kill('SIGINT'))
    const onTerminate = () => void child.kill('SIGTERM')
    process.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate)
    const settle = (code) => {
      process.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate)
      resolve(code)
    }
    child.once('error', (error) => {
      process.stderr.write(`${program}: ${error.message}\n`)
      settle(127)
    })
    child.once('exit', (code, signal) => settle(code ?? 128 + constants.signals[signal]))
  })
}

function fail(what, remedy) {
  process.stderr.write(`\n${what}.\nWhat to do: ${remedy}.\n`)
  process.exit(1)
}
