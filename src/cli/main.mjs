// JavaScript, because compiled sources are kept only from here on: Node would load its TypeScript for this one file.
import { enableCompileCache } from 'node:module'
import { homedir, userInfo } from 'node:os'
import { join } from 'node:path'

// In a folder of the user's own: code in a shared folder such as /tmp could be another user's.
enableCompileCache(
  join(process.env.XDG_CACHE_HOME || join(homedir() || userInfo().homedir, '.cache'), 'slipway', 'compile'),
)

const { main } = await import('./program.ts')
await main()
