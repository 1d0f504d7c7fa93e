import { createCache } from '@dharma/cache'
import { startRedis } from '@dharma/testkit'
import { Redis } from 'ioredis'
const c = createCache({ namespace: 'm' })
const N = 1000
const keys = Array.from({ length: N }, (_, i) => `user:${i}:profile`)
const m = new Map<string, unknown>()
for (const k of keys) {
  m.set(k, { k })
  await c.set(k, { k }, { ttlMs: 600000 })
}
const load = () => 1
async function f1(n: number) {
  for (let i = 0, j = 0; i < n; i++) {
    await m.get(keys[j]!)
    if (++j === N) j = 0
  }
}
async function f2(n: number) {
  for (let i = 0, j = 0; i < n; i++) {
    await c.getOrLoad(keys[j]!, load)
    if (++j === N) j = 0
  }
}
function f3(n: number) {
  for (let i = 0, j = 0; i < n; i++) {
    m.get(keys[j]!)
    if (++j === N) j = 0
  }
}
function f4(n: number) {
  for (let i = 0, j = 0; i < n; i++) {
    c.peek(keys[j]!)
    if (++j === N) j = 0
  }
}
for (let r = 0; r < 5; r++)
  for (const [n, f] of [
    ['await map', f1],
    ['getOrLoad', f2],
    ['map', f3],
    ['peek', f4],
  ] as const) {
    const s = performance.now()
    await f(1e6)
    console.log(n, (1e3 / (performance.now() - s)).toFixed(2), 'M/s')
  }
await c.close()
const r = await startRedis()
const raw = new Redis(r.url)
const d = createCache({ namespace: 'x', redis: r.url, memory: false })
await d.ready()
for (const k of keys) await d.set(k, { id: k, name: 'some name here', tags: ['a', 'b'], n: 123 })
for (const k of keys)
  await d.set(
    't' + k,
    { id: k, name: 'some name here', tags: ['a', 'b'], n: 123 },
    { tags: ['t1'] },
  )
for (const k of keys)
  await raw.set(k, JSON.stringify({ id: k, name: 'some name here', tags: ['a', 'b'], n: 123 }))
async function conc(c: number, n: number, f: (k: string) => Promise<unknown>) {
  let i = 0
  await Promise.all(
    Array.from({ length: c }, async () => {
      while (i < n) {
        i++
        await f(keys[i % N]!)
      }
    }),
  )
}
for (let q = 0; q < 3; q++)
  for (const cc of [1, 64, 256])
    for (const [n, f] of [
      ['raw', async (k: string) => JSON.parse((await raw.get(k))!)],
      ['ours', (k: string) => d.get(k)],
      ['ours tag', (k: string) => d.get('t' + k)],
      ['getOrLoad', (k: string) => d.getOrLoad(k, load)],
    ] as const) {
      const n2 = cc === 1 ? 5000 : 40000
      const s = performance.now()
      await conc(cc, n2, f)
      console.log(cc, n, (n2 / (performance.now() - s)).toFixed(1), 'k/s')
    }
await raw.quit()
await d.close()
await r.close()
