import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import type { Codec } from '../codec.ts'
import { ValueEncodingError } from '../errors.ts'
import { bytesCodec, jsonCodec, v8Codec } from './codecs.ts'
import { KeyRing, type EncryptionKey } from './encryption.ts'

/** What an entry in Redis says of itself, without its value. */
export interface EntryHeader {
  /** Number of the last invalidation that its value is known to include. */
  readonly version: number
  /** By Redis' clock, in milliseconds. */
  readonly createdMs: number
  readonly ttlMs: number
  readonly staleMs: number
  readonly graceMs: number
  /** How long its loader took. */
  readonly loadMs: number
  readonly isNegative: boolean
  readonly tags: readonly string[]
}

export interface EntryFormatOptions {
  /** Encodes new entries; the others are read all the same. @default jsonCodec */
  readonly codec?: Codec
  /** Further codecs whose entries may be met. */
  readonly readableCodecs?: readonly Codec[]
  /** Values whose encoded form is larger are compressed with zstd. @default 4096; Infinity for never */
  readonly compressAboveBytes?: number
  /** The first key encrypts, all decrypt. @default not encrypted */
  readonly encryptionKeys?: readonly [EncryptionKey, ...EncryptionKey[]] | undefined
}

/** An entry on its way to Redis, in the two parts between which version and time are put. */
export interface EncodedEntry {
  readonly head: Buffer
  readonly rest: Buffer
}

/*
 * Format 1: byte 0 format, 1 flags, 2 codec, 3 encryption key, then big-endian: 4 version (f64),
 * 12 created (f64), 20 ttl, 24 stale, 28 grace, 32 load (u32 each, ms), 36 length of the tags
 * (u16), the tags as JSON, the value.
 */
const FORMAT = 0xd1
const COMPRESSED = 1
const ENCRYPTED = 2
const NEGATIVE = 4
const UNDEFINED = 8
/** Bytes in front that tell one entry of a key from another. */
export const IDENTITY_BYTES = 20
const FIXED_BYTES = 38
const MAX_U32 = 2 ** 32 - 1
const NO_TAGS: readonly string[] = []
const MAX_TAG_LISTS = 2_048

interface KnownTags {
  readonly raw: Uint8Array
  readonly tags: readonly string[]
}

/** Encodes and decodes entries. Old formats stay readable; what cannot be read is a miss. */
export class EntryFormat {
  readonly #codec: Codec
  readonly #codecs = new Map<number, Codec>()
  readonly #compressAboveBytes: number
  readonly #keyRing: KeyRing | undefined
  /** By the hash of their bytes. Of two with the same hash, the younger is kept. */
  readonly #tagLists = new Map<number, KnownTags>()

  constructor(options: EntryFormatOptions = {}) {
    this.#codec = options.codec ?? jsonCodec
    this.#compressAboveBytes = options.compressAboveBytes ?? 4_096
    if (options.encryptionKeys !== undefined) this.#keyRing = new KeyRing(options.encryptionKeys)
    for (const codec of [
      jsonCodec,
      v8Codec,
      bytesCodec,
      ...(options.readableCodecs ?? []),
      this.#codec,
    ]) {
      if (!Number.isInteger(codec.id) || codec.id < 0 || codec.id > 255) {
        throw new RangeError(
          `codec '${codec.name}': id must be an integer from 0 to 255, got ${codec.id}`,
        )
      }
      this.#codecs.set(codec.id, codec)
    }
  }

