/**
 * Hostile Dockerfiles. What a program in a RUN can try is tried by one program (walls/escapes.pl); docs/security.md has
 * every attempt in its table.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { arch, constants } from 'node:os'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { findProgram, type Outcome, succeed } from './support/process.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

/** What each attempt must come to: an error by its name, of several where kernels differ, or nothing at all. */
const ATTEMPTS: Readonly<Record<string, readonly string[]>> = {
  'mount the disk of the host': ['EPERM'],
  'mount /proc once more': ['EPERM'],
  'mount control groups, for their release agent': ['EPERM'],
  'make /proc/sys writable': ['EPERM'],
  'take the mask off /proc/kcore': ['EPERM'],
  pivot_root: ['EPERM'],
  open_tree: ['EPERM'],
  move_mount: ['EPERM'],
  fsopen: ['EPERM'],
  mount_setattr: ['EPERM', 'ENOSYS'],
  'read the disk of the host': ['EPERM'],
  open_by_handle_at: ['EPERM'],
  'read a file of the host by its path': ['ENOENT'],
  'read it through /proc/1/root': ['ENOENT'],
  'read it through /proc/1/cwd': ['ENOENT'],
  'an open file that the runtime left': ['nothing'],
  'leave the root directory by chroot': ['ENOENT'],
  init_module: ['EPERM'],
  finit_module: ['EPERM'],
  delete_module: ['EPERM'],
  kexec_load: ['EPERM'],
  reboot: ['EPERM'],
  bpf: ['EPERM'],
  perf_event_open: ['EPERM'],
  userfaultfd: ['EPERM'],
  io_uring_setup: ['EPERM'],
  keyctl: ['EPERM'],
  add_key: ['EPERM'],
  request_key: ['EPERM'],
  fanotify_init: ['EPERM'],
  quotactl: ['EPERM'],
  swapon: ['EPERM'],
  acct: ['EPERM'],
  syslog: ['EPERM'],
  settimeofday: ['EPERM'],
  sethostname: ['EPERM'],
  'write /proc/sysrq-trigger': ['EROFS', 'ENOENT'],
  'write /proc/sys/kernel/core_pattern': ['EROFS'],
  'write /proc/sys/kernel/modprobe': ['EROFS', 'ENOENT'],
  'write /proc/sys/kernel/hostname': ['EROFS'],
  'write /proc/sys/vm/drop_caches': ['EROFS', 'EACCES'],
  'write /proc/irq/default_smp_affinity': ['EROFS', 'ENOENT'],
  'write /proc/self/oom_score_adj': ['EACCES'],
  'write /sys/kernel/uevent_helper': ['EROFS', 'ENOENT'],
  'write /sys/power/state': ['EROFS', 'ENOENT'],
  'write /sys/fs/cgroup/release_agent': ['EROFS', 'ENOENT', 'EACCES'],
  'make a control group': ['EROFS', 'ENOENT'],
  'read /proc/kcore': ['nothing', 'ENOENT'],
  'read /proc/keys': ['nothing', 'ENOENT'],
  'read /proc/timer_list': ['nothing', 'ENOENT'],
  'read /proc/interrupts': ['nothing', 'ENOENT'],
  'list /sys/firmware': ['nothing', 'ENOENT'],
  'open /dev/mem': ['EPERM'],
  'open /dev/port': ['EPERM'],
  'open /dev/kmsg': ['EPERM'],
  'open /dev/fuse': ['EPERM'],
  'open /dev/console': ['EPERM'],
  ptrace: ['ESRCH'],
  process_vm_readv: ['ESRCH'],
  pidfd_open: ['ESRCH'],
  pidfd_getfd: ['EPERM'],
  'kill a process of the host': ['ESRCH'],
  'see more than the own processes': ['nothing'],
  unshare: ['EPERM'],
  'unshare mounts': ['EPERM'],
  setns: ['EPERM'],
  clone: ['EPERM'],
  clone3: ['ENOSYS'],
  'open the terminal': ['ENXIO'],
  'type into a terminal': ['EPERM'],
  'type with a higher bit': ['EPERM'],
  'a socket of virtual machines': ['EPERM'],
  'one with a higher bit': ['EPERM'],
  'an abstract socket of the host': ['ECONNREFUSED'],
  'the loopback of the host': ['ECONNREFUSED'],
  'mark a directory for the overlay': ['EPERM'],
  'make a file that nobody can delete': ['EPERM'],
  'write a file that is ours': ['EROFS'],
  'kill everything': ['nothing'],
}

const OF_THE_NETWORK = ['an abstract socket of the host', 'the loopback of the host']

const needs = { root: true, programs: ['runc', 'perl', 'ldd'] }

