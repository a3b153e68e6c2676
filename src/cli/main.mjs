// JavaScript, because compiled sources are kept only from here on: Node would load its TypeScript for this one file.
import { enableCompileCache } from 'node:module'
import { userInfo } from 'node:os'
import { join } from 'node:path'

// An empty one would put everything into the working directory.
process.env.HOME ||= homeOfUser()

// In a folder of the user's own: code in a shared folder such as /tmp could be another user's.
enableCompileCache(join(process.env.XDG_CACHE_HOME || join(process.env.HOME, '.cache'), 'slipway', 'compile'))

const { main } = await import('./program.ts')
await main()

/** Of who has a number alone, as in containers, it is what runtimes say. */
function homeOfUser() {
  try {
    return userInfo().homedir
  } catch (error) {
    if (error.code !== 'ERR_SYSTEM_ERROR') throw error
    return '/'
  }
}
