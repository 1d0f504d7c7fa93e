/**
 * `pnpm bench [core|cache|database|async|all] [--once] [--filter TEXT] [--no-write]`: runs our code and its peers
 * side by side and writes the medians into `docs/performance.md`. `--once` runs each bench a single
 * short time, to prove that it still works, and writes nothing. Exits 1 when a bar is not met.
 */
import { glob, readFile, writeFile } from 'node:fs/promises'
import { cpus } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { startMongo, startPostgres, startRedis } from '@dharma/testkit'
import {
  renderBench,
  runBench,
  type Bench,
  type BenchContext,
  type BenchServer,
} from '@dharma/testkit/bench'

const PAGE = 'docs/performance.md'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    once: { type: 'boolean', default: false },
    filter: { type: 'string', default: '' },
    'no-write': { type: 'boolean', default: false },
  },
})
const [area = 'all'] = positionals

await using servers = new AsyncDisposableStack()
const urls = new Map<BenchServer, string>()
let unmet = 0

for (const file of (await Array.fromAsync(glob('packages/*/bench/*.bench.ts'))).toSorted()) {
  if (area !== 'all' && !file.startsWith(`packages/${area}/`)) continue
  const { benches } = (await import(resolve(file))) as { benches: readonly Bench[] }
  for (const bench of benches) {
    if (bench.name.includes(values.filter)) await run(resolve(file), bench)
  }
}
if (unmet > 0 && !values.once) {
  console.error(`${unmet} bars not met`)
  process.exitCode = 1
}

async function run(file: string, bench: Bench): Promise<void> {
  process.stderr.write(`${bench.name} …\n`)
  for (const server of bench.servers ?? []) {
    if (!urls.has(server)) urls.set(server, await startServer(server))
  }
  const context: BenchContext = {
    once: values.once,
    urls: {
      redis: urls.get('redis') ?? '',
      postgres: urls.get('postgres') ?? '',
      mongo: urls.get('mongo') ?? '',
    },
  }
  const result = await runBench(file, bench, { context })
  if (values.once) return
  const table = renderBench(result)
  console.log(`${table}\n`)
  unmet += result.bars.filter(({ isMet }) => !isMet).length
  if (!values['no-write']) await writeTable(bench.name, table)
}

async function startServer(server: BenchServer): Promise<string> {
  const starters = { redis: startRedis, postgres: startPostgres, mongo: startMongo }
  const running = servers.use(await starters[server]())
  return running.url
}

/** Puts a table in place of the one of the same name, or at the end of the page. */
async function writeTable(name: string, table: string): Promise<void> {
  const page = await readFile(PAGE, 'utf8')
  const marker = `<!-- bench: ${name} -->`
  const end = '<!-- /bench -->'
  const machine = `Node ${process.versions.node}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`
  const block = `${marker}\n\n${table}\n\n${machine}\n\n${end}`
  const from = page.indexOf(marker)
  const next =
    from === -1
      ? `${page.trimEnd()}\n\n${block}\n`
      : page.slice(0, from) + block + page.slice(page.indexOf(end, from) + end.length)
  await writeFile(PAGE, next)
}
