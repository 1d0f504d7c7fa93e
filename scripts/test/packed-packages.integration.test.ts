import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'

const run = promisify(execFile)
const PACKAGES = ['core', 'async', 'cache', 'database'] as const
const PEERS = [
  'zod',
  'bullmq',
  'fastify',
  'ioredis',
  'mongodb',
  'pg',
  'pg-copy-streams',
  '@types/pg',
  '@types/node',
]

let folder: string
let consumer: string

/** Builds and packs a copy of this tree, and installs the packages where no workspace is. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dharma-packed-'))
  const tree = join(folder, 'tree')
  consumer = join(folder, 'consumer')
  await copyTree(tree)
  await pnpm(tree, 'install', '--frozen-lockfile', '--prefer-offline')
  await pnpm(tree, 'exec', 'tsdown')
  for (const name of PACKAGES) {
    await pnpm(join(tree, 'packages', name), 'pack', '--pack-destination', folder)
  }
  await writeConsumer(await readFile(join(tree, 'pnpm-workspace.yaml'), 'utf8'))
  await pnpm(consumer, 'install', '--prefer-offline', '--ignore-scripts')
}, 240_000)

afterAll(async () => {
  await rm(folder, { recursive: true, force: true })
})

it('type-checks against the packed packages', async () => {
  const tsc = join(folder, 'tree', 'node_modules', '.bin', 'tsc')
  await expect(run(tsc, ['--project', '.'], { cwd: consumer })).resolves.toMatchObject({
    stdout: '',
  })
}, 60_000)

it('runs on the packed packages, every subpath included', async () => {
  const { stdout } = await run(process.execPath, ['main.ts'], { cwd: consumer })
  expect(stdout.trim().split('\n').at(-1)).toBe('[2,4,6]')
}, 60_000)

/** The tracked and new files, without what is installed or built. */
async function copyTree(to: string): Promise<void> {
  const { stdout } = await run('git', ['ls-files', '-co', '--exclude-standard', '-z'], {
    maxBuffer: 64 * 1024 * 1024,
  })
  for (const file of stdout.split('\0').filter((name) => name !== '')) {
    const target = join(to, file)
    await mkdir(dirname(target), { recursive: true })
    // A file may have been deleted and not committed yet.
    await cp(file, target, { force: true }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
  }
}

async function writeConsumer(workspace: string): Promise<void> {
  await mkdir(consumer)
  const tarballs = await readdir(folder)
  const dependencies: Record<string, string> = {}
  for (const name of PACKAGES) {
    const tarball = tarballs.find((file) => file.startsWith(`dharma-${name}-`)) ?? ''
    dependencies[`@dharma/${name}`] = `file:../${tarball}`
  }
  const overrides = { ...dependencies }
  for (const peer of PEERS) dependencies[peer] = catalogVersion(workspace, peer)
  const manifest = { name: 'consumer', private: true, type: 'module', dependencies }
  await writeFile(join(consumer, 'package.json'), JSON.stringify(manifest))
  await writeFile(
    join(consumer, 'pnpm-workspace.yaml'),
    JSON.stringify({ packages: [], overrides }),
  )
  await writeFile(
    join(consumer, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: {
        strict: true,
        module: 'NodeNext',
        target: 'ES2024',
        lib: ['ES2025', 'ESNext.Array', 'ESNext.Disposable'],
        types: ['node'],
        noEmit: true,
        skipLibCheck: true,
      },
      include: ['main.ts'],
    }),
  )
  await writeFile(join(consumer, 'main.ts'), await program())
}

/** Imports every subpath, and does a little of the work. */
async function program(): Promise<string> {
  const imports: string[] = []
  for (const name of PACKAGES) {
    const manifest = JSON.parse(await readFile(`packages/${name}/package.json`, 'utf8')) as {
      exports: Record<string, unknown>
    }
    for (const subpath of Object.keys(manifest.exports)) {
      if (subpath !== './package.json') imports.push(`import '@dharma/${name}${subpath.slice(1)}'`)
    }
  }
  return `${imports.join('\n')}
import { createTaskQueue, defineTask } from '@dharma/async/task-queue'
import { WorkerPool } from '@dharma/async/worker-pool'
import { z } from 'zod'
for (const kind of ['thread', 'process'] as const) {
  await using pool = new WorkerPool({ kind, max: 1 })
  const sum: number = await pool.exec((a: number, b: number) => a + b, [1, 2])
  if (sum !== 3) throw new Error('a worker cannot add')
}
const double = defineTask({ name: 'double', input: z.number(), run: (n) => n * 2 })
await using queue = createTaskQueue()
queue.work([double])
const jobs = await queue.enqueueMany(double, [1, 2, 3])
const results: number[] = await Promise.all(jobs.map((job) => job.result()))
console.log(JSON.stringify(results))
`
}

function catalogVersion(workspace: string, name: string): string {
  const version = new RegExp(`^  '?${name}'?: (\\S+)$`, 'm').exec(workspace)?.[1]
  if (version === undefined) throw new Error(`the catalog has no version of ${name}`)
  return version
}

async function pnpm(cwd: string, ...programArguments: string[]): Promise<void> {
  const environment = { ...process.env, CI: 'true' }
  await run('npx', ['--yes', 'pnpm@12.21.0', ...programArguments], {
    cwd,
    env: environment,
    maxBuffer: 64 * 1024 * 1024,
  })
}
