/**
 * The bundle (dist/) is the program in a few files, which start much faster than its sources. Beside sources a file of it is
 * used only as long as it was made of exactly these: dist/NAME.json tells what each source was that went into NAME.cjs.
 */
const { existsSync, lstatSync, readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname } = require('node:path')
const { Script } = require('node:vm')

const root = `${__dirname}/../`
const missing = { throwIfNoEntry: false }

/** The file of the bundle to load in place of `src/cli/NAME.ts`; undefined when there is none, or one of other sources. */
exports.findBundle = name => {
  const file = `${root}dist/${name}.cjs`
  // A package has no sources: what is in it fits.
  if (!existsSync(`${root}src`)) return file
  const text = readIfThere(`${root}dist/${name}.json`)
  if (text === undefined) return undefined
  const sources = JSON.parse(text)
  for (const source in sources) {
    const [mtime, ctime, size] = sources[source]
    const stats = lstatSync(root + source, missing)
    if (stats?.mtimeMs !== mtime || stats.ctimeMs !== ctime || stats.size !== size) return undefined
  }
  return file
}

/**
 * As `require` does, but with the functions that a build needs compiled already (FILE.code, of this version of Node.js; any other
 * compiles them itself). Node's own cache has only what runs while a file is loaded.
 */
exports.loadBundle = file => {
  const code = readIfThere(`${file}.code`)
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(file, 'latin1')}\n})`
  const script = new Script(source, { filename: file, ...(code && { cachedData: code }) })
  const module = { exports: {} }
  script.runInThisContext()(module.exports, createRequire(file), module, file, dirname(file))
  return { exports: module.exports, script }
}

function readIfThere(file) {
  try {
    return readFileSync(file)
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

/** As they are now, and as `findBundle` will look for them. @param names of files below the project, as `src/cli/program.ts` */
exports.statesOf = names =>
  Object.fromEntries(
    names.map(name => {
      const { mtimeMs, ctimeMs, size } = lstatSync(root + name)
      return [name, [mtimeMs, ctimeMs, size]]
    }),
  )
