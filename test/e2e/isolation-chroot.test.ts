/** RUN by chroot alone, as root without the right to mount: the same images, and nothing left behind. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { eventually } from './support/containers.ts'
import { startEngine } from './support/engine.ts'
import { type Outcome, run, succeed } from './support/process.ts'
import { PROGRAM } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

/** What root of a container without privileges has, or less. */
const UNPRIVILEGED = '--bounding-set=-sys_admin,-sys_ptrace,-net_admin,-sys_resource,-sys_module'
const SECRET = 'not to be found\n'
const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' }

/** Name, Dockerfile after `FROM base:1`. */
const CASES: readonly (readonly [string, string])[] = [
  [
    'what steps change',
    `RUN echo a > /a && chown 7:8 /a && chmod 4755 /a && mkdir -p /d/e && touch /d/e/f /d/b && ln /a /d/link
RUN rm -r /d/e /home && rm /bin/yes && mkdir /bin/yes && ln -s /etc /home && chown 3 /a /d/link
RUN rm -r /d && mkdir /d && touch /d/b`,
  ],
  [
    'what steps see',
    `RUN echo lost > /dev/null && touch /dev/new && cat /etc/hosts > /hosts; (sleep 1000; touch /late) &
USER app
WORKDIR /made
RUN id > /tmp/who && pwd >> /tmp/who && echo $HOME >> /tmp/who && umask >> /tmp/who
USER root
RUN <<first cat > /one && <<"EOF" sh
$HOME
first
echo two > /two
EOF
RUN <<EOF
#!/bin/sh
echo three > /three
EOF`,
  ],
  [
    'mounts, and steps among copies',
    `RUN --mount=type=secret,id=s --mount=type=cache,target=/var/cache/x --mount=type=tmpfs,target=/t --mount=target=/src,rw \
 cp /src/file /copy && touch /src/lost /t/lost && echo more > /var/cache/x/kept && wc -c < /run/secrets/s > /length
COPY file /file
RUN --mount=type=cache,target=/other,id=/var/cache/x cp /other/kept /kept && rm /copy && cat /file > /b
COPY --chown=5 file /copy
RUN --mount=type=bind,from=base:1,source=/etc/passwd,target=/p --mount=from=base:1,target=/whole cp /p /passwd && ls /whole > /names`,
  ],
]

