import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BuildError } from '../../../../src/builder/errors.ts'
import type { NetworkMode } from '../../../../src/builder/exec/executor.ts'
import { digestOf } from '../../../../src/oci/digest.ts'
import { HOST, image, PATH, planText } from './planning.ts'

const RUN_TRUE = '/bin/sh -c true # buildkit'

describe('planBuild(): config and history', () => {
  it('tells passwords of URLs neither in the history nor in the names of steps', async () => {
    const { history, steps } = await planText(
      'FROM scratch\nARG U=https:\nADD $U//me:s3cret@h/a https://t0ken@h/b /\nADD https://me:s3cret@h/c.git /c',
    )
    assert.deepEqual(history, [
      '- ARG U=https:',
      'ADD https://xxxxx:xxxxx@h/a https://xxxxx@h/b / # buildkit',
      'ADD https://xxxxx:xxxxx@h/c.git /c # buildkit',
    ])
    assert.match(steps.at(-1)?.name ?? '', /ADD https:\/\/xxxxx:xxxxx@h\/c.git/)
  })

  it('semantics 29: scratch has a PATH and the root as working directory', async () => {
    const { config, history } = await planText('FROM scratch\nLABEL a=b')
    assert.deepEqual(config, { WorkingDir: '/', Env: [PATH], Labels: { a: 'b' } })
    assert.deepEqual(history, ['- LABEL a=b'])
  })

  it('semantics 7: a line expands with the values before it', async () => {
    const { config } = await planText('FROM base\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc')
    assert.deepEqual(config.Env, [PATH, 'abc=bye', 'def=hello', 'ghi=bye'])
  })

  it('semantics 79: a variable of the base keeps its place, and is replaced there', async () => {
    const base = image('base', { Env: ['A=1', 'PATH=/bin', 'B=2'] })
    const { config } = await planText('FROM base\nENV A=3 C=4', { images: { base } })
    assert.deepEqual(config.Env, ['A=3', 'PATH=/bin', 'B=2', 'C=4'])
  })

  it('semantics 73: ENTRYPOINT resets a CMD that was inherited', async () => {
    const base = image('base', { Cmd: ['old'] })
    const { config } = await planText('FROM base\nENTRYPOINT ["new"]', { images: { base } })
    assert.deepEqual(config.Entrypoint, ['new'])
    assert.equal('Cmd' in config, false)
  })

  it('semantics 73: ENTRYPOINT keeps a CMD of the same stage', async () => {
    const { config } = await planText('FROM base\nCMD ["mine"]\nENTRYPOINT ["new"]')
    assert.deepEqual(config.Cmd, ['mine'])
    assert.equal(config.ArgsEscaped, true)
  })

  it('semantics 73: ENTRYPOINT resets a CMD of the stage that it is built on', async () => {
    const { config } = await planText('FROM base AS one\nCMD ["old"]\nFROM one\nENTRYPOINT ["new"]')
    assert.equal('Cmd' in config, false)
  })

  it('semantics 74: shell forms use the shell in force at their line', async () => {
    const { config, history } = await planText(
      'FROM base\nCMD one\nSHELL ["/bin/ash", "-e"]\nENTRYPOINT two\nRUN three',
    )
    assert.deepEqual(config.Cmd, ['/bin/sh', '-c', 'one'])
    assert.deepEqual(config.Entrypoint, ['/bin/ash', '-e', 'two'])
    assert.equal(history.at(-1), 'RUN /bin/ash -e three # buildkit')
  })

  it('semantics 76: WORKDIR joins relative paths, keeps absolute ones as written, and / makes no layer', async () => {
    const { config, history, steps } = await planText(
      'FROM base\nWORKDIR a\nWORKDIR b/\nWORKDIR /c//d/\nRUN true\nWORKDIR /',
    )
    assert.equal(config.WorkingDir, '/')
    assert.deepEqual(history, [
      'WORKDIR /a',
      'WORKDIR /a/b',
      'WORKDIR /c//d/',
      `RUN ${RUN_TRUE}`,
      '- WORKDIR /',
    ])
    const run = steps.find(({ definition }) => definition.kind === 'run')?.definition
    assert.equal(run?.kind === 'run' && run.cwd, '/c/d')
  })

  it('semantics 18: EXPOSE writes ranges out, sorted', async () => {
    const { config, history } = await planText('FROM base\nARG P="81 80"\nEXPOSE $P 443/UDP 90-91 80/tcp')
    assert.deepEqual(Object.keys(config.ExposedPorts ?? {}), [
      '443/udp',
      '80/tcp',
      '81/tcp',
      '90/tcp',
      '91/tcp',
    ])
    assert.equal(history.at(-1), '- EXPOSE [81/tcp 80/tcp 443/udp 80/tcp 90/tcp 91/tcp]')
  })

  it('semantics 19: HEALTHCHECK', async () => {
    const { config, history } = await planText(
      'FROM base\nHEALTHCHECK --interval=90s --timeout=1500ms --retries=3 CMD echo "ok"',
    )
    assert.deepEqual(config.Healthcheck, {
      Test: ['CMD-SHELL', 'echo "ok"'],
      Interval: 90e9,
      Timeout: 1.5e9,
      Retries: 3,
    })
    assert.equal(
      history.at(-1),
      `- HEALTHCHECK &{["CMD-SHELL" "echo \\"ok\\""] "1m30s" "1.5s" "0s" "0s" '\\x03'}`,
    )
  })

  it('writes the texts of metadata as BuildKit does', async () => {
    const { history, image: draft } = await planText(
      'FROM base\nMAINTAINER me@x\nLABEL "c d"="e f"\nUSER app:1\nVOLUME /a /b\nVOLUME ["/c"]\nSTOPSIGNAL SIGINT\nCMD ["a","b c"]',
    )
    assert.deepEqual(history, [
      '- MAINTAINER me@x',
      '- LABEL c d=e f',
      '- USER app:1',
      '- VOLUME [/a /b]',
      '- VOLUME [/c]',
      '- STOPSIGNAL SIGINT',
      '- CMD ["a" "b c"]',
    ])
    assert.equal(draft.config.author, 'me@x')
  })

  it('semantics 81: COPY tells its words expanded, and not --from', async () => {
    const { history } = await planText(
      'FROM base AS one\nFROM base\nENV D=dir\nCOPY --from=one --chown=app:$D --chmod=640 $D/a b /to/$D/\nADD c /\nCOPY <<EOF /f\nx\nEOF\nCOPY --exclude=$D --chown=1 --parents a/./b /',
    )
    assert.deepEqual(history.slice(1), [
      'COPY --chown=app:dir --chmod=640 dir/a b /to/dir/ # buildkit',
      'ADD c / # buildkit',
      'COPY <<EOF /f # buildkit',
      'COPY --parents --chown=1 a/./b / # buildkit',
    ])
  })

  it('semantics 83: keeps what it does not know of the base, but not how the base was built', async () => {
    const config = { Env: ['PATH=/b'], Hostname: 'h', Image: 'sha256:x', Special: 1 }
    const base = image('base', config, {
      variant: 'v3',
      'os.version': '1',
      unknown: { docker_version: '20', container: 'c', x: [1] },
    })
    const plan = await planText('FROM base', { images: { base } })
    assert.deepEqual(plan.image.config, {
      ...HOST,
      variant: 'v3',
      'os.version': '1',
      config: { Env: ['PATH=/b'], Special: 1 },
      unknown: { x: [1] },
    })
  })

  it('semantics 82: keeps the history of the base with its times', async () => {
    const plan = await planText('FROM base\nRUN true')
    assert.deepEqual(plan.image.history[0], {
      kind: 'inherited',
      entry: { created: '2024-05-06T07:08:09Z', created_by: 'made base' },
    })
  })

  it('semantics 81: gives a base whose history does not fit its layers one that does', async () => {
    const without = image('base', {}, { history: [] })
    const plan = await planText('FROM base', { images: { base: without } })
    assert.equal(plan.image.history.length, 1)
    const double = image('base', {}, { history: [{ created_by: 'a' }, { created_by: 'b' }] })
    const other = await planText('FROM base', { images: { base: double } })
    const entries = other.image.history.map(item => item.kind === 'inherited' && item.entry.empty_layer)
    assert.deepEqual(entries, [undefined, true])
  })

  it('labels of the command line win, and leave no history', async () => {
    const { config, history } = await planText('FROM base\nLABEL a=1 b=2', {
      labels: new Map([
        ['b', '3'],
        ['c', '4'],
      ]),
    })
    assert.deepEqual(config.Labels, { a: '1', b: '3', c: '4' })
    assert.deepEqual(history, ['- LABEL a=1 b=2'])
  })
})