describe('the walls around a RUN', { skip: cannotRun(needs) }, () => {
  let world: World
  let count = 0

  before(async () => {
    world = await createWorld({ base: true })
  })
  after(() => world?.[Symbol.asyncDispose]())

  const contextOf = (dockerfile: string, files: Readonly<Record<string, string>> = {}): Promise<string> =>
    world.folder(`context-${++count}`, { Dockerfile: dockerfile, ...files })

  const tryBuild = (context: string, ...options: string[]): Promise<Outcome> =>
    world.slipway.try(['build', '--progress=plain', '--network=none', ...options, context])

  async function build(context: string, ...options: string[]): Promise<string> {
    const { code, stderr } = await tryBuild(context, ...options)
    assert.equal(code, 0, stderr)
    return stderr
  }

  /** A folder of the host that steps try to reach. */
  async function folderOfHost(name: string): Promise<string> {
    return world.folder(name, { secret: 'of the host\n' })
  }

  const isUntouched = (folder: string): void => {
    assert.deepEqual(readdirSync(folder), ['secret'])
    assert.equal(readFileSync(join(folder, 'secret'), 'utf8'), 'of the host\n')
  }

  it('lets no attempt of a program through, and those of the network only where that is allowed', async t => {
    const host = await folderOfHost('host')
    const abstract = `slipway-${randomUUID()}`
    await using unix = await listen({ path: `\0${abstract}` })
    await using tcp = await listen({ port: 0, host: '127.0.0.1' })
    const victim = spawn('sleep', ['600'], { stdio: 'ignore' })
    t.after(() => victim.kill())
    const arguments_ = [
      join(host, 'secret'),
      String(victim.pid),
      diskOf(world.scratch),
      abstract,
      String((tcp.server.address() as AddressInfo).port),
    ]
    const command = JSON.stringify(['perl', '/escapes.pl', ...arguments_])
    const context = await contextOf(
      `FROM base:1\nCOPY root /\nRUN ${command}\nFROM base:1\nCOPY root /\nRUN --network=host ${command}\n`,
    )
    await copyPerl(join(context, 'root'))
    const inside = outcomesOf(await build(context, '--target=0'))
    assert.deepEqual(Object.keys(inside), Object.keys(ATTEMPTS))
    for (const [name, outcome] of Object.entries(inside))
      assert.ok(ATTEMPTS[name]?.includes(outcome), `${name}: ${outcome}`)
    const withNetwork = outcomesOf(await build(context, '--allow=network.host'))
    for (const [name, outcome] of Object.entries(withNetwork)) {
      if (OF_THE_NETWORK.includes(name)) assert.equal(outcome, 'got out', name)
      else assert.ok(ATTEMPTS[name]?.includes(outcome), `with the network of the host, ${name}: ${outcome}`)
    }
    assert.equal(victim.exitCode, null)
    isUntouched(host)
    assert.ok(unix.server.listening)
  })

  it('is told of, attempt by attempt, in the document', () => {
    const document = readFileSync(join(import.meta.dirname, '../../docs/security.md'), 'utf8')
    const missing = Object.keys(ATTEMPTS).filter(name => !document.includes(name))
    assert.deepEqual(missing, [])
  })

  it('follows symlinks of an image only inside it, wherever it writes', async () => {
    const host = await folderOfHost('links')
    const up = `${'../'.repeat(20)}${host.slice(1)}`
    await build(
      await contextOf(
        [
          'FROM base:1',
          `RUN ln -s ${host} /out && ln -s ${up} /up && mkdir /run2 && ln -s ${host} /run2/out`,
          'WORKDIR /out/place',
          'COPY f /up/copied',
          'COPY f /run2/out/f',
          'ADD f /out/added',
          'RUN --mount=type=tmpfs,target=/out/tmpfs --mount=type=bind,target=/up/bound \\',
          '  --mount=type=cache,target=/out/cache touch /out/tmpfs/x /up/file /out/cache/x relative',
          'RUN --mount=type=bind,from=base:1,source=/bin,target=/out/bin test -e /up/bin/sh',
          `RUN test -e ${host}/copied && test -e ${host}/place/relative && test ! -e ${host}/secret`,
        ].join('\n'),
        { f: 'of the context' },
      ),
    )
    isUntouched(host)
  })

  it('mounts its own files over those of a base image, not over what symlinks of it point at', async () => {
    const host = await folderOfHost('base')
    const context = await contextOf(
      'FROM base:1\nCOPY root /\nRUN cat /etc/hosts /etc/resolv.conf; ! echo x >> /etc/hosts\n',
    )
    mkdirSync(join(context, 'root/etc'), { recursive: true })
    symlinkSync(join(host, 'secret'), join(context, 'root/etc/hosts'))
    symlinkSync(`${'../'.repeat(20)}${join(host, 'new').slice(1)}`, join(context, 'root/etc/resolv.conf'))
    const printed = await build(context)
    assert.match(printed, /localhost/)
    assert.doesNotMatch(printed, /of the host/)
    isUntouched(host)
  })

  it('starts nothing where a base image has /dev as a symlink to the host', async () => {
    const host = await folderOfHost('base-dev')
    const context = await contextOf('FROM scratch\nCOPY root /\nRUN ["/bin/busybox", "true"]\n')
    mkdirSync(join(context, 'root/bin'), { recursive: true })
    cpSync('/bin/busybox', join(context, 'root/bin/busybox'))
    symlinkSync(host, join(context, 'root/dev'))
    const { code, stderr } = await tryBuild(context)
    assert.equal(code, 1)
    assert.match(stderr, /"\/dev" of the image must be a directory/)
    isUntouched(host)
  })

  it('CVE-2019-5736: the runtime that becomes the program of a step cannot be overwritten', async () => {
    const runtimes = ['runc', 'crun', 'youki'].flatMap(name => findProgram(name) ?? [])
    const before = runtimes.map(path => readFileSync(path))
    const context = await contextOf(
      [
        'FROM base:1',
        'COPY root /',
        // Here the shell is the runtime's own program, and what loads its libraries is a shell of ours.
        "RUN exec 3< /proc/self/exe; exec /bin/busybox sh -c ': > /proc/self/fd/3; dd if=/bin/busybox of=/proc/self/fd/3; true'",
      ].join('\n'),
    )
    const loader = arch() === 'arm64' ? 'lib/ld-linux-aarch64.so.1' : 'lib64/ld-linux-x86-64.so.2'
    mkdirSync(join(context, 'root', dirname(loader)), { recursive: true })
    mkdirSync(join(context, 'root/bin'))
    cpSync('/bin/busybox', join(context, 'root', loader))
    symlinkSync('/proc/self/exe', join(context, 'root/bin/sh'))
    await tryBuild(context)
    for (const [index, path] of runtimes.entries())
      assert.deepEqual(readFileSync(path), before[index], `${path} was changed`)
  })

  it('lets programs do what they ordinarily do, and become root by setuid, as sudo must', async () => {
    const context = await contextOf(
      [
        'FROM base:1',
        'COPY root /',
        'RUN cp /bin/perl /bin/like-sudo && chmod 4755 /bin/like-sudo',
        'RUN perl /ordinary.pl',
        'USER app',
        `RUN like-sudo -e 'exit($> == 0 && $< == 1000 ? 0 : 1)'`,
      ].join('\n'),
    )
    await copyPerl(join(context, 'root'))
    assert.match(await build(context), /^#\d+ [\d.]+ refused: $/m)
  })

  it('takes walls away only where the command line allows it, and names the flag', async () => {
    const entitlements: readonly (readonly [instruction: string, flag: string])[] = [
      ['RUN --network=host true', '--allow network.host'],
      ['RUN --security=insecure true', '--allow security.insecure'],
    ]
    for (const [instruction, flag] of entitlements) {
      const context = await contextOf(`FROM base:1\n${instruction}\n`)
      const { code, stderr } = await tryBuild(context)
      assert.equal(code, 2)
      assert.match(stderr, new RegExp(`> 2 \\| ${instruction}\n`))
      assert.ok(stderr.includes(flag), stderr)
      assert.equal((await tryBuild(context, '--check')).code, 0)
      await build(context, ...flag.split(' '))
    }
  })
})

/** By name of the attempt: `got out`, the name of an error, or `nothing`. */
function outcomesOf(printed: string): Readonly<Record<string, string>> {
  const names = new Map(Object.entries(constants.errno).map(([name, number]) => [String(number), name]))
  return Object.fromEntries(
    [...printed.matchAll(/^#\d+ [\d.]+ escape (.+): (got out|\d+)$/gm)].map(([, name = '', outcome = '']) => [
      name,
      outcome === '0' ? 'nothing' : (names.get(outcome) ?? outcome),
    ]),
  )
}

/** `major:minor` of the device on which a file lies. */
function diskOf(path: string): string {
  const { dev } = statSync(path)
  return `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
}

/** The Perl of this machine with the libraries that it needs, and the programs that it shall run. */
async function copyPerl(root: string): Promise<void> {
  const perl = findProgram('perl') ?? ''
  const libraries = (await succeed('ldd', [perl])).match(/\/\S+/g) ?? []
  for (const [from, to] of [[perl, '/bin/perl'] as const, ...libraries.map(path => [path, path] as const)]) {
    mkdirSync(join(root, dirname(to)), { recursive: true })
    writeFileSync(join(root, to), readFileSync(from), { mode: 0o755 })
  }
  for (const program of ['escapes.pl', 'ordinary.pl'])
    cpSync(join(import.meta.dirname, 'walls', program), join(root, program))
}

interface Listening extends AsyncDisposable {
  readonly server: Server
}

async function listen(where: { path: string } | { port: number; host: string }): Promise<Listening> {
  const server = createServer(socket => socket.destroy())
  server.listen(where)
  await once(server, 'listening')
  return {
    server,
    [Symbol.asyncDispose]: () => new Promise(resolve => server.close(() => resolve())),
  }
}