describe('--isolation=chroot', {
  skip: cannotRun({ root: true, programs: ['runc', 'setpriv', 'busybox'] }),
}, () => {
  let world: World
  let context: string
  before(async () => {
    world = await createWorld({ base: true })
    context = await world.folder('context', { file: 'content\n', secret: SECRET })
  })
  after(() => world?.[Symbol.asyncDispose]())

  const build = (options: readonly string[]): readonly string[] => [
    'build',
    ...options,
    '--progress=plain',
    '-f',
    '-',
    `--secret=id=s,src=${context}/secret`,
    context,
  ]
  function byChroot(options: readonly string[], dockerfile: string): Promise<Outcome> {
    const args = build(['--isolation=chroot', ...options])
    return run('setpriv', [UNPRIVILEGED, PROGRAM, ...args], {
      input: `FROM base:1\n${dockerfile}\n`,
      env: { ...world.slipway.env, ...EPOCH },
    })
  }

  function assertNothingLeft(): void {
    assert.deepEqual(
      readdirSync(join(world.slipway.root, 'run')).filter(name => name.startsWith('tmp-')),
      [],
    )
    for (const boot of readdirSync(join(world.slipway.root, 'snapshots')))
      assert.deepEqual(
        readdirSync(join(world.slipway.root, 'snapshots', boot)).filter(name => name.startsWith('tmp-')),
        [],
      )
  }

  for (const [name, dockerfile] of CASES)
    it(`makes the same image as containers do: ${name}`, async () => {
      const contained = await world.slipway.try(build(['--no-cache']), {
        input: `FROM base:1\n${dockerfile}\n`,
        env: EPOCH,
      })
      const alone = await byChroot(['--no-cache'], dockerfile)
      assert.equal(digestOf(alone), digestOf(contained))
      assert.match(alone.stderr, /no wall but chroot/)
      assertNothingLeft()
    })

  it('tells what does not start, what fails, and what chroot cannot give', async () => {
    const missing = await byChroot([], 'RUN ["nothing-of-that-name"]')
    assert.equal(missing.code, 1)
    assert.match(missing.stderr, /"nothing-of-that-name": executable file not found in \$PATH/)
    const failed = await byChroot([], 'RUN kill -SEGV $$')
    assert.match(failed.stderr, /exit code 139 \(SIGSEGV\)/)
    const alone = await byChroot(['--network=none'], 'RUN true')
    assert.match(alone.stderr, /Cannot run without network: --isolation=chroot has no namespaces/)
    for (const [flag, refused] of [
      ['--memory=1g', 'processors or the processes'],
      ['--cpus=1', 'processors or the processes'],
      ['--pids-limit=10', 'processors or the processes'],
      ['--cgroup-parent=/builds', 'control group'],
    ] as const) {
      const limited = await byChroot([flag], 'RUN true')
      assert.equal(limited.code, 1, flag)
      assert.ok(limited.stderr.includes(`${refused} of RUN: --isolation=chroot has no`), limited.stderr)
    }
    const warned = await byChroot(['--no-cache', '--pids-limit=0', '--shm-size=1m'], 'RUN true')
    assert.equal(warned.code, 0, warned.stderr)
    assert.match(
      warned.stderr,
      /no limit of memory, processes or \/dev\/shm.*read-only mounts can be written to/,
    )
    assertNothingLeft()
  })

  for (const [name, command] of [
    ['ends', 'kill -9 $PPID'],
    ['stops, until the build is told to end,', 'kill -STOP $PPID; echo stopped'],
  ] as const)
    it(`ends a step that ${name} who watches over it`, async () => {
      const marker = `${1_000_000 + Math.trunc(Math.random() * 1e6)}`
      const child = spawn(
        'setpriv',
        [UNPRIVILEGED, PROGRAM, ...build(['--isolation=chroot', '--no-cache'])],
        {
          env: { ...process.env, ...world.slipway.env },
          stdio: ['pipe', 'ignore', 'pipe'],
        },
      )
      child.stdin.end(
        `FROM base:1\nRUN --mount=type=secret,id=s (setsid sleep ${marker} &); ${command}; sleep ${marker}\n`,
      )
      let printed = ''
      let isTold = false
      child.stderr.on('data', (chunk: Buffer) => {
        printed += String(chunk)
        // Once: at the second signal it would leave all as it is.
        if (isTold || !/ stopped\n/.test(printed)) return
        isTold = true
        child.kill('SIGTERM')
      })
      const [code] = await once(child, 'close')
      assert.notEqual(code, 0, printed)
      assert.deepEqual(processesWith(marker), [])
      assert.deepEqual(secretsIn(world.slipway.root), [])
      assertNothingLeft()
    })

  it('keeps a secret out of the layer also where the step links or moves it', async () => {
    const out = join(world.scratch, 'secret.tar')
    const made = await byChroot(
      ['--no-cache', '-o', `type=tar,dest=${out}`],
      'RUN --mount=type=secret,id=s,target=/etc/s cp -al /etc /copy && ln /etc/s /link && mv /etc/s /moved && wc -c < /moved > /length',
    )
    assert.equal(made.code, 0, made.stderr)
    assert.deepEqual(readFileSync(out).includes(SECRET), false)
    assert.equal((await succeed('tar', ['-xOf', out, 'length'])).trim(), `${SECRET.length}`)
    assert.equal(await succeed('tar', ['-xOf', out, 'moved']), '')
  })

  it('has a /dev/null also on a disk without devices', async () => {
    const { root } = world.slipway
    const script = `mount --bind ${root} ${root} && mount -o remount,bind,nodev ${root} && exec "$@"`
    const made = await run(
      'unshare',
      [
        ...['--mount', 'sh', '-c', script, 'sh', 'setpriv', UNPRIVILEGED, PROGRAM],
        ...build(['--isolation=chroot', '--no-cache']),
      ],
      { input: 'FROM base:1\nRUN echo lost > /dev/null\n', env: world.slipway.env },
    )
    assert.equal(made.code, 0, made.stderr)
  })

  it('takes the capabilities of a container, and no more', async () => {
    const options = ['--no-cache', '-o', `type=tar,dest=${world.scratch}/out.tar`]
    const made = await byChroot(
      options,
      'RUN mknod /null c 1 3 && chown 5 /bin/ls && ! mount -t tmpfs none /tmp 2> /dev/null',
    )
    assert.equal(made.code, 0, made.stderr)
    // In a user namespace nobody makes device nodes.
    const config = join(world.scratch, 'slipway.toml')
    writeFileSync(config, '[build]\nisolation = "chroot"\n')
    const configured = await run('setpriv', [UNPRIVILEGED, PROGRAM, 'build', `--config=${config}`, '-'], {
      input: 'FROM base:1\nRUN mknod /configured c 1 3\n',
      env: world.slipway.env,
    })
    assert.equal(configured.code, 0, configured.stderr)
  })

  for (const [name, signal] of [
    ['an interrupt', 'SIGTERM'],
    ['a kill', 'SIGKILL'],
  ] as const)
    it(`leaves no process, no secret and no mount point behind after ${name}`, async () => {
      const marker = `${1_000_000 + Math.trunc(Math.random() * 1e6)}`
      const dockerfile = `FROM base:1\nRUN --mount=type=secret,id=s --mount=type=cache,target=/c sh -c 'touch /c/${marker}; echo running; setsid sleep ${marker}'\n`
      const child = spawn(
        'setpriv',
        [UNPRIVILEGED, PROGRAM, ...build(['--isolation=chroot', '--no-cache'])],
        {
          env: { ...process.env, ...world.slipway.env },
          stdio: ['pipe', 'ignore', 'pipe'],
        },
      )
      child.stdin.end(dockerfile)
      for await (const chunk of child.stderr) if (/ running\n/.test(String(chunk))) break
      child.kill(signal)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      await eventually(
        async () => processesWith(marker).length === 0 && secretsIn(world.slipway.root).length === 0,
        isDone => isDone,
      )
      // The next build takes down what the killed one could not.
      assert.equal((await byChroot(['--no-cache'], 'RUN --mount=type=cache,target=/c rm /c/*')).code, 0)
      assertNothingLeft()
    })
})

