/** The service by itself: `node service/main.ts` with `DHARMA_CAMPAIGNS_*` set (see `config.ts`). */
import { startService } from './app.ts'

const { url, lifecycle } = await startService()
if (process.send === undefined) console.log(`listening on ${url}`)
else {
  process.send({ url })
  // A service started by another process does not outlive it.
  process.once('disconnect', () => void lifecycle.stop('the parent process ended'))
}
