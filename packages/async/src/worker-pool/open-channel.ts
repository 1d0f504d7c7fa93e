import type { Channel, ChannelEvents, ChannelOptions } from './channel.ts'
import { ProcessChannel } from './process-channel.ts'
import { ThreadChannel } from './thread-channel.ts'

/** Starts a worker of this kind. */
export function openChannel(
  kind: 'thread' | 'process',
  options: ChannelOptions,
  events: ChannelEvents,
): Channel {
  return kind === 'thread'
    ? new ThreadChannel(options, events)
    : new ProcessChannel(options, events)
}
