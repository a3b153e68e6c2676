/** Containers, over a root filesystem that holds busybox alone. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import type { ContainerProcess } from '../../src/builder/exec/executor.ts'
import { NO_LIMITS } from '../../src/builder/exec/limits.ts'
import { createRuntimeExecutor } from '../../src/builder/exec/runtime-executor.ts'
import { createOverlaySnapshotter } from '../../src/builder/snapshot/overlay-snapshotter.ts'
import type { ActiveSnapshot } from '../../src/builder/snapshot/snapshotter.ts'
import { removeStaleState } from '../../src/builder/snapshot/stale-state.ts'
import type { FileTree } from '../../src/builder/tree/file-tree.ts'
import { digestOf } from '../../src/oci/digest.ts'
import { type TarItem, writeTar } from '../../src/oci/tar/writer.ts'
import { directory, file, mounted, needsRoot, never, symlink, temporaryDirectory } from './snapshotter-kit.ts'

const BUSYBOX = '/bin/busybox'
const skip =
  needsRoot || (existsSync(BUSYBOX) ? false : 'it needs a static /bin/busybox: install busybox-static')

const PATH = process.env.PATH ?? ''

const nothing: FileTree = {
  stat: async () => undefined,
  list: async () => [],
  digest: async () => assert.fail(),
  prepare: async () => undefined,
  open: async () => assert.fail(),
}

const PROCESS: ContainerProcess = {
  args: ['/bin/busybox', 'true'],
  env: ['PATH=/bin', 'NAME=value'],
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [] },
  hostname: 'builder',
  network: 'none',
  extraHosts: [],
  limits: NO_LIMITS,
  isPrivileged: false,
  mounts: [],
}

const shell = (script: string): Pick<ContainerProcess, 'args'> => ({
  args: ['/bin/busybox', 'sh', '-c', script],
})

interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** A store, a root filesystem over busybox and the items, and a way to run in it. */
async function open(t: TestContext, items: readonly TarItem[] = []) {
  const root = temporaryDirectory(t, path => {
    assert.deepEqual(
      readdirSync(`${path}/run`).filter(name => name.startsWith('tmp-')),
      [],
    )
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(path))
  })
  const snapshotter = createOverlaySnapshotter({ root })
  const busybox = file('bin/busybox', '', { mode: 0o755 })
  const body = readFileSync(BUSYBOX)
  const layer = [
    { entry: { ...busybox.entry, size: body.length }, body },
    symlink('bin/sh', 'busybox'),
    ...items,
  ]
  const base = digestOf('base')
  await snapshotter.apply(base, undefined, writeTar(layer), never)
  const active = await snapshotter.prepare(base)
  const executor = createRuntimeExecutor({ stateRoot: root, path: PATH })

  async function run(process: Partial<ContainerProcess>, signal = never): Promise<Outcome> {
    const said = { stdout: '', stderr: '' }
    const output = (stream: 'stdout' | 'stderr', chunk: Uint8Array) => {
      said[stream] += Buffer.from(chunk).toString()
    }
    const { exitCode } = await executor.run({ ...PROCESS, ...process }, active.mounts, { signal, output })
    return { exitCode, ...said }
  }
  return { root, active, run, [Symbol.asyncDispose]: () => active[Symbol.asyncDispose]() }
}

async function changed(active: ActiveSnapshot): Promise<string[]> {
  const paths: string[] = []
  for await (const { entry } of active.changes(nothing, never)) paths.push(entry.path)
  return paths
}

