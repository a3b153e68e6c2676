// JavaScript, because compiled sources are kept only from here on: Node would load its TypeScript for this one file.
const { enableCompileCache } = require('node:module')
const { findBundle, loadBundle } = require('./bundle.cjs')

// An empty one would put everything into the working directory.
process.env.HOME ||= homeOfUser()

// In a folder of the user's own: code in a shared folder such as /tmp could be another user's.
enableCompileCache(`${process.env.XDG_CACHE_HOME || `${process.env.HOME}/.cache`}/slipway/compile`)

load('program').then(({ main }) => main())

async function load(name) {
  const file = findBundle(name)
  if (file === undefined) return await import(`../src/cli/${name}.ts`)
  if (process.env.SLIPWAY_DEBUG !== '1') return loadBundle(file).exports
  // So that a stack trace tells lines of our sources.
  process.setSourceMapsEnabled(true)
  return require(file)
}

/** Of who has a number alone, as in containers, it is what runtimes say. */
function homeOfUser() {
  try {
    return require('node:os').userInfo().homedir
  } catch (error) {
    if (error.code !== 'ERR_SYSTEM_ERROR') throw error
    return '/'
  }
}
