import { enableCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { join } from 'node:path'

// Stripped and compiled sources are kept between runs, in a folder of the user's own: code in a shared folder such
// as /tmp could be another user's.
enableCompileCache(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'slipway', 'compile'))

const { main } = await import('./program.ts')
await main()