describe('the runtime executor', { skip }, () => {
  test('lets everyone write to a tmpfs, unless the image has a directory there', async t => {
    await using box = await open(t, [directory('own', { mode: 0o750 })])
    const mounts = ['/own', '/new/deep'].map(target => ({ kind: 'tmpfs', target, readOnly: false }) as const)
    const { stdout } = await box.run({ ...shell('stat -c "%a %n" /new /new/deep /own'), mounts })
    assert.equal(stdout, '755 /new\n1777 /new/deep\n750 /own\n')
    assert.ok(!(await changed(box.active)).includes('new'), 'nothing of it stays')
  })

  test('leaves the same directories whatever our umask is', async t => {
    const before = process.umask(0o077)
    try {
      await using box = await open(t)
      assert.equal((await box.run({})).exitCode, 0)
      const modes = ['dev', 'proc', 'sys'].map(name => statSync(`${box.active.directory}/${name}`).mode)
      assert.deepEqual(
        modes.map(mode => mode & 0o7777),
        [0o755, 0o755, 0o755],
      )
    } finally {
      process.umask(before)
    }
  })

  test('runs a process and tells its exit code and output', async t => {
    await using box = await open(t)
    const script = 'echo out; echo err >&2; echo "$NAME $(hostname) $(umask)"; exit 7'
    assert.deepEqual(await box.run(shell(script)), {
      exitCode: 7,
      stdout: 'out\nvalue builder 0022\n',
      stderr: 'err\n',
    })
  })

  test('standard input is empty', async t => {
    await using box = await open(t)
    assert.deepEqual(await box.run(shell('cat; echo end')), { exitCode: 0, stdout: 'end\n', stderr: '' })
  })

  test('runs as the user with the groups that it is given', async t => {
    await using box = await open(t)
    const user = { uid: 1000, gid: 100, additionalGids: [100, 27] }
    const { stdout } = await box.run({ ...shell('id -u; id -g; id -G'), user })
    assert.equal(stdout, '1000\n100\n100 27\n')
  })

  test('makes a missing working directory, owned by the user', async t => {
    await using box = await open(t)
    const user = { uid: 1000, gid: 100, additionalGids: [] }
    const { stdout } = await box.run({
      ...shell('pwd; stat -c "%n %u:%g %a" /new /new/deep'),
      user,
      cwd: '/new/deep',
    })
    assert.equal(stdout, '/new/deep\n/new 1000:100 755\n/new/deep 1000:100 755\n')
  })

  test("a working directory behind a symlink stays in the container's root", async t => {
    await using box = await open(t, [symlink('out', '/tmp/slipway-test-escape')])
    const { stdout } = await box.run({ ...shell('pwd -P'), cwd: '/out/x' })
    assert.equal(stdout, '/tmp/slipway-test-escape/x\n')
    assert.equal(existsSync('/tmp/slipway-test-escape'), false)
  })

  const intoProc: readonly (readonly [name: string, cwd: string, items: readonly TarItem[]])[] = [
    ['by its name', '/proc/self/fd/7', []],
    ['through a symlink', '/here', [symlink('here', '/proc/self/fd/7')]],
    [
      'through symlinks and ..',
      '/tmp/here/../../self',
      [directory('tmp'), symlink('tmp/here', '/proc/1/cwd')],
    ],
  ]
  for (const [name, cwd, items] of intoProc)
    test(`CVE-2024-21626: a working directory that leads into /proc ${name} starts nothing`, async t => {
      await using box = await open(t, items)
      await assert.rejects(box.run({ cwd }), { code: 'run-failed', message: /lies in the kernel's \/proc/ })
    })

  test("CVE-2024-21626: what an image has in its own /proc leads nowhere in the kernel's", async t => {
    await using box = await open(t, [directory('proc'), directory('tmp'), symlink('proc/self', '/tmp')])
    const { stdout } = await box.run({ ...shell('pwd -P; ls -a'), cwd: '/proc/self/fd/7' })
    assert.equal(stdout, '/tmp/fd/7\n.\n..\n')
  })

  test("has Docker's default capabilities and a seccomp filter", async t => {
    await using box = await open(t)
    const { stdout } = await box.run(
      shell('grep -E "^(CapInh|CapBnd|CapEff|CapAmb|Seccomp|NoNewPrivs):" /proc/self/status'),
    )
    assert.equal(
      stdout.replaceAll('\t', ' '),
      'CapInh: 0000000000000000\nCapEff: 00000000a80425fb\nCapBnd: 00000000a80425fb\nCapAmb: 0000000000000000\nNoNewPrivs: 0\nSeccomp: 2\n',
    )
  })

  const forbidden: readonly (readonly [name: string, script: string])[] = [
    ['mount', 'mount -t tmpfs none /mnt'],
    ['make a user namespace', 'unshare -U true'],
    ['make a mount namespace', 'unshare -m true'],
    ['change the host name', 'hostname other'],
    ['write kernel settings', 'echo 1 > /proc/sys/kernel/panic'],
    ['write below /sys', 'mkdir /sys/fs/cgroup/x'],
    ['ask the kernel to reboot', 'echo b > /proc/sysrq-trigger'],
    ['open a disk', 'mknod /sda b 8 0 && cat /sda'],
    ['write /etc/hosts', 'echo x >> /etc/hosts'],
    ['write /etc/resolv.conf', 'echo x >> /etc/resolv.conf'],
  ]
  test('refuses what reaches out of the container', async t => {
    await using box = await open(t, [directory('mnt')])
    for (const [name, script] of forbidden) {
      const { exitCode } = await box.run(shell(script))
      assert.notEqual(exitCode, 0, `a step can ${name}`)
    }
  })

  test('sees its own processes only', async t => {
    await using box = await open(t)
    const { stdout } = await box.run(shell('echo $$; ls /proc | grep -c "^[0-9]*$"'))
    assert.match(stdout, /^1\n[1-5]\n$/)
  })

  test('knows itself, localhost and the extra hosts', async t => {
    await using box = await open(t)
    const { stdout } = await box.run({ ...shell('cat /etc/hosts'), extraHosts: ['10.0.0.9\tregistry'] })
    assert.match(stdout, /^127\.0\.0\.1\tlocalhost builder$/m)
    assert.match(stdout, /^10\.0\.0\.9\tregistry$/m)
  })

  test('without network there is still a loopback device', async t => {
    await using box = await open(t)
    const { stdout } = await box.run(shell('ls /sys/class/net; ip addr show lo'))
    assert.match(stdout, /^lo\n/)
    assert.match(stdout, /inet 127\.0\.0\.1/)
  })

  test('mount points leave nothing in the layer, nor a trace in the time of their directory', async t => {
    await using box = await open(t, [
      directory('etc', { mtime: 5 }),
      directory('proc'),
      directory('sys'),
      directory('dev'),
    ])
    await box.run(shell('true'))
    assert.deepEqual(
      (await changed(box.active)).filter(path => path !== 'etc'),
      [],
    )
    await mounted(box.active.mounts, root => assert.deepEqual(readdirSync(`${root}/etc`), []))
    for await (const { entry } of box.active.changes(nothing, never)) assert.equal(entry.mtime, 5)
  })

  test('files that were there keep their content below the mounts', async t => {
    await using box = await open(t, [directory('etc'), file('etc/hosts', 'as it was')])
    assert.match((await box.run(shell('cat /etc/hosts'))).stdout, /localhost/)
    await mounted(box.active.mounts, root =>
      assert.equal(readFileSync(`${root}/etc/hosts`, 'utf8'), 'as it was'),
    )
  })

  test('a resolv.conf that is a dangling symlink is mounted where it points, inside the root', async t => {
    const target = '/run/slipway-test-resolve/stub.conf'
    await using box = await open(t, [directory('etc'), symlink('etc/resolv.conf', `../../..${target}`)])
    const { stdout } = await box.run(shell(`cat /etc/resolv.conf; ls ${target}`))
    assert.equal(stdout, `${readFileSync('/etc/resolv.conf', 'utf8')}${target}\n`)
    assert.equal(existsSync('/run/slipway-test-resolve'), false)
    assert.ok(!(await changed(box.active)).includes(target.slice(1)))
  })

  for (const path of ['dev', 'proc', 'sys'])
    test(`an image whose /${path} is a symlink cannot have the runtime write to the host`, async t => {
      const host = temporaryDirectory(t)
      writeFileSync(`${host}/ptmx`, 'of the host')
      await using box = await open(t, [symlink(path, host)])
      await assert.rejects(box.run({}), { code: 'run-failed', message: /must be a directory/ })
      assert.deepEqual(readdirSync(host), ['ptmx'])
      assert.equal(readFileSync(`${host}/ptmx`, 'utf8'), 'of the host')
    })

  test('a program that is not there is an error that names it', async t => {
    await using box = await open(t)
    await assert.rejects(box.run({ args: ['/no/such/program'] }), {
      name: 'BuildError',
      code: 'run-failed',
      message: /Cannot start container: .*\/no\/such\/program/,
    })
  })

  test('processes left in the background are gone when it returns', async t => {
    await using box = await open(t)
    const { exitCode } = await box.run(shell('sleep 1000 & exit 0'))
    assert.equal(exitCode, 0)
  })

  test('an abort ends the container and everything it started', async t => {
    await using box = await open(t)
    const abort = new AbortController()
    const reason = new Error('interrupted')
    const running = box.run(
      shell('trap "" TERM INT HUP; (sleep 1000 &) ; mkdir /started; sleep 1000'),
      abort.signal,
    )
    await started(box.active)
    abort.abort(reason)
    await assert.rejects(running, reason)
    const { stdout } = await box.run(shell('ls /proc | grep -c "^[0-9]*$"'))
    assert.match(stdout, /^[1-5]\n$/)
  })

  test('a signal that is aborted already starts nothing', async t => {
    await using box = await open(t)
    await assert.rejects(box.run(shell('touch /ran'), AbortSignal.abort()), { name: 'AbortError' })
    await box.run({})
    assert.ok(!(await changed(box.active)).includes('ran'))
  })

  test('containers run at the same time', async t => {
    await using box = await open(t)
    await using other = await open(t)
    const outcomes = await Promise.all([box, other].map(b => b.run(shell('exit 3'))))
    assert.deepEqual(
      outcomes.map(({ exitCode }) => exitCode),
      [3, 3],
    )
  })

  test('what a killed process leaves behind is taken down, also through a symlink to the store', async t => {
    const folder = temporaryDirectory(t)
    const root = `${folder}/link`
    mkdirSync(`${folder}/store`)
    symlinkSync('store', root)
    await using box = await open(t)
    const child = spawn(
      process.execPath,
      [new URL('./executor-victim.ts', import.meta.url).pathname, root, PATH],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    )
    let said = ''
    for await (const chunk of child.stdout) {
      said += chunk
      if (said.includes('started')) break
    }
    const dead = once(child, 'exit')
    child.kill('SIGKILL')
    await dead
    assert.match(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(folder))
    const init = initProcess(root)
    assert.ok(existsSync(`/proc/${init}`))
    const secrets = secretsOf(root)
    assert.equal(secrets.length, 1)
    await removeStaleState(root)
    assert.equal(existsSync(`/proc/${init}`), false)
    assert.deepEqual(secrets.filter(existsSync), [])
    assert.doesNotMatch(readFileSync('/proc/self/mountinfo', 'utf8'), new RegExp(folder))
    assert.deepEqual(
      readdirSync(`${root}/run`).filter(name => name.startsWith('tmp-')),
      [],
    )
    await box.run({})
  })
})

/** The first process of the only container of the store, as runtimes keep it in their state. */
function initProcess(root: string): number {
  const [id = ''] = readdirSync(`${root}/run`).filter(name => /^tmp-[0-9a-f]+$/.test(name))
  const state = `${root}/run/${id}/private/state/${id}`
  const file = ['state.json', 'status'].find(name => existsSync(`${state}/${name}`))
  const { init_process_pid: runc, pid: crun } = JSON.parse(readFileSync(`${state}/${file}`, 'utf8'))
  return runc ?? crun
}

/** Files of the only container of the store that hold the secret of the victim; all must be in memory. */
function secretsOf(root: string): readonly string[] {
  const found = readdirSync(`${root}/run`, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name !== 'busybox')
    .map(entry => `${entry.parentPath}/${entry.name}`)
    .filter(path => readFileSync(path, 'latin1').includes('of the victim alone'))
  for (const path of found) assert.equal(statfsSync(path).type, TMPFS_MAGIC)
  return found
}

const TMPFS_MAGIC = 0x01021994

/** Resolves when the step has made its mark. */
async function started(active: ActiveSnapshot): Promise<void> {
  const { watch } = await import('node:fs/promises')
  for await (const _event of watch(active.directory)) if (existsSync(`${active.directory}/started`)) return
}