describe('planBuild(): ARG', () => {
  it('semantics 20: an ARG before FROM is seen in stages only where they declare it', async () => {
    const { config } = await planText('ARG V=1\nFROM base\nENV a=$V.\nARG V\nENV b=$V.')
    assert.deepEqual(config.Env, [PATH, 'a=.', 'b=1.'])
  })

  it('semantics 21: platform arguments need a declaration in a stage, but none in FROM', async () => {
    const { config, resolved } = await planText(
      'FROM --platform=$TARGETPLATFORM $TARGETARCH-image\nENV a=$TARGETARCH\nARG TARGETARCH TARGETVARIANT\nENV b=$TARGETARCH$TARGETVARIANT',
      {
        platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
        images: { 'arm-image': image('arm', {}, { architecture: 'arm', variant: 'v7' }) },
      },
    )
    assert.deepEqual(resolved, ['arm-image'])
    assert.deepEqual(config.Env, [PATH, 'a=', 'b=armv7'])
  })

  it('semantics 22: a build arg that nothing asked for is a warning', async () => {
    const buildArgs = new Map([
      ['USED', '1'],
      ['GLOBAL', '1'],
      ['TYPO', '1'],
      ['http_proxy', 'http://p'],
      ['SOURCE_DATE_EPOCH', '1'],
    ])
    const { warnings } = await planText('ARG GLOBAL\nFROM base\nARG USED', { buildArgs })
    assert.deepEqual(
      warnings.map(({ message }) => message),
      ['No ARG takes the build args TYPO'],
    )
  })

  it('semantics 23: a build arg wins over an ENV before it, an ENV over an ARG before it', async () => {
    const text = 'FROM base\nENV v=env\nARG v=default\nRUN true\nENV v=last\nRUN true'
    const { history } = await planText(text, { buildArgs: new Map([['v', 'cli']]) })
    const runs = history.filter(line => line.startsWith('RUN'))
    assert.deepEqual(runs, [`RUN |1 v=cli ${RUN_TRUE}`, `RUN |1 v=last ${RUN_TRUE}`])
  })

  it('semantics 24: a stage inherits the ARGs of the stage it is built on, and of no other', async () => {
    const { history } = await planText(
      'FROM base AS one\nARG A=1\nFROM base AS two\nRUN true\nFROM one\nRUN true\nCOPY --from=two /x /x',
    )
    assert.deepEqual(history, ['- ARG A=1', `RUN |1 A=1 ${RUN_TRUE}`, 'COPY /x /x # buildkit'])
    const sibling = await planText('FROM base AS one\nARG A=1\nFROM base AS two\nRUN true', { target: 'two' })
    assert.deepEqual(sibling.history, [`RUN ${RUN_TRUE}`])
  })

  it('refuses a volume that expands to nothing', async () => {
    await assert.rejects(planText('FROM base\nVOLUME $NONE'), /path is empty/)
  })

  it('semantics 46: a --chmod that expands to nothing is none, and --link holds', async () => {
    const { history } = await planText('FROM base\nCOPY --link --chmod=$NONE a b')
    assert.equal(history.at(-1), 'COPY a b # buildkit')
  })

  it('semantics 8: the name of an ARG is what is written, the default expands', async () => {
    const { history } = await planText('FROM base\nENV N=x\nARG $N=$N "q"=1\nENV seen="$q."')
    assert.deepEqual(history.slice(-2), ['- ARG $N=x "q"=1', '- ENV seen=.'])
  })

  it('semantics 26: an ARG without a value is not in the environment of RUN', async () => {
    const { steps, history } = await planText('FROM base\nARG X\nRUN true')
    const run = steps.at(-1)?.definition
    assert.deepEqual(run?.kind === 'run' && run.env, [PATH])
    assert.equal(history.at(-1), `RUN |1 X= ${RUN_TRUE}`)
  })

  it('semantics 21: proxies reach RUN without ARG, outside of what the step is', async () => {
    const { steps, history } = await planText('FROM base\nRUN true', {
      buildArgs: new Map([['HTTP_PROXY', 'http://p:1']]),
    })
    const run = steps.at(-1)?.definition
    assert.ok(run?.kind === 'run')
    assert.deepEqual(run.proxyEnv, ['HTTP_PROXY=http://p:1', 'http_proxy=http://p:1'])
    assert.deepEqual(run.env, [PATH])
    assert.deepEqual(history, [`RUN ${RUN_TRUE}`])
  })

  it('semantics 10: a variable that is not set is empty, and a warning', async () => {
    const { config, warnings } = await planText('FROM base\nENV a=$nope')
    assert.deepEqual(config.Env, [PATH, 'a='])
    assert.equal(warnings[0]?.rule, 'UndefinedVar')
    assert.equal(warnings[0]?.span?.startLine, 2)
  })
})

