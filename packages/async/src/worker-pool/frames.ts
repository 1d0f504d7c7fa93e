import { deserialize, serialize } from 'node:v8'
import { STARTED, VALUE, type PoolMessage } from './protocol.ts'
import { smallKindOf, smallNumberOf, smallValueOf } from './small-value.ts'

/** Before each frame: how long it is. */
const HEADER_BYTES = 4
/** First byte of what `v8.serialize` makes. */
const SERIALIZED = 0xff
/** First bytes of frames that are too frequent for it. */
const STARTED_TAG = 1
const RESULT_TAG = 2
const STARTED_BYTES = 1 + 4 + 4
const RESULT_BYTES = STARTED_BYTES + 8 + 1 + 8
/** No message is longer than what `v8.serialize` can make. */
const LIMIT_BYTES = 2 ** 31 - 1

/** A message as bytes. @throws DOMException when it cannot be cloned. */
export function frameOf(message: PoolMessage): Buffer {
  const body = serialize(message)
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.byteLength)
  frame.writeUInt32LE(body.byteLength, 0)
  body.copy(frame, HEADER_BYTES)
  return frame
}

/** Says that a task begins. */
export function startedFrame(ticket: number, slot: number): Buffer {
  const frame = Buffer.allocUnsafe(HEADER_BYTES + STARTED_BYTES)
  writeHead(frame, STARTED_TAG, ticket, slot)
  return frame
}

/** A result that is a number, a boolean, null or undefined; `undefined` if it is none of these. */
export function resultFrame(
  ticket: number,
  slot: number,
  durationMs: number,
  value: unknown,
): Buffer | undefined {
  const kind = smallKindOf(value)
  if (kind === undefined) return undefined
  const frame = Buffer.allocUnsafe(HEADER_BYTES + RESULT_BYTES)
  const offset = writeHead(frame, RESULT_TAG, ticket, slot)
  frame.writeDoubleLE(durationMs, offset)
  frame.writeUInt8(kind, offset + 8)
  frame.writeDoubleLE(smallNumberOf(value), offset + 9)
  return frame
}

/** Cuts a stream of bytes into messages. */
export class FrameReader {
  #chunks: Buffer[] = []
  #bytes = 0

  /** @throws TypeError when the bytes are no frames of ours; the stream is lost then. */
  read(chunk: Buffer, onMessage: (message: unknown) => void): void {
    this.#chunks.push(chunk)
    this.#bytes += chunk.byteLength
    if (this.#bytes < this.#wantedBytes()) return
    let rest = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks)
    while (rest.byteLength >= HEADER_BYTES) {
      const end = HEADER_BYTES + lengthOf(rest)
      if (rest.byteLength < end) break
      onMessage(messageOf(rest.subarray(HEADER_BYTES, end)))
      rest = rest.subarray(end)
    }
    this.#chunks = rest.byteLength === 0 ? [] : [rest]
    this.#bytes = rest.byteLength
  }

  /** Bytes of the frame that the first chunk begins, so that a long one is put together once. */
  #wantedBytes(): number {
    const first = this.#chunks[0]
    if (first === undefined || first.byteLength < HEADER_BYTES) return HEADER_BYTES
    return HEADER_BYTES + lengthOf(first)
  }
}

function writeHead(frame: Buffer, tag: number, ticket: number, slot: number): number {
  frame.writeUInt32LE(frame.byteLength - HEADER_BYTES, 0)
  frame.writeUInt8(tag, HEADER_BYTES)
  frame.writeUInt32LE(ticket, HEADER_BYTES + 1)
  return frame.writeUInt32LE(slot, HEADER_BYTES + 5)
}

function lengthOf(bytes: Buffer): number {
  const length = bytes.readUInt32LE(0)
  if (length === 0 || length > LIMIT_BYTES) throw new TypeError(`a frame of ${length} bytes`)
  const tag = bytes.byteLength > HEADER_BYTES ? bytes[HEADER_BYTES] : SERIALIZED
  if (tag === SERIALIZED || tag === STARTED_TAG || tag === RESULT_TAG) return length
  throw new TypeError(`a frame that begins with ${tag}`)
}

function messageOf(body: Buffer): unknown {
  if (body[0] === SERIALIZED) return deserialize(body)
  const isStarted = body[0] === STARTED_TAG
  if (body.byteLength !== (isStarted ? STARTED_BYTES : RESULT_BYTES)) {
    throw new TypeError(`a frame of ${body.byteLength} bytes`)
  }
  const ticket = body.readUInt32LE(1)
  const slot = body.readUInt32LE(5)
  if (isStarted) return [STARTED, ticket, slot]
  return [
    VALUE,
    ticket,
    slot,
    body.readDoubleLE(9),
    smallValueOf(body.readUInt8(17), body.readDoubleLE(18)),
  ]
}
