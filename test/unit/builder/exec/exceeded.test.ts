import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { exceededLimit, formatSize } from '../../../../src/builder/exec/exceeded.ts'

const MIB = 1024 * 1024
const ulimits = [
  { name: 'cpu', soft: 2, hard: 2 },
  { name: 'fsize', soft: MIB, hard: MIB },
]

describe('exceededLimit()', () => {
  it('names the memory where a process was ended for want of it at the limit, whatever the exit code', () => {
    const limits = { ulimits: [], memory: { limit: 64 * MIB } }
    const usage = { outOfMemoryKills: 1, peakMemory: 63 * MIB }
    assert.equal(exceededLimit(137, limits, usage, []), 'out of memory, of which --memory allows 64 MiB')
    assert.equal(exceededLimit(2, limits, usage, []), 'out of memory, of which --memory allows 64 MiB')
  })

  it('blames no limit for what another container of the machine has lost', () => {
    const limits = { ulimits: [], memory: { limit: 64 * MIB } }
    assert.equal(exceededLimit(1, limits, { outOfMemoryKills: 1, peakMemory: 20 * MIB }, []), undefined)
    assert.equal(exceededLimit(1, limits, { outOfMemoryKills: 0, peakMemory: 64 * MIB }, []), undefined)
    assert.equal(exceededLimit(137, { ulimits: [] }, { outOfMemoryKills: 1 }, []), undefined)
  })

  it('names the number of processes, also that which nobody gave', () => {
    const usage = { outOfMemoryKills: 0, peakPids: 100 }
    assert.match(exceededLimit(1, { ulimits: [], pids: 100 }, usage, []) ?? '', /--pids-limit allows 100$/)
    assert.equal(exceededLimit(1, { ulimits: [], pids: 101 }, usage, []), undefined)
    const bomb = { outOfMemoryKills: 0, peakPids: 4096 }
    assert.match(exceededLimit(1, { ulimits: [] }, bomb, []) ?? '', /allows 4096$/)
    assert.equal(exceededLimit(1, { ulimits: [], pids: 0 }, bomb, []), undefined)
  })

  it('names the ulimit that a signal stands for, where there is one', () => {
    assert.match(
      exceededLimit(153, { ulimits }, undefined, []) ?? '',
      /larger than the 1 MiB .*--ulimit fsize/,
    )
    assert.match(exceededLimit(152, { ulimits }, undefined, []) ?? '', /2 s that --ulimit cpu/)
    assert.match(exceededLimit(137, { ulimits }, { outOfMemoryKills: 0, cpuSeconds: 1.95 }, []) ?? '', /cpu/)
    assert.equal(exceededLimit(137, { ulimits }, { outOfMemoryKills: 0, cpuSeconds: 1 }, []), undefined)
    assert.match(exceededLimit(1, { ulimits }, undefined, ["dd: '/f': File too large"]) ?? '', /fsize/)
    assert.equal(exceededLimit(153, { ulimits: [] }, undefined, []), undefined)
  })
})

it('formatSize() counts as options do', () => {
  assert.equal(formatSize(1000), '1000 bytes')
  assert.equal(formatSize(1536), '1.5 KiB')
  assert.equal(formatSize(2 * 1024 ** 3), '2 GiB')
})