describe('planBuild(): stages', () => {
  it('semantics 109: does not resolve what the target does not need', async () => {
    const text = 'FROM missing AS unused\nRUN true\nFROM base AS used\nFROM used'
    assert.deepEqual((await planText(text)).resolved, ['base'])
  })

  it('semantics 109, 27: an empty name is an error even in a stage that nothing needs', async () => {
    await assert.rejects(planText('FROM $NOPE AS unused\nFROM base'), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.code, 'dockerfile-invalid')
      assert.equal(error.span?.startLine, 1)
      return true
    })
  })

  it('semantics 111: takes the last stage, or one by name in any case, or by index', async () => {
    const text = 'FROM base AS One\nLABEL s=1\nFROM base\nLABEL s=2\nFROM base\nLABEL s=3'
    const label = async (target?: string) =>
      (await planText(text, target === undefined ? {} : { target })).config.Labels?.s
    assert.deepEqual([await label(), await label('ONE'), await label('1')], ['3', '1', '2'])
  })

  it('semantics 111: suggests a target', async () => {
    await assert.rejects(planText('FROM base AS build', { target: 'biuld' }), {
      code: 'target-unknown',
      hint: 'did you mean build?',
    })
  })

  it('semantics 17: an earlier stage wins over an image of its name', async () => {
    const { resolved, config } = await planText('FROM base AS debian\nLABEL own=1\nFROM debian')
    assert.deepEqual(resolved, ['base'])
    assert.deepEqual(config.Labels, { own: '1' })
  })

  it('semantics 16: --from means an index, a stage, or an image', async () => {
    const images = { 'busybox:1': image('busybox') }
    const plan = await planText(
      'FROM base AS one\nRUN a\nFROM base\nCOPY --from=0 a a\nCOPY --from=ONE b b\nCOPY --from=busybox:1 c c\nCOPY --from=scratch / /',
      { images },
    )
    assert.deepEqual(plan.resolved.toSorted(), ['base', 'busybox:1'])
    const names = plan.steps.map(({ name }) => name)
    assert.ok(names.includes('FROM registry.test/busybox'), names.join('\n'))
  })

  const references: readonly (readonly [problem: string, text: string, line: number])[] = [
    ['a later stage', 'FROM base\nCOPY --from=two a b\nFROM base AS two', 2],
    ['itself', 'FROM base AS one\nCOPY --from=one a b', 2],
    ['itself by its index', 'FROM base\nCOPY --from=0 a b', 2],
    ['an index beyond the last', 'FROM base\nCOPY --from=7 a b', 2],
  ]
  for (const [problem, text, line] of references)
    it(`semantics 16: refuses --from for ${problem}, at its line`, async () => {
      const target = text.includes('AS two') ? { target: '0' } : {}
      await assert.rejects(planText(text, target), (error: unknown) => {
        assert.ok(error instanceof BuildError)
        assert.equal(error.code, 'dockerfile-invalid')
        assert.equal(error.span?.startLine, line)
        return true
      })
    })

  it('an image that is missing may be a stage with a typo', async () => {
    await assert.rejects(planText('FROM base AS build\nFROM biuld'), {
      code: 'image-missing',
      hint: 'did you mean the stage build?',
    })
  })

  it('a name that breaks the rules is a mistake in the Dockerfile', async () => {
    await assert.rejects(planText('FROM base\nFROM Bad//Name'), { code: 'dockerfile-invalid' })
  })

  for (const [rule, text, ...buildArgs] of [
    ['JSONArgsRecommended', 'FROM base\nCMD b'],
    ['JSONArgsRecommended', 'FROM base\nENTRYPOINT b'],
    ['MultipleInstructionsDisallowed', 'FROM base\nCMD ["b"]\nCMD ["c"]'],
    ['SecretsUsedInArgOrEnv', 'FROM base\nARG API_KEY'],
    ['SecretsUsedInArgOrEnv', 'FROM base\nENV x=y db_password=z'],
    ['UndefinedVar', `FROM base\nENV x=$\{UNSET:-y}`],
    ['UndefinedArgInFrom', 'ARG NAME=base\nFROM base$NMAE'],
    ['UndefinedArgInFrom', `FROM $\{NAME:-base}`],
    ['InvalidDefaultArgInFrom', 'ARG TAG\nFROM base:$TAG', 'TAG=x'],
    ['RedundantTargetPlatform', 'FROM --platform=$TARGETPLATFORM base'],
    ['FromPlatformFlagConstDisallowed', 'FROM --platform=linux/amd64 base'],
    ['WorkdirRelativePath', 'FROM scratch\nENV a=b\nWORKDIR x'],
    ['ExposeProtoCasing', 'FROM base\nEXPOSE 80/TCP'],
    ['ExposeInvalidFormat', 'FROM base\nEXPOSE 127.0.0.1:80:80'],
  ] as const) {
    const options = {
      buildArgs: new Map(buildArgs.map(arg => arg.split('=') as [string, string])),
      images: { 'base:x': image('x') },
    }
    it(`warns with ${rule}, unless that is to be skipped`, async () => {
      const rulesOf = async (given: string) =>
        (await planText(given, options)).warnings.map(({ rule }) => rule)
      const rules = await rulesOf(text)
      assert.ok(rules.includes(rule), rules.join())
      assert.ok(!(await rulesOf(`# check=skip=JSONArgsRecommended,${rule}\n${text}`)).includes(rule))
      assert.deepEqual(await rulesOf(`# check=skip=all;error=true\n${text}`), [])
    })
  }

  for (const text of [
    'FROM base\nSHELL ["/bin/sh"]\nCMD b',
    'FROM base AS a\nCMD b\nFROM base',
    'FROM base AS a\nCMD ["b"]\nFROM a\nCMD ["c"]',
    'FROM base\nARG N\nENV x=$N',
    'FROM --platform=linux/amd64 base AS on-amd64',
    '# c\nFROM base AS b\nCOPY f /',
    '# check=skip=all;experimental=CopyIgnoredFile\n# c\nFROM base AS b\nCMD c',
  ])
    it(`has nothing to warn of: ${JSON.stringify(text)}`, async () =>
      assert.deepEqual((await planText(text, {})).warnings, []))

  for (const check of ['Skip=all', 'skip', 'skip=A;', 'skip =A', 'error=maybe'])
    it(`refuses # check=${check}, as BuildKit does`, async () => {
      await assert.rejects(planText(`# check=${check}\nFROM base`), { code: 'dockerfile-invalid' })
    })

  it('a named context that names an image takes its place, whatever its tag', async () => {
    const namedContexts = new Map([['debian', { kind: 'image', name: 'base' } as const]])
    assert.deepEqual((await planText('FROM docker.io/library/debian', { namedContexts })).resolved, ['base'])
    assert.deepEqual((await planText('FROM debian:latest', { namedContexts })).resolved, ['base'])
    const images = { 'debian:12': image('debian') }
    assert.deepEqual((await planText('FROM debian:12', { namedContexts, images })).resolved, ['debian:12'])
  })

  it('an earlier stage beats a named context, which replaces a stage of its name', async () => {
    const namedContexts = new Map([['one', { kind: 'image', name: 'other' } as const]])
    const images = { other: image('other') }
    const { resolved, history } = await planText('FROM base AS one\nRUN x\nFROM one\nRUN y', {
      namedContexts,
      images,
    })
    assert.deepEqual(resolved, ['other'])
    assert.deepEqual(history, ['RUN /bin/sh -c y # buildkit'])
  })

  for (const [text, given] of [
    ['FROM base AS a\nCOPY --from=x / /', { x: 'a' }],
    ['FROM x AS a\nFROM a AS b', { x: 'b' }],
    ['FROM base AS a', { a: 'a' }],
  ] as const)
    it(`refuses stages that need themselves through named contexts: ${JSON.stringify(given)}`, async () => {
      const namedContexts = new Map(
        Object.entries(given).map(([name, stage]) => [name, { kind: 'stage', stage } as const]),
      )
      await assert.rejects(planText(text, { namedContexts }), {
        code: 'dockerfile-invalid',
        message: /needs itself/,
      })
    })

  it('semantics 113: warns of a base for another platform', async () => {
    const base = image('base', {}, { architecture: 'arm64' })
    const { warnings } = await planText('FROM base', { images: { base } })
    assert.deepEqual(
      warnings.map(({ rule }) => rule),
      ['InvalidBaseImagePlatform'],
    )
  })

  it('resolves the images of a stage at the same time, and each once', async () => {
    const { resolved } = await planText('FROM base AS a\nFROM base\nCOPY --from=base x y\nCOPY --from=a x y')
    assert.deepEqual(resolved, ['base'])
  })

  it('plans 3,000 stages that stand on each other', async () => {
    const text = ['FROM base AS s0']
    for (let index = 1; index < 3000; index++) text.push(`FROM s${index - 1} AS s${index}`)
    const { steps } = await planText(text.join('\n'))
    assert.equal(steps.length, 1)
  })
})

