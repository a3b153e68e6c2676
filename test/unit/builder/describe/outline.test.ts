import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { describeOutline, type OutlineOptions } from '../../../../src/builder/describe/outline.ts'
import { describeTargets } from '../../../../src/builder/describe/targets.ts'
import { parseDockerfile } from '../../../../src/builder/dockerfile/parse.ts'

const HOST = { os: 'linux', architecture: 'amd64' }

function outline(text: string, options: Partial<OutlineOptions> = {}) {
  const dockerfile = parseDockerfile({ name: 'Dockerfile', text })
  return describeOutline(dockerfile, {
    buildArgs: new Map(),
    platform: HOST,
    hostPlatform: HOST,
    ...options,
  })
}

/** Name, value and line of each ARG. */
function args(text: string, options: Partial<OutlineOptions> = {}): readonly string[] {
  return outline(text, options).args.map(
    ({ name, value, span }) => `${span.startLine} ${name}${value === undefined ? '' : `=${value}`}`,
  )
}

const STAGES = `ARG VERSION=1
ARG MIRROR
ARG DEF=\${VERSION}-x
FROM --platform=$BUILDPLATFORM scratch AS tools
ARG TOOL=t
RUN --mount=type=secret,id=tool true
FROM scratch AS other
ARG UNREACHED=1
FROM scratch AS unused
ARG NOBODY=1
FROM scratch AS final
ARG VERSION
ARG DEF
ARG TARGETARCH
ARG HTTP_PROXY
COPY --from=tools /a /b
ONBUILD ARG FOO=1
RUN --mount=type=secret,id=tool,required --mount=type=secret,target=/run/named --mount=type=ssh --mount=from=other,target=/o true
`

describe('describeOutline()', () => {
  it('tells the ARGs of the target and of all stages that it needs, in the order of the file', () => {
    assert.deepEqual(args(STAGES), ['1 VERSION=1', '3 DEF=1-x', '5 TOOL=t', '8 UNREACHED=1', '15 HTTP_PROXY'])
    assert.deepEqual(args(STAGES, { target: 'unused' }), ['10 NOBODY=1'])
  })

  it('tells what build args make of it', () => {
    const buildArgs = new Map([
      ['VERSION', '2'],
      ['HTTP_PROXY', 'p'],
    ])
    assert.deepEqual(args(STAGES, { buildArgs }), [
      '1 VERSION=2',
      '3 DEF=2-x',
      '5 TOOL=t',
      '8 UNREACHED=1',
      '15 HTTP_PROXY=p',
    ])
  })

  it('tells an ARG before the first FROM where a FROM line of the target uses it', () => {
    const text = 'ARG A=scratch\nARG B=$A\nARG C=1\nFROM $B AS one\nFROM one\nARG D=$C$HOME\n'
    assert.deepEqual(args(text), ['1 A=scratch', '2 B=scratch', '6 D='])
  })

  it('tells secrets and SSH agents once each, required where one step requires them', () => {
    const { secrets, ssh } = outline(STAGES)
    assert.deepEqual(
      secrets.map(({ id, required, span }) => [id, required, span.startLine]),
      [
        ['tool', true, 6],
        ['named', false, 18],
      ],
    )
    assert.deepEqual(
      ssh.map(({ id, required }) => [id, required]),
      [['default', false]],
    )
  })

  it('takes descriptions from the comment right above', () => {
    const text = `# VERSION of the tool
ARG VERSION=1
# final: is what runs
FROM scratch AS final
# of something else
# A what A is for
# more words
ARG A
# B is lost

ARG B
ARG VERSION
`
    const { name, description, args } = outline(text)
    assert.deepEqual([name, description], ['final', 'is what runs'])
    assert.deepEqual(
      args.map(({ name, description }) => [name, description]),
      [
        ['VERSION', 'of the tool'],
        ['A', 'what A is for'],
        ['B', undefined],
      ],
    )
  })

  it('refuses a target that there is not', () => {
    assert.throws(() => outline(STAGES, { target: 'finel' }), { code: 'target-unknown', hint: /final/ })
  })

  it('walks thousands of stages', () => {
    const stages = Array.from(
      { length: 5000 },
      (_, index) => `FROM s${index} AS s${index + 1}\nARG A${index}=1`,
    )
    assert.equal(outline(`FROM scratch AS s0\n${stages.join('\n')}\n`).args.length, 5000)
  })
})

describe('describeTargets()', () => {
  it('tells every stage, with its base as written', () => {
    const text =
      '# base is first\nFROM --platform=$BUILDPLATFORM $IMG AS base\nFROM base\nFROM base AS last\n'
    const targets = describeTargets(parseDockerfile({ name: 'Dockerfile', text }))
    assert.deepEqual(
      targets.map(({ span, ...target }) => ({ ...target, line: span.startLine })),
      [
        {
          name: 'base',
          isDefault: false,
          description: 'is first',
          base: '$IMG',
          platform: '$BUILDPLATFORM',
          line: 2,
        },
        { isDefault: false, base: 'base', line: 3 },
        { name: 'last', isDefault: true, base: 'base', line: 4 },
      ],
    )
  })
})
