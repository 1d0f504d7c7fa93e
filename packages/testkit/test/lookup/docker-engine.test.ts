import { once } from 'node:events'
import { createServer } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { anyAnswers } from '../../src/lookup/docker-engine.ts'

describe('a container engine', () => {
  it('is there when one of the addresses answers its ping', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'testkit-engine-'))
    const socket = join(folder, 'engine.sock')
    const engine = createServer((request, response) => {
      response.writeHead(request.url === '/_ping' ? 200 : 404).end()
    })
    engine.listen(socket)
    await once(engine, 'listening')
    expect(await anyAnswers([join(folder, 'none.sock'), socket])).toBe(true)
    engine.close()
    await rm(folder, { recursive: true })
  })

  it('is not there where nobody listens, and that takes no time', async () => {
    const startMs = performance.now()
    expect(await anyAnswers(['/nowhere/docker.sock', '127.0.0.1:1'])).toBe(false)
    expect(performance.now() - startMs).toBeLessThan(500)
  })

  it('is not there where something else answers', async () => {
    const other = createServer((_, response) => response.writeHead(404).end())
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const address = other.address()
    const port = typeof address === 'object' ? address?.port : undefined
    expect(await anyAnswers([`127.0.0.1:${port}`])).toBe(false)
    other.close()
  })
})