describe('planBuild(): ONBUILD', () => {
  it('semantics 78: stores triggers raw, without history', async () => {
    const { config, history } = await planText('FROM base\nONBUILD RUN echo  $x\nONBUILD COPY . /app')
    assert.deepEqual(config.OnBuild, ['RUN echo  $x', 'COPY . /app'])
    assert.deepEqual(history, [])
  })

  it('semantics 78: runs the triggers of an image right after FROM, in order, and clears them', async () => {
    const base = image('base', { OnBuild: ['ENV a=1', 'RUN first', 'COPY --from=tools /t /t'] })
    const text = 'FROM base AS unused\nFROM scratch AS tools\nCOPY t /t\nFROM base\nRUN second'
    const { config, history, steps } = await planText(text, { images: { base }, target: '2' })
    assert.equal('OnBuild' in config, false)
    assert.deepEqual(history, [
      '- ENV a=1',
      'RUN /bin/sh -c first # buildkit',
      'COPY /t /t # buildkit',
      'RUN /bin/sh -c second # buildkit',
    ])
    assert.ok(steps.some(({ name }) => name === '[tools 1/1] COPY t /t'))
  })

  it('semantics 78: a stage runs the triggers of the stage it is built on; its own children do not', async () => {
    const { history } = await planText('FROM base AS a\nONBUILD LABEL x=1\nFROM a AS b\nFROM b')
    assert.deepEqual(history, ['- LABEL x=1'])
  })

  it('an error in a trigger has the place of FROM', async () => {
    const base = image('base', { OnBuild: ['COPY --from=nope a b'] })
    await assert.rejects(planText('\nFROM base', { images: { base } }), (error: unknown) => {
      assert.ok(error instanceof BuildError)
      assert.equal(error.span?.startLine, 2)
      return true
    })
  })
})

