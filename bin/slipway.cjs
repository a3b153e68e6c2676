// JavaScript, because compiled sources are kept only from here on: Node would load its TypeScript for this one file.
const { enableCompileCache } = require('node:module')
const { findBundle } = require('./bundle.cjs')

// An empty one would put everything into the working directory.
process.env.HOME ||= homeOfUser()

// In a folder of the user's own: code in a shared folder such as /tmp could be another user's.
enableCompileCache(`${process.env.XDG_CACHE_HOME || `${process.env.HOME}/.cache`}/slipway/compile`)

// So that a stack trace tells lines of our sources.
if (process.env.SLIPWAY_DEBUG === '1') process.setSourceMapsEnabled(true)

load('program').then(({ main }) => main())

async function load(name) {
  const file = findBundle(name)
  return file === undefined ? await import(`../src/cli/${name}.ts`) : require(file)
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
