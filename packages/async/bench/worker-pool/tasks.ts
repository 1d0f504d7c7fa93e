/** The same work for every pool, with one argument, since that is what most of them take. */
import { transfer } from '@dharma/async/worker-pool'
import { move } from 'piscina'

export function addPair([left, right]: readonly [number, number]): number {
  return left + right
}

export function spin(ms: number): number {
  const untilMs = performance.now() + ms
  let turns = 0
  while (performance.now() < untilMs) turns += 1
  return turns
}

export function passOn(bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  return transfer(bytes, [bytes.buffer])
}

export function passOnForPiscina(bytes: Uint8Array<ArrayBuffer>): unknown {
  return move(bytes)
}
