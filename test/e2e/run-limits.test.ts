import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { mountPointsOf } from '../../src/builder/exec/control-group.ts'
import { isErrno } from '../../src/oci/errors.ts'
import type { Outcome } from './support/process.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

describe('limits of RUN', { skip: cannotRun({ root: true, programs: ['runc'] }) }, () => {
  let world: World
  let count = 0

  before(async () => {
    world = await createWorld({ base: true })
  })
  after(() => world?.[Symbol.asyncDispose]())

  async function tryBuild(command: string, ...options: string[]): Promise<Outcome> {
    const Dockerfile = `FROM base:1\n${command}\n`
    const context = await world.folder(`context-${++count}`, { Dockerfile })
    return world.slipway.try(['build', '--progress=plain', '-t', `app:${count}`, ...options, context])
  }

  /** With the place in the Dockerfile, and nothing left of the step. */
  async function fails(command: string, problem: RegExp, ...options: string[]): Promise<void> {
    const { code, stderr } = await tryBuild(command, ...options)
    assert.equal(code, 1, stderr)
    assert.match(stderr, problem)
    assert.match(stderr, /^\S*Dockerfile:2\n.*\n> 2 \| /m)
    assertNothingLeft()
  }

  function assertNothingLeft(): void {
    const left = readdirSync(join(world.scratch, 'store/run')).filter(name => name.startsWith('tmp-'))
    assert.deepEqual(left, [])
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    assert.ok(!mounts.includes(join(world.scratch, 'store/run')), mounts)
  }

  it('ends a fork bomb at the number of processes, and names it', () =>
    fails(
      'RUN b() { b | b & b | b; }; b; sleep 1; i=0; while [ $i -lt 100 ]; do sleep 5 & i=$((i+1)); done; wait',
      /out of processes, of which --pids-limit allows 60: exit code/,
      '--pids-limit=60',
    ))

  it('gives steps a number of processes where nobody asks for one', async () => {
    const group = 'RUN echo "limit $(cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null)"'
    const probe = (await tryBuild(group)).stderr
    // In a namespace that shows no control groups there is nothing to see: the unit test of the spec has it.
    if (/limit \w/.test(probe)) assert.match(probe, /limit 4096/)
  })

  it('tells that a step wants more memory than it may have', () =>
    fails(
      'RUN tail /dev/zero',
      /out of memory, of which --memory allows 24 MiB: exit code 137/,
      '--memory=24m',
      '--memory-swap=24m',
    ))

  it('tells so where only a child was ended, and the shell went on to another error', () =>
    fails(
      'RUN tail /dev/zero; echo went on; exit 3',
      /out of memory, of which --memory allows 24 MiB: exit code 3/,
      '--memory=24m',
      '--memory-swap=24m',
    ))

  it('ends a step that takes too long, with what it left in the background', async () => {
    const mark = `slipway${process.pid}`
    await fails(
      `RUN sh -c 'exec sleep 1000' ${mark} & exec sleep 1001`,
      /Cannot run ".*": it took longer than the 1\.5 s that --timeout allows/,
      '--timeout=1.5s',
    )
    assert.deepEqual(processesWith(mark), [])
  })

  it('leaves no control group behind, in any hierarchy', async () => {
    const parent = `slipway-test-${randomUUID()}`
    const { code, stderr } = await tryBuild('RUN true', `--cgroup-parent=${parent}`)
    assert.equal(code, 0, stderr)
    const groups = mountPointsOf(readFileSync('/proc/self/mounts', 'latin1'))
      .map(mountPoint => join(mountPoint, parent))
      .filter(group => existsSync(group))
    assert.notEqual(groups.length, 0)
    const left = groups.flatMap(group => readdirSync(group).filter(name => name.startsWith('tmp-')))
    assert.deepEqual(left, [])
    for (const group of groups) rmdirSync(group)
  })

  it('ends with the step what runs on in its background', async () => {
    const mark = `slipway-background-${process.pid}`
    const { code, stderr } = await tryBuild(`RUN (sh -c 'sleep 1000; true' ${mark} >/dev/null 2>&1 &) ; true`)
    assert.equal(code, 0, stderr)
    assert.deepEqual(processesWith(mark), [])
    assertNothingLeft()
  })

  it('ends a step while it writes more than its layer may hold, and keeps none of it', async () => {
    await fails(
      'RUN yes > /endless',
      /Cannot keep layer: it is larger than the 8 MiB that --max-layer-size allows/,
      '--max-layer-size=8m',
    )
    const store = readdirSync(join(world.scratch, 'store/ingest'))
    assert.deepEqual(store, [])
  })

  it('refuses a layer that is too large when it is made, of a step that was done before anybody looked', () =>
    fails(
      'RUN truncate -s 9000000 /holes',
      /larger than the 8 MiB that --max-layer-size/,
      '--max-layer-size=8m',
    ))

  it('names the ulimit that ended a step', async () => {
    await fails(
      'RUN dd if=/dev/zero of=/f bs=64k count=100',
      /a file became larger than the 1 MiB that --ulimit fsize allows: exit code 1\n/,
      '--ulimit=fsize=1048576',
    )
    await fails(
      'RUN dd if=/dev/zero of=/f bs=64k count=100; exit $?',
      /a file became larger than the 1 MiB that --ulimit fsize allows: exit code 153 \(SIGXFSZ\)/,
      '--ulimit=fsize=1048576',
    )
    await fails('RUN while :; do :; done', /than the 1 s that --ulimit cpu allows/, '--ulimit=cpu=1')
    await fails(
      'RUN true',
      /hint: --ulimit asks for more than this machine gives/,
      '--ulimit=nofile=2000000000',
    )
  })

  it('keeps of endless output what is kept of any', async () => {
    const { code, stderr } = await tryBuild('RUN yes endless', '--timeout=1s')
    assert.equal(code, 1)
    assert.match(stderr, /it took longer than the 1 s/)
  })

  it('limits processors and shared memory as it is told', async () => {
    const { code, stderr } = await tryBuild(
      'RUN df -m /dev/shm | tail -1 && grep Cpus_allowed_list /proc/self/status && ulimit -n',
      '--shm-size=8m',
      '--cpus=0.5',
      '--cpuset-cpus=0',
      '--ulimit=nofile=123',
    )
    assert.equal(code, 0, stderr)
    assert.match(stderr, /tmpfs +8 /)
    assert.match(stderr, /Cpus_allowed_list:\s+0$/m)
    assert.match(stderr, / 123$/m)
  })
})

/** Whose arguments hold the text. */
function processesWith(text: string): readonly string[] {
  return readdirSync('/proc').filter(name => {
    if (!/^\d+$/.test(name)) return false
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(text)
    } catch (error) {
      // It ended meanwhile.
      if (isErrno(error, 'ENOENT', 'ESRCH')) return false
      throw error
    }
  })
}
