import { deserialize, serialize } from 'node:v8'
import type { Codec } from '../codec.ts'

/** JSON, the fastest on plain values. Dates become strings; maps, sets and bigint are not for it. */
export const jsonCodec: Codec = {
  id: 0,
  name: 'json',
  encode(value) {
    const text = JSON.stringify(value) as string | undefined
    if (text === undefined) throw new TypeError(`JSON has no form for a ${typeof value}`)
    return Buffer.from(text)
  },
  decode: (bytes) => JSON.parse(bytes.toString()) as unknown,
}

/** The engine's own format: dates, maps, sets, bigint, cycles and typed arrays survive. */
export const v8Codec: Codec = {
  id: 1,
  name: 'v8',
  encode: (value) => serialize(value),
  decode: (bytes) => deserialize(bytes) as unknown,
}

/** Bytes as they are. Taken for every `Uint8Array` by itself, whatever codec was chosen. */
export const bytesCodec: Codec = {
  id: 2,
  name: 'bytes',
  encode(value) {
    if (value instanceof Uint8Array) return value
    throw new TypeError(`only a Uint8Array is bytes, not a ${typeof value}`)
  },
  decode: (bytes) => Buffer.from(bytes),
}

/** Codec over `msgpackr`, which the service installs: `msgpackrCodec(new Packr())`. */
export function msgpackrCodec(packr: {
  pack(value: unknown): Uint8Array
  unpack(bytes: Uint8Array): unknown
}): Codec {
  return {
    id: 3,
    name: 'msgpackr',
    encode: (value) => packr.pack(value),
    decode: (bytes) => packr.unpack(bytes),
  }
}

/** Codec over `superjson`, which the service installs. */
export function superjsonCodec(superjson: {
  stringify(value: unknown): string
  parse(text: string): unknown
}): Codec {
  return {
    id: 4,
    name: 'superjson',
    encode: (value) => Buffer.from(superjson.stringify(value)),
    decode: (bytes) => superjson.parse(bytes.toString()),
  }
}
