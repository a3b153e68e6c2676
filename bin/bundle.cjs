/**
 * The bundle (dist/) is the program in a few files, which start much faster than its sources. Beside sources a file of it is
 * used only as long as it was made of exactly these: dist/NAME.json tells what each source was that went into NAME.cjs.
 */
const { existsSync, lstatSync, readFileSync } = require('node:fs')

const root = `${__dirname}/../`
const missing = { throwIfNoEntry: false }

/** The file of the bundle to load in place of `src/cli/NAME.ts`; undefined when there is none, or one of other sources. */
exports.findBundle = name => {
  const file = `${root}dist/${name}.cjs`
  // A package has no sources: what is in it fits.
  if (!existsSync(`${root}src`)) return file
  let sources
  try {
    sources = JSON.parse(readFileSync(`${root}dist/${name}.json`, 'utf8'))
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
  for (const source in sources) {
    const [mtime, ctime, size] = sources[source]
    const stats = lstatSync(root + source, missing)
    if (stats?.mtimeMs !== mtime || stats.ctimeMs !== ctime || stats.size !== size) return undefined
  }
  return file
}

/** As they are now, and as `findBundle` will look for them. @param names of files below the project, as `src/cli/program.ts` */
exports.statesOf = names =>
  Object.fromEntries(
    names.map(name => {
      const { mtimeMs, ctimeMs, size } = lstatSync(root + name)
      return [name, [mtimeMs, ctimeMs, size]]
    }),
  )