describe('planBuild(): vertices', () => {
  it('names steps by stage and place', async () => {
    const { steps } = await planText(
      'FROM base AS build\nLABEL a=b\nRUN make \\\n  all\nWORKDIR /\nFROM build\nCOPY --from=build a b',
    )
    assert.deepEqual(
      steps.map(({ name }) => name),
      [
        '[build 1/3] FROM registry.test/base',
        '[build 2/3] RUN make   all',
        '[stage-1 1/1] COPY --from=build a b',
      ],
    )
  })

  it('semantics 104: metadata changes no vertex, ENV and ARG do', async () => {
    const target = async (lines: string) => (await planText(`FROM base\n${lines}\nRUN make`)).target.digest
    const plain = await target('')
    for (const lines of ['LABEL a=b', 'CMD x', 'EXPOSE 80', 'ENTRYPOINT ["x"]', 'VOLUME /v'])
      assert.equal(await target(lines), plain, lines)
    for (const lines of ['ENV a=b', 'ARG a=b', 'USER app', 'SHELL ["/bin/ash"]', 'WORKDIR /w'])
      assert.notEqual(await target(lines), plain, lines)
  })

  it('semantics 102: equal steps over equal parents are one vertex, over others they are not', async () => {
    const digests = async (bases: readonly string[]) => {
      const images = { base: image('base'), other: image('other') }
      const text = `FROM ${bases[0]} AS a\nRUN make\nFROM ${bases[1]} AS b\nRUN make\nFROM scratch\nCOPY --from=a x x\nCOPY --from=b y y`
      const { target } = await planText(text, { images })
      const [below, b] = target.inputs
      return [below?.inputs[1]?.digest, b?.digest]
    }
    const [first, second] = await digests(['base', 'base'])
    assert.equal(first, second)
    const [third, fourth] = await digests(['base', 'other'])
    assert.notEqual(third, fourth)
  })

  it('semantics 101: words that join to the same text are different steps', async () => {
    const target = async (line: string) => (await planText(`FROM base\n${line}`)).target.digest
    assert.notEqual(await target('COPY a b c/'), await target('COPY ["a b", "c/"]'))
    assert.notEqual(await target('RUN ["a", "b c"]'), await target('RUN ["a b", "c"]'))
  })

  it('gives what no source gives a time to that of the base, or SOURCE_DATE_EPOCH', async () => {
    const createdAt = async (text: string, sourceDateEpoch?: number) => {
      const { steps } = await planText(text, sourceDateEpoch === undefined ? {} : { sourceDateEpoch })
      const definition = steps.at(-1)?.definition
      return definition?.kind === 'workdir' ? definition.createdAt : undefined
    }
    assert.equal(await createdAt('FROM base\nWORKDIR /w'), Date.UTC(2024, 4, 6, 7, 8, 9) / 1000)
    assert.equal(await createdAt('FROM scratch\nWORKDIR /w'), 0)
    assert.equal(await createdAt('FROM base\nWORKDIR /w', 5), 5)
  })

  it('semantics 46: --link takes no time from the base, and means nothing with --chmod', async () => {
    const last = async (line: string, sourceDateEpoch?: number) => {
      const { steps, history } = await planText(
        `FROM base\n${line}`,
        sourceDateEpoch === undefined ? {} : { sourceDateEpoch },
      )
      const definition = steps.at(-1)?.definition
      assert.ok(definition?.kind === 'copy' || definition?.kind === 'add')
      return [definition.link, definition.createdAt, history.at(-1)]
    }
    assert.deepEqual(await last('COPY --link a /'), [true, 0, 'COPY a / # buildkit'])
    assert.deepEqual(await last('ADD --link a /', 5), [true, 5, 'ADD a / # buildkit'])
    assert.equal((await last('COPY --link --chmod=640 a /'))[0], false)
  })

  it('unpacks local archives with ADD, those of URLs with --unpack, none with --unpack=false', async () => {
    const unpack = async (line: string) => {
      const definition = (await planText(`FROM base\n${line}`)).steps.at(-1)?.definition
      return (definition?.kind === 'copy' || definition?.kind === 'add') && definition.unpack
    }
    assert.equal(await unpack('ADD a /'), 'local')
    assert.equal(await unpack('ADD --unpack a /'), 'all')
    assert.equal(await unpack('ADD --unpack=false a /'), 'none')
    assert.equal(await unpack('COPY a /'), 'none')
  })

  it('semantics 51: expands the URL and the checksum of ADD', async () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const { steps, history } = await planText(
      `FROM base\nENV V=1.2 D=${digest}\nADD --checksum=$D https://example.test/f-$V.tgz /d/`,
    )
    const definition = steps.at(-1)?.definition
    assert.deepEqual(definition?.kind === 'add' && definition.sources, [
      { kind: 'url', url: 'https://example.test/f-1.2.tgz', checksum: digest },
    ])
    assert.equal(history.at(-1), 'ADD https://example.test/f-1.2.tgz /d/ # buildkit')
  })

  it('semantics 52: expands the repository of ADD, with what is wanted of it', async () => {
    const { steps, history } = await planText(
      'FROM base\nENV V=1.2 D=ab\nADD --checksum=$D --keep-git-dir https://example.test/a.git#v$V:dir git/',
    )
    const definition = steps.at(-1)?.definition
    const text = 'https://example.test/a.git#v1.2:dir'
    assert.deepEqual(definition?.kind === 'add' && definition.sources, [
      {
        kind: 'git',
        text,
        reference: {
          remote: 'https://example.test/a.git',
          ref: 'v1.2',
          subdirectory: 'dir',
          checksum: 'ab',
          keepGitDir: true,
          submodules: true,
        },
      },
    ])
    assert.equal(history.at(-1), `ADD ${text} git/ # buildkit`)
  })

  it('lets --keep-git-dir say otherwise than the URL', async () => {
    const { steps } = await planText('FROM base\nADD --keep-git-dir=false ssh://h/a?keep-git-dir=1 /x')
    const definition = steps.at(-1)?.definition
    const [source] = definition?.kind === 'add' ? definition.sources : []
    assert.equal(source?.kind === 'git' && source.reference.keepGitDir, false)
  })

  it('semantics 67: gives agents a place each, the first of which is SSH_AUTH_SOCK', async () => {
    const mountsOf = async (flags: string, env = '') => {
      const { steps } = await planText(`FROM base\nWORKDIR /w\n${env}\nRUN ${flags} x`)
      const definition = steps.at(-1)?.definition
      return definition?.kind === 'run' ? definition.mounts : []
    }
    const plain = { kind: 'ssh', required: false, mode: 0o600, uid: 0, gid: 0 }
    assert.deepEqual(
      await mountsOf(
        '--mount=type=ssh --mount=type=ssh,id=b,target=sock,mode=0666,uid=5,gid=6,required --mount=type=ssh,id=c',
      ),
      [
        { ...plain, id: 'default', target: '/run/buildkit/ssh_agent.0', isDefault: true },
        { ...plain, id: 'c', target: '/run/buildkit/ssh_agent.2', isDefault: false },
        {
          kind: 'ssh',
          id: 'b',
          target: '/w/sock',
          isDefault: false,
          required: true,
          mode: 0o666,
          uid: 5,
          gid: 6,
        },
      ],
    )
    const [mount] = await mountsOf('--mount=type=ssh', 'ENV SSH_AUTH_SOCK=/mine')
    assert.equal(mount?.kind === 'ssh' && mount.isDefault, false)
  })

  it('expands heredocs, but not those whose delimiter is quoted', async () => {
    const { steps } = await planText('FROM base\nENV a=1\nCOPY <<X <<"Y" /d/\n$a\nX\n$a\nY')
    const definition = steps.at(-1)?.definition
    assert.deepEqual(definition?.kind === 'copy' && definition.sources, [
      { kind: 'heredoc', name: 'X', content: '1\n' },
      { kind: 'heredoc', name: 'Y', content: '$a\n' },
    ])
  })

  const refused: readonly (readonly [feature: string, line: string])[] = [
    ['RUN --security=insecure', 'RUN --security=insecure x'],
    ['RUN --network=host', 'RUN --network=host x'],
    ['a checksum that is none', 'ADD --checksum=md5:1 https://example.test/f /'],
    ['a checksum of a local file', `ADD --checksum=sha256:${'0'.repeat(64)} f /`],
    ['a checksum of several repositories', 'ADD --checksum=ab git@host:a git@host:b /'],
    ['two checksums of a repository', 'ADD --checksum=ab https://example.test/a.git?commit=cd /'],
    ['a query that says nothing', 'ADD https://example.test/a.git?x=1 /'],
    ['COPY of a repository', 'COPY git@example.test:a/b.git /'],
    ['COPY of a URL', 'COPY https://example.test/f /'],
  ]
  for (const [feature, line] of refused)
    it(`refuses ${feature} by name, at its line`, async () => {
      await assert.rejects(planText(`FROM base\n${line}`), (error: unknown) => {
        assert.ok(error instanceof BuildError)
        assert.equal(error.code, 'dockerfile-invalid')
        assert.equal(error.span?.startLine, 2)
        return true
      })
    })

  it('runs what asks for fewer walls where that is allowed', async () => {
    const allow = new Set(['network.host', 'security.insecure'] as const)
    const { steps } = await planText('FROM base\nRUN --network=host --security=insecure x', { allow })
    const definition = steps.at(-1)?.definition
    assert.ok(definition?.kind === 'run')
    assert.equal(definition.network, 'host')
    assert.equal(definition.isPrivileged, true)
  })

  const networks: readonly (readonly [ofBuild: NetworkMode, flag: string, network: NetworkMode])[] = [
    ['none', '', 'none'],
    ['none', '--network=default ', 'none'],
    ['host', '--network=default ', 'host'],
    ['host', '--network=none ', 'none'],
  ]
  for (const [network, flag, expected] of networks)
    it(`gives RUN ${flag}under --network=${network} the network ${expected}`, async () => {
      const { steps } = await planText(`FROM base\nRUN ${flag}x`, { network })
      const definition = steps.at(-1)?.definition
      assert.equal(definition?.kind === 'run' && definition.network, expected)
    })

  it('asks nobody about a stage that is not needed', async () => {
    await planText('FROM base AS other\nRUN --network=host x\nFROM base')
  })

  it('ignores the cache where it is told to', async () => {
    const { target } = await planText('FROM base\nRUN true', { noCache: true })
    assert.equal(target.ignoreCache, true)
  })

  it('has a digest that depends on nothing but the definition and its inputs', async () => {
    const { target } = await planText('FROM base\nRUN true')
    const again = await planText('# comment\nFROM base AS name\nLABEL x=y\nRUN true')
    assert.equal(target.digest, again.target.digest)
    assert.notEqual(target.digest, digestOf(''))
  })
})
