import { z } from 'zod'
import { entityTags } from '../entity-tags.ts'
import { defineEvent, type DomainEvent } from './define-event.ts'

type Id = string | number

const id = z.union([z.string().min(1), z.number()])

/** A user's profile has changed: drops everything that is tagged with the user. */
export const userProfileUpdated: DomainEvent<{ readonly userId: Id }, 'user-profile.updated'> =
  defineEvent({
    name: 'user-profile.updated',
    schema: z.object({ userId: id }),
    invalidates: ({ userId }) => ({ tags: [entityTags.user(userId)] }),
  })

/** A model was trained or replaced: drops everything that it has computed. */
export const modelUpdated: DomainEvent<{ readonly model: string }, 'model.updated'> = defineEvent({
  name: 'model.updated',
  schema: z.object({ model: z.string().min(1) }),
  invalidates: ({ model }) => ({ tags: [entityTags.model(model)] }),
})

/** A campaign has changed: drops everything that is tagged with it. */
export const campaignChanged: DomainEvent<{ readonly campaignId: Id }, 'campaign.changed'> =
  defineEvent({
    name: 'campaign.changed',
    schema: z.object({ campaignId: id }),
    invalidates: ({ campaignId }) => ({ tags: [entityTags.campaign(campaignId)] }),
  })
