import assert from 'node:assert/strict'
import { lstatSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cannotRun, createWorld, type World } from './support/world.ts'

const DOCKERFILE = `FROM base:1
RUN test -e /bin/busybox
COPY a.txt /a.txt
RUN cat /a.txt > /second
COPY b.txt /b.txt
LABEL last=line
`

describe('the build cache', { skip: cannotRun({ root: true, programs: ['runc'] }) }, () => {
  let world: World
  let context: string
  const build = async (...options: string[]): Promise<string> => {
    const { code, stderr } = await world.slipway.try([
      'build',
      '--network=host',
      '--progress=plain',
      '-t',
      'app',
      ...options,
      context,
    ])
    assert.equal(code, 0, stderr)
    return stderr
  }
  const digest = (printed: string): string | undefined => /^digest +(\S+)$/m.exec(printed)?.[1]

  before(async () => {
    world = await createWorld({ base: true })
    context = await world.folder('context', { Dockerfile: DOCKERFILE, 'a.txt': 'a\n', 'b.txt': 'b\n' })
  })
  after(() => world?.[Symbol.asyncDispose]())

  it('executes nothing and writes nothing when nothing has changed, and gives the same digest', async () => {
    const first = await build()
    // The digests of files that were only just written are not trusted, and so written down by the second build.
    await build()
    const before = storeFiles(world.slipway.root)
    const again = await build()
    assert.deepEqual(steps(again), { CACHED: 4, DONE: 0 })
    assert.equal(digest(again), digest(first))
    assert.deepEqual(storeFiles(world.slipway.root), before)
  })

  it('does not mind new times of files', async () => {
    const first = await build()
    for (const name of ['a.txt', 'b.txt', 'Dockerfile']) utimesSync(join(context, name), 1e9, 1e9)
    const again = await build()
    assert.deepEqual(steps(again), { CACHED: 4, DONE: 0 })
    assert.equal(digest(again), digest(first))
  })

  it('runs again from the COPY that selects the file that changed', async () => {
    await build()
    writeFileSync(join(context, 'b.txt'), 'changed\n')
    assert.deepEqual(steps(await build()), { CACHED: 3, DONE: 1 })
    writeFileSync(join(context, 'a.txt'), 'changed\n')
    assert.deepEqual(steps(await build()), { CACHED: 1, DONE: 3 })
  })

  it('goes on from the cache after a step that ran again with the same result', async () => {
    writeFileSync(join(context, 'Dockerfile'), DOCKERFILE.replace('test -e', 'test -f'))
    assert.deepEqual(steps(await build()), { CACHED: 3, DONE: 1 })
  })

  it('does not run anything again for a change of metadata', async () => {
    writeFileSync(join(context, 'Dockerfile'), DOCKERFILE.replace('COPY a.txt', 'LABEL new=one\nCOPY a.txt'))
    assert.deepEqual(steps(await build()), { CACHED: 4, DONE: 0 })
  })

  it('runs everything with --no-cache', async () => {
    assert.deepEqual(steps(await build('--no-cache')), { CACHED: 0, DONE: 4 })
  })

  it('runs everything after prune, and gc leaves the tagged image whole', async () => {
    await build()
    await world.slipway.run(['prune'])
    await world.slipway.run(['gc'])
    assert.match(await world.slipway.run(['images']), /^app +latest/m)
    assert.deepEqual(steps(await build()), { CACHED: 0, DONE: 4 })
  })
})

/** How the steps that make layers ended. */
function steps(printed: string): { CACHED: number; DONE: number } {
  const layered = new Set(
    Array.from(printed.matchAll(/^#(\d+) \[[^\]]*\] (?:RUN|COPY)/gm), match => match[1]),
  )
  const ended = (word: string): number =>
    Array.from(printed.matchAll(new RegExp(`^#(\\d+) ${word}`, 'gm'))).filter(match => layered.has(match[1]))
      .length
  return { CACHED: ended('CACHED'), DONE: ended('DONE') }
}

/** Every file of the store with size and time of change. SQLite's shared memory index is no content: it is left out. */
function storeFiles(root: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter(name => !name.endsWith('-shm') && !name.endsWith('-wal') && !name.startsWith('snapshots/'))
      .map(name => {
        const { size, mtimeMs, ino } = lstatSync(join(root, name))
        return [name, `${size} ${mtimeMs} ${ino}`]
      }),
  )
}
