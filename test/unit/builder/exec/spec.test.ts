import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerProcess, NetworkMode } from '../../../../src/builder/exec/executor.ts'
import type { Host } from '../../../../src/builder/exec/host.ts'
import { NO_LIMITS } from '../../../../src/builder/exec/limits.ts'
import { runtimeSpec } from '../../../../src/builder/exec/spec.ts'

const HOST: Host = {
  machine: 'x64',
  capabilities: ['CAP_SYS_ADMIN'],
  outOfMemoryScore: 0,
  hasUnifiedCgroups: false,
  thermalPaths: [],
  isProcCovered: false,
}

interface Spec {
  readonly process: {
    readonly user: object
    readonly capabilities: Readonly<Record<string, readonly string[]>>
    readonly noNewPrivileges: boolean
    readonly terminal: boolean
    readonly oomScoreAdj: number
    readonly rlimits?: readonly object[]
  }
  readonly mounts: readonly {
    readonly destination: string
    readonly type: string
    readonly options: readonly string[]
  }[]
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[]
    readonly seccomp?: object
    readonly rootfsPropagation: string
    readonly maskedPaths?: readonly string[]
    readonly resources: {
      readonly devices: readonly object[]
      readonly memory?: object
      readonly cpu?: object
    }
  }
}

function spec(process: Partial<ContainerProcess> = {}, host: Partial<Host> = {}): Spec {
  const defaults: ContainerProcess = {
    args: ['true'],
    env: [],
    cwd: '/',
    user: { uid: 5, gid: 6, additionalGids: [7] },
    hostname: 'builder',
    network: 'default',
    extraHosts: [],
    mounts: [],
    limits: NO_LIMITS,
    isPrivileged: false,
  }
  const files = [{ source: '/store/run/hosts', destination: '/etc/hosts' }]
  const options = {
    root: '/root',
    process: { ...defaults, ...process },
    files,
    mounts: [],
    cgroupsPath: '/x',
    host: { ...HOST, ...host },
  }
  return runtimeSpec(options) as Spec
}

const networks: readonly (readonly [mode: NetworkMode, own: boolean])[] = [
  ['default', false],
  ['host', false],
  ['none', true],
]
for (const [network, own] of networks)
  test(`network ${network} has ${own ? 'a' : 'no'} network namespace of its own`, () => {
    const types = spec({ network }).linux.namespaces.map(({ type }) => type)
    assert.deepEqual(types, ['pid', 'mount', 'uts', 'ipc', ...(own ? ['network'] : [])])
  })

test('no namespace is joined, no capability is inheritable or ambient', () => {
  assert.ok(spec().linux.namespaces.every(({ path }) => path === undefined))
  const { inheritable, ambient } = spec().process.capabilities
  assert.deepEqual([inheritable, ambient], [[], []])
})

test('the process gets its ids and the usual umask', () => {
  assert.deepEqual(spec().process.user, { uid: 5, gid: 6, additionalGids: [7], umask: 0o022 })
})

test('files of ours are mounted read-only, after the mounts of the kernel', () => {
  const last = spec().mounts.at(-1)
  assert.equal(last?.destination, '/etc/hosts')
  assert.ok(last?.options.includes('ro'))
})

test('nothing of the kernel is writable but what belongs to the container', () => {
  const writable = spec()
    .mounts.filter(({ options }) => !options.includes('ro'))
    .map(({ destination }) => destination)
  assert.deepEqual(writable, ['/proc', '/dev', '/dev/pts', '/dev/shm', '/dev/mqueue'])
})

test('every machine has a filter of system calls', () => {
  for (const machine of ['x64', 'arm64', 'mips']) assert.ok(spec({}, { machine }).linux.seccomp)
})

test('one hierarchy of control groups is seen from its own group, and not written to', () => {
  const { linux, mounts } = spec({}, { hasUnifiedCgroups: true })
  assert.ok(linux.namespaces.some(({ type }) => type === 'cgroup'))
  assert.ok(mounts.find(({ destination }) => destination === '/sys/fs/cgroup')?.options.includes('ro'))
})

test('an ordinary user who shares the /sys of the machine does not share its control groups', () => {
  const map = [{ inside: 0, outside: 1000, count: 1 }]
  const host = { idMaps: { uids: map, gids: map } }
  assert.ok(spec({ network: 'host' }, host).linux.maskedPaths?.includes('/sys/fs/cgroup'))
  for (const other of [
    spec({ network: 'none' }, host),
    spec({ network: 'host' }, { ...host, hasUnifiedCgroups: true }),
  ])
    assert.ok(!other.linux.maskedPaths?.includes('/sys/fs/cgroup'))
})

test('a builder that is spared when memory runs out has steps that are not', () => {
  assert.equal(spec({}, { outOfMemoryScore: -900 }).process.oomScoreAdj, 0)
  assert.equal(spec({}, { outOfMemoryScore: 300 }).process.oomScoreAdj, 300)
})

test('what the kernel tells of each processor is masked, and no mount is seen from outside', () => {
  const path = '/sys/devices/system/cpu/cpu0/thermal_throttle'
  const { linux } = spec({}, { thermalPaths: [path] })
  assert.ok(linux.maskedPaths?.includes(path))
  assert.equal(linux.rootfsPropagation, 'rprivate')
})

test('limits are those of the process', () => {
  const { process, mounts, linux } = spec({
    limits: {
      shmSize: 4096,
      ulimits: [{ name: 'nofile', soft: 1, hard: 2 }, { name: 'core' }],
      memory: { limit: 5 },
      cpu: { shares: 6 },
    },
  })
  assert.equal(
    JSON.stringify(process.rlimits),
    '[{"type":"RLIMIT_NOFILE","soft":1,"hard":2},{"type":"RLIMIT_CORE","soft":18446744073709551615,"hard":18446744073709551615}]',
  )
  assert.ok(mounts.find(({ destination }) => destination === '/dev/shm')?.options.includes('size=4096'))
  assert.deepEqual([linux.resources.memory, linux.resources.cpu], [{ limit: 5 }, { shares: 6 }])
})

test('a privileged process has no walls', () => {
  const { process, mounts, linux } = spec({ isPrivileged: true })
  assert.ok(process.capabilities.effective?.includes('CAP_SYS_ADMIN'))
  assert.equal(linux.seccomp, undefined)
  assert.equal(linux.maskedPaths, undefined)
  assert.deepEqual(linux.resources.devices, [{ allow: true, access: 'rwm' }])
  assert.ok(mounts.find(({ destination }) => destination === '/sys')?.options.includes('rw'))
})

test('runtimeSpec() gives a user namespace the /proc of a container that covers parts of it: the kernel lets it mount no other', () => {
  const idMaps = {
    uids: [{ inside: 0, outside: 1000, count: 1 }],
    gids: [{ inside: 0, outside: 1000, count: 1 }],
  }
  const procOf = (host: Parameters<typeof spec>[1]) =>
    spec({}, host).mounts.find(({ destination }: { destination: string }) => destination === '/proc')?.type
  assert.equal(procOf({ isProcCovered: true, idMaps }), 'bind')
  assert.equal(procOf({ isProcCovered: false, idMaps }), 'proc')
  assert.equal(procOf({ isProcCovered: true }), 'proc')
})
