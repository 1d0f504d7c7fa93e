const FAMILY_V4 = 2
const HEADER_BYTES = 4
const GROUPS = 8

/** An address as the server writes it; its prefix only where it is not a single host's. */
export function readInet(buffer: Buffer, at: number): string {
  const isV4 = buffer[at] === FAMILY_V4
  const bits = buffer[at + 1] ?? 0
  const address = addressText(buffer, at + HEADER_BYTES, isV4)
  return bits === (isV4 ? 32 : 128) ? address : `${address}/${bits}`
}

/** A network, always with its prefix. */
export function readCidr(buffer: Buffer, at: number): string {
  const isV4 = buffer[at] === FAMILY_V4
  return `${addressText(buffer, at + HEADER_BYTES, isV4)}/${buffer[at + 1] ?? 0}`
}

function addressText(buffer: Buffer, at: number, isV4: boolean): string {
  if (isV4) return buffer.subarray(at, at + 4).join('.')
  const groups = Array.from({ length: GROUPS }, (_, index) => buffer.readUInt16BE(at + index * 2))
  const gap = longestZeros(groups)
  // PostgreSQL writes IPv4 inside IPv6 with points where the zeros before it reach so far.
  const hasV4 = gap.from === 0 && (gap.length === 6 || (gap.length === 5 && groups[5] === 0xffff))
  const tail = hasV4 ? [buffer.subarray(at + 12, at + 16).join('.')] : []
  const parts = groups.slice(0, hasV4 ? 6 : GROUPS).map((group) => group.toString(16))
  if (gap.length < 2) return [...parts, ...tail].join(':')
  const before = parts.slice(0, gap.from)
  const after = [...parts.slice(gap.from + gap.length), ...tail]
  return `${before.join(':')}::${after.join(':')}`
}

/** The first of the longest runs of zeros. Source: PostgreSQL, src/port/inet_net_ntop.c, as RFC 5952. */
function longestZeros(groups: readonly number[]): { from: number; length: number } {
  let best = { from: -1, length: 0 }
  let from = -1
  for (const [index, group] of groups.entries()) {
    if (group !== 0) from = -1
    else {
      if (from === -1) from = index
      if (index - from + 1 > best.length) best = { from, length: index - from + 1 }
    }
  }
  return best
}
