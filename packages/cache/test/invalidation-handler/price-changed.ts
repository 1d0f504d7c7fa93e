import { defineEvent, type DomainEvent } from '@dharma/cache/invalidation-handler'
import { z } from 'zod'

/** An event of a service's own, for the tests. */
export const priceChanged: DomainEvent<{ readonly sku: string }, 'price.changed'> = defineEvent({
  name: 'price.changed',
  schema: z.object({ sku: z.string() }),
  invalidates: ({ sku }) => {
    if (sku === 'broken') throw new Error('the definition is broken')
    return { keys: [`price:${sku}`], patterns: [`list:*:${sku}`] }
  },
})
