import { execFileSync, spawn } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ChildClaims } from '../../src/worker-pool/child-claims.ts'
import { ErrorDecoder } from '../../src/worker-pool/error-decoder.ts'
import { encodeThrown, type EncodedThrown } from '../../src/worker-pool/error-encoder.ts'
import { FrameReader } from '../../src/worker-pool/frames.ts'
import { ProcessReplies, writeAll } from '../../src/worker-pool/process-replies.ts'
import {
  ABORT_SEEN,
  FAILURE,
  HEAP,
  LATE,
  READY,
  START_FAILED,
  STARTED,
  UNSENDABLE,
  VALUE,
} from '../../src/worker-pool/protocol.ts'

let folder: string
let file: string
let fd: number

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'dharma-replies-'))
  file = join(folder, 'written')
  fd = openSync(file, 'w')
})

afterEach(() => {
  closeSync(fd)
  rmSync(folder, { recursive: true })
})

/** What has left the process so far. */
function written(): unknown[] {
  const messages: unknown[] = []
  const bytes = readFileSync(file)
  if (bytes.byteLength > 0) new FrameReader().read(bytes, (message) => messages.push(message))
  return messages
}

describe('replies of a process', () => {
  it('tell that a task begins before it does, with the results of those before', () => {
    const claims = new ChildClaims(4)
    const replies = new ProcessReplies(fd, claims)
    expect(replies.claim(1, 0)).toBe(true)
    expect(written()).toEqual([[STARTED, 1, 0]])
    replies.value(1, 0, 0.5, 7)
    replies.value(1, 1, 0.5, { large: 'one' })
    expect(written()).toHaveLength(1)
    expect(replies.claim(2, 1)).toBe(true)
    const all = [
      [STARTED, 1, 0],
      [VALUE, 1, 0, 0.5, 7],
      [VALUE, 1, 1, 0.5, { large: 'one' }],
      [STARTED, 2, 1],
    ]
    expect(written()).toEqual(all)
    claims.revoke(2, 3)
    expect(replies.claim(3, 2)).toBe(false)
    expect(written()).toEqual(all)
  })

  it('go out with the heap when nothing follows, which is told now and then', () => {
    const replies = new ProcessReplies(fd, new ChildClaims(2))
    replies.value(1, 0, 1, true)
    replies.flush()
    replies.value(2, 0, 1, false)
    replies.flush()
    replies.flush()
    expect(written()).toEqual([
      [VALUE, 1, 0, 1, true],
      [HEAP, expect.any(Number)],
      [VALUE, 2, 0, 1, false],
    ])
  })

  it('carry every kind of news', () => {
    const replies = new ProcessReplies(fd, new ChildClaims(2))
    const thrown = encodeThrown(new RangeError('x'))
    replies.ready()
    replies.startFailed(thrown)
    replies.late(thrown)
    replies.abortSeen(4)
    replies.failure(5, 1, 2, thrown)
    expect(written()).toEqual([
      [READY],
      [START_FAILED, thrown],
      [LATE, thrown],
      [ABORT_SEEN, 4],
      [FAILURE, 5, 1, 2, thrown],
    ])
  })

  it('say of a result that it cannot be cloned, and leave out the fields of errors that cannot', () => {
    const replies = new ProcessReplies(fd, new ChildClaims(2))
    replies.value(1, 0, 1, () => 1)
    // A thread could share it, a process cannot.
    const shared = Object.assign(new RangeError('x'), { memory: new SharedArrayBuffer(8) })
    replies.failure(2, 0, 1, encodeThrown(shared))
    replies.flush()
    const [unsendable, failure] = written() as [unknown[], unknown[]]
    expect(unsendable.slice(0, 4)).toEqual([UNSENDABLE, 1, 0, 1])
    expect(failure.slice(0, 4)).toEqual([FAILURE, 2, 0, 1])
    const error = new ErrorDecoder().decode(failure[4] as EncodedThrown)
    expect(error).toBeInstanceOf(RangeError)
    expect(error).toMatchObject({ message: 'x' })
    expect(Object.keys(error as Error)).toEqual([])
  })

  it('fail where nothing can be written', () => {
    const readOnly = openSync(file, 'r')
    expect(() => writeAll(readOnly, Buffer.from('x'))).toThrow('EBADF')
    closeSync(readOnly)
  })

  it('wait where a pipe is full', { timeout: 20_000 }, async () => {
    const fifo = join(folder, 'fifo')
    execFileSync('mkfifo', [fifo])
    const bytes = Buffer.alloc(1_000_000, 'frames')
    const pipe = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
    // This thread is blocked until the pipe, which holds much less, has been read to the end.
    const reader = spawn('head', ['-c', String(bytes.byteLength), fifo], {
      stdio: ['ignore', fd, 'inherit'],
    })
    const ended = once(reader, 'exit')
    writeAll(pipe, bytes)
    expect(await ended).toEqual([0, null])
    expect(Buffer.compare(readFileSync(file), bytes)).toBe(0)
    closeSync(pipe)
  })
})
