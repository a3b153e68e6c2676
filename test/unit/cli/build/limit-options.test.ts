import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Arguments } from '../../../../src/cli/arguments.ts'
import { readLimitOptions } from '../../../../src/cli/build/limit-options.ts'
import { parseSize } from '../../../../src/cli/build/size.ts'

const refuse = (problem: string): Error => new Error(problem)

function read(values: Readonly<Record<string, string | readonly string[]>>) {
  const given = Object.entries(values).map(([name, value]) => [name, [value].flat()] as const)
  return readLimitOptions(new Arguments([], new Map(given)), refuse)
}

describe('readLimitOptions()', () => {
  it('limits nothing where nothing is said', () => {
    assert.deepEqual(read({}), { allow: new Set(), limits: { ulimits: [] } })
  })

  it('reads sizes, limits and groups', () => {
    const { limits } = read({
      'shm-size': '128m',
      ulimit: ['nofile=100:200', 'core=0', 'nproc=-1', 'stack=1:-1', 'core=5'],
      'cgroup-parent': 'team/builds/',
      memory: '1g',
      'memory-swap': '-1',
      'cpu-quota': '50000',
      'cpuset-cpus': '0-3,7',
    })
    assert.deepEqual(limits, {
      shmSize: 128 * 1024 ** 2,
      ulimits: [
        { name: 'core', soft: 5, hard: 5 },
        { name: 'nofile', soft: 100, hard: 200 },
        { name: 'nproc' },
        { name: 'stack', soft: 1 },
      ],
      cgroupParent: '/team/builds',
      memory: { limit: 1024 ** 3, swap: -1 },
      cpu: { quota: 50_000, cpus: '0-3,7' },
    })
  })

  it('reads --resource as the options of its keys, which win', () => {
    const { limits } = read({ resource: ['memory=2g', 'cpu-shares=5', 'memory-swap=3g'], memory: '1g' })
    assert.deepEqual(limits.memory, { limit: 1024 ** 3, swap: 3 * 1024 ** 3 })
    assert.deepEqual(limits.cpu, { shares: 5 })
  })

  it('reads processors as a quota, processes, times and layers', () => {
    const { limits } = read({ cpus: '1.5', 'pids-limit': '100', timeout: '1m30s', 'max-layer-size': '2g' })
    assert.deepEqual(limits, {
      ulimits: [],
      cpu: { quota: 150_000 },
      pids: 100,
      timeoutMs: 90_000,
      layerBytes: 2 * 1024 ** 3,
    })
    assert.deepEqual(read({ cpus: '2', 'cpu-period': '50000' }).limits.cpu, {
      period: 50_000,
      quota: 100_000,
    })
    assert.equal(read({ 'pids-limit': '-1' }).limits.pids, 0)
  })

  it('allows what BuildKit calls so', () => {
    const { allow } = read({ allow: ['network.host', 'security.insecure'] })
    assert.deepEqual([...allow], ['network.host', 'security.insecure'])
  })

  it('allows a Dockerfile the network that the command line gives it', () => {
    assert.deepEqual([...read({ network: 'host' }).allow], ['network.host'])
    assert.deepEqual([...read({ network: 'none' }).allow], [])
  })

  const wrong: readonly (readonly [Readonly<Record<string, string>>, RegExp])[] = [
    [{ allow: 'device' }, /RUN --device/],
    [{ allow: 'everything' }, /--allow is network\.host or security\.insecure/],
    [{ 'shm-size': 'x' }, /--shm-size/],
    [{ 'shm-size': '0' }, /--shm-size/],
    [{ cpus: '0' }, /--cpus is a number/],
    [{ cpus: '1', 'cpu-quota': '1000' }, /say the same/],
    [{ 'pids-limit': 'many' }, /--pids-limit is a number/],
    [{ timeout: '90' }, /--timeout is a duration/],
    [{ timeout: '-1s' }, /--timeout is a duration/],
    [{ timeout: '0' }, /--timeout is a duration/],
    [{ timeout: '10000h' }, /--timeout is a duration/],
    [{ 'max-layer-size': '0' }, /--max-layer-size is a number of bytes/],
    [{ ulimit: 'bogus=1' }, /no such limit/],
    [{ ulimit: 'nofile' }, /NAME=SOFT/],
    [{ ulimit: 'nofile=2:1' }, /soft limit is above/],
    [{ ulimit: 'nofile=-1:1' }, /soft limit is above/],
    [{ 'cgroup-parent': '/a/../b' }, /--cgroup-parent/],
    [{ 'cgroup-parent': '/' }, /--cgroup-parent/],
    [{ 'memory-swap': '1g' }, /needs --memory/],
    [{ memory: '2g', 'memory-swap': '1g' }, /cannot be less/],
    [{ 'cpu-quota': '-1' }, /--cpu-quota/],
    [{ 'cpuset-cpus': 'all' }, /--cpuset/],
    [{ resource: 'disk=1g' }, /--resource/],
  ]
  for (const [values, message] of wrong)
    it(`refuses ${JSON.stringify(values)}`, () => {
      assert.throws(() => read(values), { message })
    })
})

describe('parseSize()', () => {
  for (const [text, bytes] of [
    ['1', 1],
    ['10b', 10],
    ['64K', 65_536],
    ['1.5g', 1_610_612_736],
    ['2GiB', 2 * 1024 ** 3],
    ['3 mb', 3 * 1024 ** 2],
    ['', undefined],
    ['-1', undefined],
    ['1x', undefined],
    ['99999999999999t', undefined],
  ] as const)
    it(`${JSON.stringify(text)} is ${bytes}`, () => {
      assert.equal(parseSize(text), bytes)
    })
})
