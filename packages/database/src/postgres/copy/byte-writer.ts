/** Below this length a loop over character codes beats the call into the engine. */
const SHORT_TEXT = 24

/** A growing buffer with a write position, for PostgreSQL's big-endian wire formats. */
export class ByteWriter {
  #initialBytes: number
  buffer: Buffer
  offset = 0

  constructor(initialBytes: number) {
    this.#initialBytes = initialBytes
    this.buffer = Buffer.allocUnsafeSlow(initialBytes)
  }

  /** Hands over what was written and starts anew in memory of its own. */
  take(): Buffer {
    const taken = this.buffer.subarray(0, this.offset)
    this.buffer = Buffer.allocUnsafeSlow(this.#initialBytes)
    this.offset = 0
    return taken
  }

  /** Makes room for `bytes` more; the writes below rely on it where they say so. */
  reserve(bytes: number): void {
    if (this.offset + bytes <= this.buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.offset + bytes))
    this.buffer.copy(grown, 0, 0, this.offset)
    this.buffer = grown
  }

  int8(value: number): void {
    this.reserve(1)
    this.buffer[this.offset++] = value
  }

  int16(value: number): void {
    this.reserve(2)
    const { buffer, offset } = this
    buffer[offset] = value >> 8
    buffer[offset + 1] = value
    this.offset = offset + 2
  }

  int32(value: number): void {
    this.reserve(4)
    this.#put32(this.offset, value)
    this.offset += 4
  }

  /** A whole number of at most 2^53 as 64 bits, without a bigint in between. */
  int64(value: number): void {
    this.reserve(8)
    this.#put32(this.offset, Math.floor(value / 0x1_0000_0000))
    this.#put32(this.offset + 4, value >>> 0)
    this.offset += 8
  }

  bigInt64(value: bigint): void {
    this.reserve(8)
    this.offset = this.buffer.writeBigInt64BE(value, this.offset)
  }

  float32(value: number): void {
    this.reserve(4)
    this.offset = this.buffer.writeFloatBE(value, this.offset)
  }

  float64(value: number): void {
    this.reserve(8)
    this.offset = this.buffer.writeDoubleBE(value, this.offset)
  }

  bytes(value: Uint8Array): void {
    this.reserve(value.length)
    this.buffer.set(value, this.offset)
    this.offset += value.length
  }

  /** UTF-8 without a length. */
  text(value: string): void {
    const { length } = value
    this.reserve(length * 3)
    if (length > SHORT_TEXT || !this.#ascii(value, length)) {
      this.offset += this.buffer.write(value, this.offset, 'utf8')
    }
  }

  /** Sets aside the four bytes of a length and returns where they are. */
  beginLength(): number {
    this.reserve(4)
    const at = this.offset
    this.offset += 4
    return at
  }

  /** Fills a length with the number of bytes written since {@link beginLength}. */
  endLength(at: number): void {
    this.#put32(at, this.offset - at - 4)
  }

  #put32(at: number, value: number): void {
    const { buffer } = this
    buffer[at] = value >> 24
    buffer[at + 1] = value >> 16
    buffer[at + 2] = value >> 8
    buffer[at + 3] = value
  }

  #ascii(value: string, length: number): boolean {
    const { buffer, offset } = this
    for (let index = 0; index < length; index++) {
      const code = value.charCodeAt(index)
      if (code > 0x7f) return false
      buffer[offset + index] = code
    }
    this.offset = offset + length
    return true
  }
}
