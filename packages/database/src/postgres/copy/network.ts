import { isIPv4, isIPv6 } from 'node:net'
import type { ByteWriter } from './byte-writer.ts'
import { refuse } from './value-error.ts'

const FAMILY_V4 = 2
const FAMILY_V6 = 3
const ADDRESS = /^([^/]*)(?:\/(\d{1,3}))?$/

export function writeInet(writer: ByteWriter, value: unknown): void {
  writeAddress(writer, value, false)
}

export function writeCidr(writer: ByteWriter, value: unknown): void {
  writeAddress(writer, value, true)
}

/** Source: PostgreSQL, src/backend/utils/adt/network.c, network_recv. */
function writeAddress(writer: ByteWriter, value: unknown, isCidr: boolean): void {
  const match = typeof value === 'string' ? ADDRESS.exec(value) : null
  const bytes = addressBytes(match?.[1] ?? '')
  const mostBits = (bytes?.length ?? 0) * 8
  const bits = Number(match?.[2] ?? mostBits)
  if (bytes === undefined || bits > mostBits) {
    refuse('an IPv4 or IPv6 address with or without /prefix', value)
  }
  if (isCidr && hasBitsAfter(bytes, bits)) refuse('a network without bits after its prefix', value)
  writer.int8(bytes.length === 4 ? FAMILY_V4 : FAMILY_V6)
  writer.int8(bits)
  writer.int8(isCidr ? 1 : 0)
  writer.int8(bytes.length)
  writer.bytes(bytes)
}

function addressBytes(address: string): Uint8Array | undefined {
  if (isIPv4(address)) return Uint8Array.from(address.split('.'), Number)
  if (!isIPv6(address) || address.includes('%')) return undefined
  const [head = '', tail] = expandEmbeddedV4(address).split('::', 2)
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0)
  const groups = tail === undefined ? before : [...before, ...zeros, ...after]
  return Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 0xff]))
}

/** `::ffff:1.2.3.4` as `::ffff:102:304`. */
function expandEmbeddedV4(address: string): string {
  const at = address.lastIndexOf(':') + 1
  const embedded = address.slice(at)
  if (!embedded.includes('.')) return address
  const [a = 0, b = 0, c = 0, d = 0] = embedded.split('.').map(Number)
  return `${address.slice(0, at)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
}

function groupsOf(text: string): number[] {
  return text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16))
}

function hasBitsAfter(bytes: Uint8Array, bits: number): boolean {
  return bytes.some((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8))
    return (byte & (0xff >> kept)) !== 0
  })
}
