/**
 * Processes that push, delete and collect garbage over one store are killed at random moments, again and again, with a
 * disk of any size and with one that is always nearly full. `SLIPWAY_KILL_ROUNDS` says how often (15), `SLIPWAY_KILL_SEED`
 * when.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { RepositoryName, Tag } from '../../src/oci/reference.ts'
import { type DiskStore, openStore } from '../../src/store/open.ts'
import { withReserve } from '../../src/store/reserve.ts'
import { scrubContent } from '../../src/store/scrub.ts'
import { succeed } from './support/process.ts'
import { cannotRun } from './support/world.ts'

const ROUNDS = Number(process.env.SLIPWAY_KILL_ROUNDS ?? 15)
const WORKER = join(import.meta.dirname, '../unit/store/worker-process.ts')
const APP = 'app' as RepositoryName

/** What one worker said before it died. */
async function killAfter(root: string, name: string, ms: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [WORKER, root, 'churn', name], { stdio: ['ignore', 'pipe', 'pipe'] })
  const said: string[] = []
  let problems = ''
  child.stderr.on('data', chunk => {
    problems += chunk
  })
  const lines = createInterface({ input: child.stdout })
  lines.on('line', line => said.push(line))
  const ended = Promise.all([once(child, 'close'), once(lines, 'close')])
  // From its first deed on, for its start takes longer than all that it then does.
  await Promise.race([once(lines, 'line'), ended, sleep(3000, undefined, { ref: false })])
  await sleep(ms)
  child.kill('SIGKILL')
  await ended
  assert.equal(child.signalCode, 'SIGKILL', problems)
  return said
}

class Expected {
  readonly #there = new Map<string, string>()
  readonly #gone = new Set<string>()

  note(said: readonly string[]): void {
    for (const line of said) {
      const [name = '', layer = ''] = line.slice(1).split(' ')
      if (line.startsWith('+')) this.#there.set(name, layer)
      else this.#there.delete(name)
      if (line.startsWith('-')) this.#gone.add(name)
    }
  }

  get size(): number {
    return this.#there.size
  }

  /** All that was acknowledged is there, and all that is there is whole. */
  async check(store: DiskStore): Promise<void> {
    const { metadata } = store
    for (const [name, layer] of this.#there) {
      const found = metadata.getTag(APP, name as Tag)
      assert.ok(found, `${name} was acknowledged`)
      assert.equal(metadata.getManifest(APP, found.digest)?.references[0], layer, name)
    }
    for (const name of this.#gone)
      assert.equal(metadata.getTag(APP, name as Tag), undefined, `${name} was deleted`)
    const { lost, dropped } = await scrubContent(store, {
      signal: new AbortController().signal,
      onLost: () => undefined,
    })
    assert.deepEqual([lost, dropped], [[], []])
    // Nobody reads these again: room for those that follow.
    for (const name of [...this.#there.keys()].slice(0, -8)) {
      await withReserve(store.disk.layout, async () => metadata.deleteTag(APP, name as Tag))
      this.#there.delete(name)
    }
  }
}

async function killAgainAndAgain(t: TestContext, root: string): Promise<void> {
  let seed = Number(process.env.SLIPWAY_KILL_SEED ?? 1)
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
    return Math.floor((seed / 2 ** 32) * below)
  }
  const expected = new Expected()
  let lines = 0
  for (let round = 0; round < ROUNDS; round++) {
    const workers = ['a', 'b'].map(name => killAfter(root, `${name}${round}`, random(400)))
    for (const said of await Promise.all(workers)) {
      expected.note(said)
      lines += said.length
    }
    using store = await openStore({ root, now: Date.now, freesSpace: true })
    await expected.check(store)
  }
  assert.ok(lines > ROUNDS, `only ${lines} deeds in ${ROUNDS} rounds`)
  t.diagnostic(`${2 * ROUNDS} kills, ${lines} deeds`)
}

describe('a store whose processes are killed at any moment', () => {
  it('has all that it acknowledged, and nothing by halves', async t => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-kills-'))
    t.after(() => rm(folder, { recursive: true }))
    await killAgainAndAgain(t, join(folder, 'store'))
  })

  const needsRoot = cannotRun({ root: true, programs: ['mount', 'umount'] })
  it('also on a disk that is nearly full all the time', { skip: needsRoot }, async t => {
    const folder = await mkdtemp(join(tmpdir(), 'slipway-kills-'))
    await succeed('mount', ['-t', 'tmpfs', '-o', 'size=10m', 'tmpfs', folder])
    t.after(async () => {
      await succeed('umount', [folder])
      await rm(folder, { recursive: true })
    })
    await killAgainAndAgain(t, join(folder, 'store'))
  })
})
