import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createBuildLogs, logRoot } from '../../../../src/builder/logs/build-logs.ts'
import { pruneLogs, removeOldLogs } from '../../../../src/builder/logs/prune-logs.ts'
import { loadLinux } from '../../../../src/linux/linux.ts'

const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 6)

function storeRoot(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'slipway-test-'))
  t.after(() => rmSync(root, { recursive: true }))
  return root
}

/** Logs of builds that have ended, a second apart, oldest first. */
function putBuilds(root: string, sizes: readonly number[]): readonly string[] {
  return sizes.map((size, index) => {
    const time = new Date(NOW - (sizes.length - index) * 1000).toISOString().replaceAll(/[-:]/g, '')
    const path = join(logRoot(root), `${time}-00000a`)
    mkdirSync(path, { recursive: true })
    writeFileSync(join(path, '1-make.log'), 'x'.repeat(size))
    return path
  })
}

test('createBuildLogs() keeps what each step prints in a file that only its owner reads', async t => {
  const root = storeRoot(t)
  using logs = createBuildLogs(root, () => NOW)
  assert.equal(logs.directory, undefined)
  assert.equal(existsSync(logRoot(root)), false, 'nothing is made before there is something to write')
  using first = await logs.open('make -j4 install\nmore')
  using second = await logs.open('')
  first.write(Buffer.from('one\r'))
  second.write(Buffer.from([0xff, 0x00]))
  first.write(Buffer.from('two'))
  assert.match(basename(logs.directory ?? ''), /^20260102T030405\.006Z-[0-9a-f]{6}$/)
  assert.deepEqual(readdirSync(logs.directory ?? ''), ['1-make-j4-install-more.log', '2.log'])
  assert.equal(readFileSync(first.path ?? '', 'utf8'), 'one\rtwo')
  assert.deepEqual(readFileSync(second.path ?? ''), Buffer.from([0xff, 0x00]))
  assert.equal(statSync(first.path ?? '').mode & 0o777, 0o600)
  assert.equal(statSync(logs.directory ?? '').mode & 0o777, 0o700)
})

test('createBuildLogs() ends a log that would fill the disk, and says so in it', async t => {
  using logs = createBuildLogs(storeRoot(t), () => NOW, 10)
  using log = await logs.open('yes')
  for (let index = 0; index < 100; index++) log.write(Buffer.from('y\n'))
  assert.equal(
    readFileSync(log.path ?? '', 'utf8'),
    `${'y\n'.repeat(5)}\n[more than 10 bytes are not kept]\n`,
  )
})

test('removeOldLogs() keeps the newest builds, as many and as much as it is told', async t => {
  const root = storeRoot(t)
  const linux = await loadLinux()
  const [oldest, ...others] = putBuilds(root, [10, 10, 10, 10])
  await removeOldLogs(linux, logRoot(root), { builds: 3, bytes: 1000 })
  assert.equal(existsSync(oldest ?? ''), false)
  assert.deepEqual(
    readdirSync(logRoot(root)),
    others.map(path => basename(path)),
  )
  await removeOldLogs(linux, logRoot(root), { builds: 3, bytes: 25 })
  assert.deepEqual(
    readdirSync(logRoot(root)),
    others.slice(1).map(path => basename(path)),
  )
  await removeOldLogs(linux, logRoot(root), { builds: 3, bytes: 0 })
  assert.deepEqual(
    readdirSync(logRoot(root)),
    others.slice(2).map(path => basename(path)),
  )
})

test('logs of a build that runs stay, whoever removes old ones', async t => {
  const root = storeRoot(t)
  const linux = await loadLinux()
  using running = createBuildLogs(root, () => NOW - 3_600_000)
  using log = await running.open('make')
  log.write(Buffer.from('here'))
  putBuilds(root, [1, 1])
  writeFileSync(join(logRoot(root), 'not-ours'), '')
  await removeOldLogs(linux, logRoot(root), { builds: 1, bytes: 0 })
  assert.ok((await pruneLogs(linux, logRoot(root), Number.POSITIVE_INFINITY)) > 0)
  assert.equal(readFileSync(log.path ?? '', 'utf8'), 'here')
  assert.deepEqual(readdirSync(logRoot(root)).sort(), [basename(running.directory ?? ''), 'not-ours'])
})

test('pruneLogs() keeps what is younger than asked for', async t => {
  const root = storeRoot(t)
  putBuilds(root, [1])
  assert.equal(await pruneLogs(await loadLinux(), logRoot(root), NOW - 1e12), 0)
  assert.equal(readdirSync(logRoot(root)).length, 1)
})
