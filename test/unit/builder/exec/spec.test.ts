import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerProcess, NetworkMode } from '../../../../src/builder/exec/executor.ts'
import { NO_LIMITS } from '../../../../src/builder/exec/limits.ts'
import { runtimeSpec } from '../../../../src/builder/exec/spec.ts'

interface Spec {
  readonly process: {
    readonly user: object
    readonly capabilities: Readonly<Record<string, readonly string[]>>
    readonly noNewPrivileges: boolean
    readonly terminal: boolean
    readonly rlimits?: readonly object[]
  }
  readonly mounts: readonly { readonly destination: string; readonly options: readonly string[] }[]
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[]
    readonly seccomp?: object
    readonly maskedPaths?: readonly string[]
    readonly resources: {
      readonly devices: readonly object[]
      readonly memory?: object
      readonly cpu?: object
    }
  }
}

function spec(process: Partial<ContainerProcess> = {}, machine = 'x64'): Spec {
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
    machine,
    ownCapabilities: ['CAP_SYS_ADMIN'],
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
  assert.deepEqual(Object.keys(spec().process.capabilities), ['bounding', 'effective', 'permitted'])
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
  for (const machine of ['x64', 'arm64', 'mips']) assert.ok(spec({}, machine).linux.seccomp)
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