  /** @throws ValueEncodingError when the codec cannot. */
  encode(
    name: string,
    value: unknown,
    header: Omit<EntryHeader, 'version' | 'createdMs'>,
    codec?: Codec,
  ): EncodedEntry {
    const used = value instanceof Uint8Array ? bytesCodec : (codec ?? this.#codec)
    if (!this.#codecs.has(used.id)) this.#codecs.set(used.id, used)
    let flags = header.isNegative ? NEGATIVE : 0
    let payload: Uint8Array = Buffer.alloc(0)
    if (value === undefined) flags |= UNDEFINED
    else payload = encodeValue(used, value)
    if (payload.length > this.#compressAboveBytes) {
      payload = zstdCompressSync(payload)
      flags |= COMPRESSED
    }
    if (this.#keyRing !== undefined) {
      payload = this.#keyRing.seal(payload, name)
      flags |= ENCRYPTED
    }
    const tags = header.tags.length === 0 ? '' : JSON.stringify(header.tags)
    const tagBytes = Buffer.byteLength(tags)
    if (tagBytes > 0xff_ff)
      throw new RangeError(`tags of one entry must fit 65535 bytes, got ${tagBytes}`)
    const rest = Buffer.allocUnsafe(FIXED_BYTES - IDENTITY_BYTES + tagBytes + payload.length)
    rest.writeUInt32BE(clamp(header.ttlMs), 0)
    rest.writeUInt32BE(clamp(header.staleMs), 4)
    rest.writeUInt32BE(clamp(header.graceMs), 8)
    rest.writeUInt32BE(clamp(header.loadMs), 12)
    rest.writeUInt16BE(tagBytes, 16)
    rest.write(tags, 18)
    rest.set(payload, 18 + tagBytes)
    return { head: Buffer.from([FORMAT, flags, used.id, this.#keyRing?.currentId ?? 0]), rest }
  }

  /** The header, or undefined for bytes of a format that is not known here. */
  header(bytes: Buffer): EntryHeader | undefined {
    if (bytes.length < FIXED_BYTES || bytes[0] !== FORMAT) return undefined
    const tagBytes = bytes.readUInt16BE(36)
    return {
      version: bytes.readDoubleBE(4),
      createdMs: bytes.readDoubleBE(12),
      ttlMs: bytes.readUInt32BE(20),
      staleMs: bytes.readUInt32BE(24),
      graceMs: bytes.readUInt32BE(28),
      loadMs: bytes.readUInt32BE(32),
      isNegative: ((bytes[1] ?? 0) & NEGATIVE) !== 0,
      tags: tagBytes === 0 ? NO_TAGS : this.#tagsOf(bytes, tagBytes),
    }
  }

  /**
   * @param nameOf Asked for the name of the entry where it is encrypted.
   * @throws whatever codec, decompression or decryption throw: to the reader it is a miss.
   */
  value(nameOf: (key: string) => string, key: string, bytes: Buffer): unknown {
    const flags = bytes[1] ?? 0
    if ((flags & UNDEFINED) !== 0) return undefined
    const start = FIXED_BYTES + bytes.readUInt16BE(36)
    if (
      (flags & (COMPRESSED | ENCRYPTED)) === 0 &&
      bytes[2] === jsonCodec.id &&
      this.#keyRing === undefined
    ) {
      return JSON.parse(bytes.toString('utf8', start)) as unknown
    }
    let payload = bytes.subarray(start)
    if ((flags & ENCRYPTED) !== 0) {
      if (this.#keyRing === undefined)
        throw new RangeError('the entry is encrypted, and there is no key')
      payload = this.#keyRing.open(bytes[3] ?? 0, payload, nameOf(key))
    } else if (this.#keyRing !== undefined) {
      throw new RangeError('the entry is not encrypted, and only encrypted ones are trusted')
    }
    if ((flags & COMPRESSED) !== 0) payload = zstdDecompressSync(payload)
    const codec = this.#codecs.get(bytes[2] ?? 0)
    if (codec === undefined) throw new RangeError(`codec ${String(bytes[2])} is not known`)
    return codec.decode(payload)
  }

  /** Lists of tags are few and entries are many, so that a list which was met lately is not parsed again. */
  #tagsOf(bytes: Buffer, tagBytes: number): readonly string[] {
    const end = FIXED_BYTES + tagBytes
    const hash = hashBytes(bytes, FIXED_BYTES, end)
    const known = this.#tagLists.get(hash)
    if (known !== undefined && isAt(known.raw, bytes, FIXED_BYTES, end)) return known.tags
    const raw = Uint8Array.prototype.slice.call(bytes, FIXED_BYTES, end)
    const tags = JSON.parse(bytes.toString('utf8', FIXED_BYTES, end)) as readonly string[]
    if (this.#tagLists.size >= MAX_TAG_LISTS) this.#tagLists.clear()
    this.#tagLists.set(hash, { raw, tags })
    return tags
  }
}

/** FNV-1a. */
function hashBytes(bytes: Uint8Array, from: number, end: number): number {
  let hash = 0x81_1c_9d_c5
  for (let at = from; at < end; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x01_00_01_93)
  return hash
}

function isAt(wanted: Uint8Array, bytes: Uint8Array, from: number, end: number): boolean {
  if (wanted.length !== end - from) return false
  for (let at = 0; at < wanted.length; at++) if (wanted[at] !== bytes[from + at]) return false
  return true
}

/** The two parts with version and time between them, as the `write` script joins them. */
export function joinEntry(entry: EncodedEntry, version: number, createdMs: number): Buffer {
  const joined = Buffer.allocUnsafe(IDENTITY_BYTES + entry.rest.length)
  joined.set(entry.head, 0)
  joined.writeDoubleBE(version, 4)
  joined.writeDoubleBE(createdMs, 12)
  joined.set(entry.rest, IDENTITY_BYTES)
  return joined
}

function encodeValue(codec: Codec, value: unknown): Uint8Array {
  try {
    return codec.encode(value)
  } catch (error) {
    throw new ValueEncodingError(codec.name, { cause: error })
  }
}

function clamp(ms: number): number {
  return Math.min(MAX_U32, Math.max(0, Math.round(ms)))
}
