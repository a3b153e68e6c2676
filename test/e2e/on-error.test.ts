import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import { PROGRAM } from './support/slipway.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const READY = 'the build ends with it.'
const BASE = 'FROM base:1\n'

describe('build --on-error=shell', { skip: cannotRun({ root: true, programs: ['runc', 'script'] }) }, () => {
  let world: World
  let count = 0

  before(async () => {
    world = await createWorld({ base: true })
  })
  after(() => world?.[Symbol.asyncDispose]())

  const contextOf = (text: string, files: Readonly<Record<string, string>> = {}) =>
    world.folder(`context-${++count}`, { Dockerfile: text, ...files })

  /** Builds on a terminal, and types each line there when the one before has answered. */
  async function type(
    context: string,
    lines: readonly (readonly [typed: string, answer: string])[],
    ...options: readonly string[]
  ): Promise<{ readonly code: number | null; readonly screen: string }> {
    const words = [PROGRAM, 'build', '--on-error=shell', '--progress=plain', ...options, context]
    const child = spawn('script', ['-qefc', words.map(word => `'${word}'`).join(' '), '/dev/null'], {
      env: { ...process.env, ...world.slipway.env, TERM: 'vt100' },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), 60_000)
    let screen = ''
    let seen = 0
    // What is typed before there is a prompt may be lost.
    const waits = [READY, ...(lines.length > 0 ? ['# '] : []), ...lines.map(([, answer]) => answer)]
    const left = ['', ...lines.map(([typed]) => typed)]
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk.toString()
      for (let at = screen.indexOf(waits[0] ?? '', seen); at >= 0 && waits.length > 0; ) {
        seen = at + (waits.shift() ?? '').length
        const typed = left.shift()
        if (typed !== undefined) child.stdin.write(typed)
        at = screen.indexOf(waits[0] ?? '', seen)
      }
    })
    const code = await new Promise<number | null>(resolve => child.once('close', resolve))
    clearTimeout(timer)
    assert.deepEqual(waits, [], `still waiting on:\n${screen}`)
    return { code, screen: stripVTControlCharacters(screen).replaceAll('\r', '') }
  }

  /** Nothing that belongs to one build alone. */
  function assertNothingLeft(): void {
    const { root } = world.slipway
    assert.equal(readFileSync('/proc/self/mountinfo', 'utf8').includes(root), false)
    assert.deepEqual(
      readdirSync(join(root, 'run')).filter(name => name.startsWith('tmp-')),
      [],
    )
    const [boot = ''] = readdirSync(join(root, 'snapshots'))
    assert.deepEqual(
      readdirSync(join(root, 'snapshots', boot)).filter(name => name.startsWith('tmp-')),
      [],
    )
  }

  it('opens a shell in what a RUN has left, with all that it had, and keeps nothing of it', async () => {
    const context = await contextOf(
      [
        BASE.trim(),
        'ENV GREETING=hello',
        'WORKDIR /w',
        'RUN --mount=type=secret,id=key --mount=type=bind,target=/ctx --mount=type=cache,target=/c \\',
        '    --mount=type=tmpfs,target=/t --network=none \\',
        '    echo left > here; echo kept > /c/x; exit 7',
      ].join('\n'),
      { file: 'of the context', secret: 'hidden' },
    )
    const images = await world.slipway.run(['images', '--format', 'json'])
    const { code, screen } = await type(
      context,
      [
        // Split, so that the answer is not found in what the terminal shows of the line.
        ['cat here; echo "a""nswer $GREETING $(pwd) $(id -u)"\n', 'answer hello /w 0'],
        ['cat /run/secrets/key /ctx/file /c/x; tty; echo "a""nswer"\n', 'answer'],
        ['cat /proc/net/dev | wc -l; touch /made-by-hand; echo "a""nswer"\n', 'answer'],
        // Ctrl-C ends the command, not the shell, nor the build.
        [`sh -c 'echo "sta""rted"; sleep 1000'\n`, 'started'],
        ['\x03', '/w #'],
        ['exit 5\n', 'error: Cannot run'],
      ],
      '--secret',
      `id=key,src=${join(context, 'secret')}`,
    )
    assert.equal(code, 1, screen)
    assert.match(screen, /It ran:\n.*echo left > here; echo kept > \/c\/x; exit 7\n/)
    assert.match(screen, /\nleft\n/)
    assert.match(screen, /hiddenof the context ?kept\n/)
    assert.match(screen, /\n\/dev\/(pts\/\d+|console)\n/)
    assert.match(screen, /\n3\nanswer/, 'the network is that of the step: the loopback alone')
    assert.match(screen, /exit code 7\nlog: .*\.log\n/)
    assert.equal(await world.slipway.run(['images', '--format', 'json']), images)
    assertNothingLeft()
  })

  it('opens a shell in the stage as it was before a COPY that cannot be done', async () => {
    const context = await contextOf(`${BASE}ENV A=b\nRUN echo 1 > /before\nWORKDIR /w\nCOPY nothing /x\n`)
    const { code, screen } = await type(context, [
      ['cat /before; echo "a""nswer $A $(pwd)"\n', 'answer b /w'],
      ['exit\n', 'error: '],
    ])
    assert.equal(code, 1, screen)
    assert.match(screen, /> 5 \| COPY nothing \/x\n/)
    assertNothingLeft()
  })

  it('takes /bin/sh where SHELL is not there, and says so where there is neither', async () => {
    const other = await contextOf(`${BASE}RUN false\nSHELL ["/bin/zsh", "-c"]\n`)
    assert.equal((await type(other, [['exit\n', 'error: ']])).code, 1)
    const zsh = await contextOf(`${BASE}SHELL ["/bin/zsh", "-c"]\nRUN ["/bin/busybox", "false"]\n`)
    assert.equal((await type(zsh, [['echo "a""nswer"; exit\n', 'answer']])).code, 1)
    const none = await contextOf(
      `FROM scratch\nCOPY --from=base:1 /bin/busybox /only\nRUN ["/only", "false"]\n`,
    )
    const { code, screen } = await type(none, [])
    assert.equal(code, 1)
    assert.match(screen, /error: Cannot open a shell: \/bin\/sh does not start\nhint: .*\n/)
    assert.match(screen, /> 3 \| RUN \["\/only", "false"\]\n(.*\n)?error: Cannot run/)
    assertNothingLeft()
  })

  it('is refused without a terminal, before anything is built', async () => {
    const context = await contextOf(`${BASE}RUN false\n`)
    const { code, stderr } = await world.slipway.try(['build', '--on-error=shell', context])
    assert.equal(code, 2)
    assert.match(stderr, /--on-error=shell needs a terminal/)
    assert.equal((await world.slipway.try(['build', '--on-error=stop', context])).code, 2)
  })

  it('ends at once with a signal, with all that it had', async () => {
    const context = await contextOf(`${BASE}RUN false\n`)
    const words = [PROGRAM, 'build', '--on-error=shell', '--progress=plain', context].join("' '")
    const child = spawn('script', ['-qefc', `echo pid=$$; exec '${words}'`, '/dev/null'], {
      env: { ...process.env, ...world.slipway.env },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    let screen = ''
    let isKilled = false
    child.stdout.on('data', (chunk: Buffer) => {
      screen += chunk.toString()
      const pid = /pid=(\d+)/.exec(screen)?.[1]
      if (isKilled || pid === undefined || !/# /.test(screen.slice(screen.indexOf(READY)))) return
      isKilled = true
      process.kill(Number(pid), 'SIGTERM')
    })
    const code = await new Promise<number | null>(resolve => child.once('close', resolve))
    assert.equal(code, 143, screen)
    assertNothingLeft()
  })
})
