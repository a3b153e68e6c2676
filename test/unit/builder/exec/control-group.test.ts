import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { after, describe, it } from 'node:test'
import {
  findHierarchies,
  mountPointsOf,
  readUsage,
  removeControlGroup,
} from '../../../../src/builder/exec/control-group.ts'

const scratch = mkdtempSync(join(tmpdir(), 'slipway-groups-'))
after(() => rmSync(scratch, { recursive: true }))

function write(files: Readonly<Record<string, string>>): void {
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(scratch, path)), { recursive: true })
    writeFileSync(join(scratch, path), content)
  }
}

describe('findHierarchies()', () => {
  it('finds controllers of version 1 where they are mounted, beside a unified hierarchy that has none of them', () => {
    const found = findHierarchies(
      'cgroup /c/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\ncgroup /c/memory cgroup rw,memory 0 0\n' +
        'cgroup2 /c/unified cgroup2 rw 0 0\n',
    )
    assert.deepEqual(Object.fromEntries(found), {
      cpuacct: { version: 1, mountPoint: '/c/cpu,cpuacct' },
      memory: { version: 1, mountPoint: '/c/memory' },
    })
  })

  it('finds all of them where there is only the unified one, and nothing where there is none', () => {
    const found = findHierarchies('cgroup2 /sys/fs/cgroup cgroup2 rw,nsdelegate 0 0\n')
    assert.deepEqual([...found.keys()], ['memory', 'pids', 'cpuacct'])
    assert.equal(findHierarchies('proc /proc proc rw 0 0\n').size, 0)
  })
})

it('mountPointsOf() names every hierarchy, of any controller and of none', () => {
  const mounts =
    'cgroup /c/memory cgroup rw,memory 0 0\ncgroup /c/systemd cgroup rw,name=systemd 0 0\n' +
    'proc /proc proc rw 0 0\ncgroup2 /c/unified cgroup2 rw 0 0\n'
  assert.deepEqual(mountPointsOf(mounts), ['/c/memory', '/c/systemd', '/c/unified'])
})

describe('readUsage()', () => {
  it('reads version 2, which counts the kills of the group itself', () => {
    write({
      'two/s/a/memory.events': 'low 0\noom 3\noom_kill 2\noom_group_kill 0\n',
      'two/s/a/memory.peak': '1234\n',
      'two/s/a/pids.peak': '7\n',
      'two/s/a/cpu.stat': 'usage_usec 2500000\nuser_usec 1\n',
    })
    const hierarchies = findHierarchies(`cgroup2 ${scratch}/two cgroup2 rw 0 0\n`)
    assert.deepEqual(readUsage(hierarchies, '/s/a', 9), {
      outOfMemoryKills: 2,
      peakMemory: 1234,
      peakPids: 7,
      cpuSeconds: 2.5,
    })
  })

  it('reads version 1, which leaves counting kills to the machine', () => {
    write({
      'memory/s/a/memory.max_usage_in_bytes': '99\n',
      'pids/s/a/pids.peak': '5\n',
      'cpu/s/a/cpuacct.usage': '1500000000\n',
    })
    const hierarchies = findHierarchies(
      ['memory', 'pids', 'cpu,cpuacct']
        .map(names => `cgroup ${scratch}/${names.split(',')[0]} cgroup rw,${names} 0 0\n`)
        .join(''),
    )
    assert.deepEqual(readUsage(hierarchies, '/s/a', 1), {
      outOfMemoryKills: 1,
      peakMemory: 99,
      peakPids: 5,
      cpuSeconds: 1.5,
    })
  })

  it('says nothing of what an older kernel does not tell', () => {
    write({ 'old/s/a/cgroup.procs': '' })
    const hierarchies = findHierarchies(`cgroup2 ${scratch}/old cgroup2 rw 0 0\n`)
    assert.deepEqual(readUsage(hierarchies, '/s/a', 0), { outOfMemoryKills: 0 })
  })
})

describe('removeControlGroup()', () => {
  it('removes what the note tells, and takes a note that was never written, or half of one, for nothing', async () => {
    mkdirSync(join(scratch, 'g/a/step'), { recursive: true })
    const note = join(scratch, 'note')
    writeFileSync(note, JSON.stringify([join(scratch, 'g/a'), join(scratch, 'g/gone')]))
    await removeControlGroup(note)
    assert.throws(() => rmSync(join(scratch, 'g/a')), { code: 'ENOENT' })
    for (const half of ['', '["/sys']) {
      writeFileSync(note, half)
      await removeControlGroup(note)
    }
    await removeControlGroup(join(scratch, 'none'))
  })
})
