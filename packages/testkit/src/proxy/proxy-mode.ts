import type { Throttle } from './throttle.ts'

/** What the proxy does with bytes at the moment. Faults of bytes replace each other; `heal()` ends all. */
export type ProxyMode =
  | { readonly kind: 'pass' }
  | { readonly kind: 'delay'; readonly delayMs: number }
  | { readonly kind: 'throttle'; readonly throttle: Throttle }
  | { readonly kind: 'blackHole' }