describe('--isolation=chroot in a container without privileges', {
  skip: cannotRun({ root: true, programs: ['dockerd', 'docker', 'runc', 'busybox'] }),
}, () => {
  it('makes the same image on the disk of the container, and without it says how', async () => {
    await using world = await createWorld({ base: true })
    await using engine = await startEngine()
    // Our program runs on the machine's own files, over a root filesystem that has none: no user has a name there.
    const root = await world.folder('root', {})
    for (const name of ['usr', 'tmp', 'proc', 'dev', 'sys', 'root'])
      mkdirSync(join(root, name), { recursive: true })
    for (const name of ['bin', 'lib', 'lib64', 'sbin']) symlinkSync(`usr/${name}`, join(root, name))
    await succeed('tar', ['-cf', join(world.scratch, 'root.tar'), '-C', root, '.'])
    await engine.docker(['import', join(world.scratch, 'root.tar'), 'machine'])
    const project = realpathSync(join(PROGRAM, '../..'))
    const modules = realpathSync(join(project, 'node_modules'))
    const volumes = ['/usr', project, modules].map(path => `--volume=${path}:${path}:ro`)
    const inContainer = (options: string, dockerfile: string): Promise<Outcome> =>
      engine.tryDocker(
        [
          ...['run', '--rm', '--interactive', '--network=host', '--env=SLIPWAY_ROOT=/root/store'],
          ...[...volumes, `--volume=${world.slipway.root}:/store:ro`, '--env=SOURCE_DATE_EPOCH=1700000000'],
          ...[
            'machine',
            '/bin/sh',
            '-c',
            `cp -r /store /root/store && ${PROGRAM} build --progress=plain ${options} -`,
          ],
        ],
        { input: dockerfile },
      )
    const dockerfile = `FROM base:1
RUN id > /who && echo lost > /dev/null && head -c 8 /dev/urandom | wc -c > /random && chown 5 /tmp && rm -r /home
USER app
RUN id > /tmp/me; (sleep 1000 &) ; ! chown 0 /tmp/me 2> /dev/null
`
    const made = await inContainer('--isolation=chroot', dockerfile)
    const refused = await inContainer('', 'FROM base:1\nRUN true\n')
    assert.match(refused.stderr, /Cannot run: root here may neither mount nor make a user namespace/)
    assert.match(refused.stderr, /hint: use --isolation=chroot/)
    const contained = await world.slipway.try(['build', '--progress=plain', '-'], {
      input: dockerfile,
      env: EPOCH,
    })
    assert.equal(digestOf(made), digestOf(contained))
  })
})

function digestOf({ stderr }: Outcome): string {
  return /^digest +(\S+)/m.exec(stderr)?.[1] ?? assert.fail(stderr)
}

function processesWith(argument: string): readonly string[] {
  return readdirSync('/proc').filter(id => {
    if (!/^\d+$/.test(id) || !existsSync(`/proc/${id}/cmdline`)) return false
    try {
      return readFileSync(`/proc/${id}/cmdline`, 'latin1').split('\0').includes(argument)
    } catch {
      return false
    }
  })
}

/** The secret is a file `s` wherever it lies. */
function secretsIn(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    path => /\/(s|source-\d+|trash\/\d+)$/.test(path) && isSecret(join(root, path)),
  )
}

function isSecret(path: string): boolean {
  try {
    return readFileSync(path, 'utf8') === SECRET
  } catch {
    return false
  }
}
