import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'

/** Keys for AES-256-GCM, the first of which encrypts; all decrypt, so that keys can be rotated. */
export interface EncryptionKey {
  /** Stands in the entry's header. 0 to 255, never used again for another key. */
  readonly id: number
  /** 32 bytes. */
  readonly secret: Uint8Array
}

const IV_BYTES = 12
const TAG_BYTES = 16

/** Authenticated encryption that is bound to the entry's name: bytes moved to another key do not open. */
export class KeyRing {
  readonly #keys = new Map<number, Uint8Array>()
  readonly currentId: number

  constructor(keys: readonly [EncryptionKey, ...EncryptionKey[]]) {
    for (const { id, secret } of keys) {
      if (!Number.isInteger(id) || id < 0 || id > 255) {
        throw new RangeError(`encryption key id must be an integer from 0 to 255, got ${id}`)
      }
      if (this.#keys.has(id)) throw new RangeError(`encryption key id ${id} is there twice`)
      if (secret.length !== 32) {
        throw new RangeError(
          `the secret of encryption key ${id} must have 32 bytes, got ${secret.length}`,
        )
      }
      this.#keys.set(id, secret)
    }
    this.currentId = keys[0].id
  }

  seal(plain: Uint8Array, boundTo: string): Buffer {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.currentId), iv)
    cipher.setAAD(Buffer.from(boundTo))
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()])
    return Buffer.concat([iv, cipher.getAuthTag(), sealed])
  }

  /** @throws when the key is not known, or the bytes were changed or belong to another name. */
  open(id: number, sealed: Buffer, boundTo: string): Buffer {
    const decipher = createDecipheriv('aes-256-gcm', this.#key(id), sealed.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(Buffer.from(boundTo))
    decipher.setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES))
    return Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()])
  }

  #key(id: number): Uint8Array {
    const key = this.#keys.get(id)
    if (key === undefined) throw new RangeError(`encryption key ${id} is not in the key ring`)
    return key
  }
}
