/**
 * Keeps the functions of the bundle that a build calls, compiled, in FILE.code (bin/bundle.cjs): by building twice, so
 * that both what a first build calls is among them and what one calls that finds everything in the cache.
 * Usage: scripts/compile-bundle.mjs FILE
 */
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadBundle } from '../bin/bundle.cjs'

const [node, program, file] = process.argv
const folder = mkdtempSync(join(tmpdir(), 'slipway-bundle-'))
try {
  const context = join(folder, 'context')
  mkdirSync(join(context, 'src'), { recursive: true })
  writeFileSync(join(context, 'src/file'), 'content\n')
  writeFileSync(
    join(context, 'Dockerfile'),
    'FROM scratch\nENV A=b\nWORKDIR /w\nCOPY src ./src\nCMD ["/w/x"]\n',
  )
  const { exports, script } = loadBundle(file)
  process.env.SLIPWAY_ROOT = join(folder, 'store')
  process.env.XDG_CONFIG_HOME = folder
  process.argv = [node, program, 'build', '--tag=bundle', '--progress=plain', context]
  for (let builds = 0; builds < 2; builds++) {
    // As if we had entered one: this process must stay the one that it is.
    process.env.SLIPWAY_USER_NAMESPACE = JSON.stringify({
      name: readlinkSync('/proc/self/ns/user'),
      uid: process.getuid(),
      workingDirectory: process.cwd(),
      descriptors: [],
    })
    await exports.main()
  }
  writeFileSync(`${file}.code`, script.createCachedData())
} finally {
  rmSync(folder, { recursive: true, force: true })
}
