/** How the program starts: from the bundle as long as it fits the sources, with no more than a command needs. */
import assert from 'node:assert/strict'
import { cp, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { type Outcome, run, succeed } from './support/process.ts'

const PROJECT = join(import.meta.dirname, '../..')
const COPIED = ['bin', 'src', 'scripts', 'package.json', 'package-lock.json']

/** Tells on standard error, as the last line, what was loaded: files, and modules of Node's own. */
const TELL_LOADED = `const fs = require('node:fs')
const { resolve } = require('node:path')
const { readFileSync, writeSync } = fs
const read = []
fs.readFileSync = (file, ...options) => {
  read.push(resolve(String(file)))
  return readFileSync(file, ...options)
}
process.on('exit', () => {
  const loaded = { files: [...read, ...Object.keys(require.cache)], builtins: process.moduleLoadList }
  writeSync(2, '\\n' + JSON.stringify(loaded))
})
`

interface Started extends Outcome {
  /** Below the project. */
  readonly files: readonly string[]
  readonly builtins: readonly string[]
}

describe('the start of the program', () => {
  let folder: string
  let project: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-start-'))
    project = join(folder, 'project')
    for (const name of COPIED) await cp(join(PROJECT, name), join(project, name), { recursive: true })
    await symlink(join(PROJECT, 'node_modules'), join(project, 'node_modules'))
    await writeFile(join(folder, 'tell.cjs'), TELL_LOADED)
    await bundle()
  })
  after(() => rm(folder, { recursive: true, force: true }))

  async function bundle(): Promise<void> {
    await succeed(join(project, 'bin/node'), [join(project, 'scripts/bundle.mjs')])
  }

  async function start(...args: readonly string[]): Promise<Started> {
    const env = {
      NODE_OPTIONS: `--require ${join(folder, 'tell.cjs')}`,
      XDG_CACHE_HOME: join(folder, 'cache'),
    }
    const outcome = await run(join(project, 'bin/slipway'), args, { env })
    const { files, builtins } = JSON.parse(outcome.stderr.slice(outcome.stderr.lastIndexOf('\n')))
    const below = files.filter((file: string) => file.startsWith(project))
    return { ...outcome, files: below.map((file: string) => file.slice(project.length + 1)), builtins }
  }

  /** Of the bundle. */
  function scriptsOf(files: readonly string[]): string[] {
    return files.filter(file => file.startsWith('dist/') && file.endsWith('.cjs'))
  }

  it('loads the bundle', async () => {
    const { code, stdout, files } = await start('images', '--root', join(folder, 'store'))
    assert.equal(code, 0)
    assert.match(stdout, /REPOSITORY/)
    assert.ok(scriptsOf(files).includes('dist/program.cjs'), `${files}`)
  })

  for (const args of [
    ['--version'],
    ['--help'],
    ['build', '--help'],
    ['serve', '--help'],
    ['images', '--help'],
  ])
    it(`loads for ${args.join(' ')} neither a library nor a part of Node.js that it does not need`, async () => {
      const { stdout, files, builtins } = await start(...args)
      assert.match(stdout, /slipway/i)
      assert.deepEqual(scriptsOf(files), ['dist/program.cjs'])
      const heavy = [
        'sqlite',
        'http',
        'https',
        'tls',
        'crypto',
        'child_process',
        'worker_threads',
        'fs/promises',
      ]
      const loaded = builtins.map(name => name.replace(/^NativeModule /, ''))
      assert.deepEqual(
        [...heavy, 'internal/deps/undici/undici'].filter(name => loaded.includes(name)),
        [],
      )
    })

  it('runs a source that was edited, and its bundle when it is made anew', async () => {
    const edited = join(project, 'src/cli/format-option.ts')
    const source = await readFile(edited, 'utf8')
    await writeFile(edited, source.replace(/help: '/, "help: 'EDITED "))
    const fromSources = await start('images', '--help')
    assert.match(fromSources.stdout, /EDITED/)
    assert.deepEqual(scriptsOf(fromSources.files), [])
    await bundle()
    const fromBundle = await start('images', '--help')
    assert.match(fromBundle.stdout, /EDITED/)
    assert.deepEqual(scriptsOf(fromBundle.files), ['dist/program.cjs'])
  })

  it('does not run what was bundled of a source that is gone', async () => {
    const source = join(project, 'src/store/open.ts')
    await rename(source, `${source}.moved`)
    assert.match((await start('images')).stderr, /Cannot find module .*open\.ts/)
    await rename(`${source}.moved`, source)
  })

  it('starts with functions compiled already, those of this Node.js', async () => {
    const script = `const { loadBundle } = require(${JSON.stringify(join(project, 'bin/bundle.cjs'))})
      const { script } = loadBundle(${JSON.stringify(join(project, 'dist/program.cjs'))})
      process.stdout.write(String(script.cachedDataRejected))`
    assert.equal(await succeed(join(project, 'bin/node'), ['-e', script]), 'false')
  })

  it('runs from the sources where there is no bundle', async () => {
    await rm(join(project, 'dist'), { recursive: true })
    const { code, stdout, files } = await start('--version')
    assert.equal(code, 0)
    assert.match(stdout, /^slipway \d/)
    assert.deepEqual(scriptsOf(files), [])
    await bundle()
  })

  it('tells places in the sources when it is asked where an error comes from', async () => {
    const outcome = await run(join(project, 'bin/slipway'), ['rmi', ''], { env: { SLIPWAY_DEBUG: '1' } })
    assert.match(outcome.stderr, /src\/oci\/reference\.ts:\d+:\d+/)
  })

  it('carries the licence of every package in it', async () => {
    const licenses = await readFile(join(project, 'dist/licenses.txt'), 'utf8')
    for (const name of ['fastify', 'tar-stream', 'dockerfile-ast', 'bcryptjs', 'sha256-uint8array'])
      assert.match(
        licenses,
        new RegExp(`^${name} \\d+\\..*\\n\\n.*[Cc]opyright|^${name} \\d+\\.[^-]*licen[cs]e`, 'ms'),
      )
    assert.doesNotMatch(licenses, /^(koffi|@ltd)/m)
  })
})
