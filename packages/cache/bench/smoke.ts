import { createCache } from '@dharma/cache'
import { startRedis } from '@dharma/testkit'
const m = createCache({ namespace: 'm' })
let n = 0
console.log(
  'mem',
  await m.getOrLoad('a', () => ++n),
  await m.getOrLoad('a', () => ++n),
  await m.get('a'),
  m.peek('a'),
)
await m.invalidateTags(['x'])
await m.set('t', 1, { tags: ['x'] })
console.log(m.peek('t'))
await m.invalidateTags(['x'])
console.log(m.peek('t'))
await m.invalidatePattern('a*')
console.log(m.peek('a'))
await m.close()
const r = await startRedis()
const mk = () =>
  createCache({
    namespace: 'c',
    redis: r.url,
    onError: (e) => console.log('ERR', e),
    onDegraded: (e) => console.log('DEG', e),
  })
const a = mk(),
  b = mk()
await Promise.all([a.ready(), b.ready()])
console.log(await a.set('k', { x: 1 }, { tags: ['t1'] }), await b.get('k'), b.peek('k'))
console.log(await a.invalidateTags(['t1']), await a.get('k'))
await new Promise((r) => setTimeout(r, 20))
console.log(b.peek('k'), await b.get('k'))
let loads = 0
const ld = async () => {
  loads++
  await new Promise((r) => setTimeout(r, 100))
  return 'v' + loads
}
const t = performance.now()
const rs = await Promise.all(
  [...Array(100)].flatMap(() => [a.getOrLoad('L', ld), b.getOrLoad('L', ld)]),
)
console.log('loads', loads, new Set(rs), performance.now() - t)
const er = await Promise.allSettled(
  [...Array(10)].flatMap(() => [
    a.getOrLoad('E', async () => {
      loads++
      await new Promise((r) => setTimeout(r, 50))
      throw new Error('boom')
    }),
    b.getOrLoad('E', async () => {
      loads++
      await new Promise((r) => setTimeout(r, 50))
      throw new Error('boom')
    }),
  ]),
)
console.log('loads', loads, new Set(er.map((e) => e.status + String((e as any).reason))))
console.log(
  await a.getOrLoad('late', ({ setTags }) => {
    setTags(['zz'])
    return 5
  }),
  await b.get('late'),
  await a.invalidateTags(['zz']),
  await a.get('late'),
)
console.log(
  await b.getOrLoadMany(['p', 'q', 'L'], async (ks) => {
    console.log('many', ks)
    return new Map(ks.map((k) => [k, k + k]))
  }),
)
await a.invalidatePattern('p*')
console.log(await a.getMany(['p', 'q', 'L']))
await a.clear()
console.log(await a.getMany(['p', 'q', 'L']))
console.log(a.stats(), await a.health())
await a.close()
await b.close()
await r.close()
