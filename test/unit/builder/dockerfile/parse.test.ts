// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are variables of the shell's syntax, meant as text
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bare, failureOf, instructionsOf, parse } from './parsing.ts'

const TRANSFER = { files: [], link: false, exclude: [] }
const RUN = { kind: 'run', mounts: [], devices: [] }

const READ: readonly (readonly [name: string, text: string, expected: object])[] = [
  ['ADD', 'ADD a b', { kind: 'add', sources: ['a'], destination: 'b', ...TRANSFER }],
  [
    'ADD with all flags',
    'ADD --chown=u:g --chmod=$m --link --keep-git-dir=false --checksum=sha256:a --unpack=False --exclude=*.a --exclude=b u /',
    {
      kind: 'add',
      sources: ['u'],
      destination: '/',
      files: [],
      chown: 'u:g',
      chmod: '$m',
      link: true,
      keepGitDir: false,
      checksum: 'sha256:a',
      unpack: false,
      exclude: ['*.a', 'b'],
    },
  ],
  [
    'ARG',
    'ARG a b= c="d e" f=g=h',
    {
      kind: 'arg',
      args: [{ key: 'a' }, { key: 'b', value: '' }, { key: 'c', value: '"d e"' }, { key: 'f', value: 'g=h' }],
    },
  ],
  ['CMD in shell form', 'CMD  echo  a', { kind: 'cmd', command: { form: 'shell', script: 'echo  a' } }],
  [
    'CMD in exec form',
    'CMD [ "a b", "\\u00e9\\t", "" ] ',
    { kind: 'cmd', command: { form: 'exec', args: ['a b', 'é\t', ''] } },
  ],
  ['CMD without arguments', 'CMD []', { kind: 'cmd', command: { form: 'exec', args: [] } }],
  [
    'COPY',
    'copy a  b c/',
    { kind: 'copy', sources: ['a', 'b'], destination: 'c/', parents: false, ...TRANSFER },
  ],
  [
    'COPY in JSON form',
    'COPY ["a b", "<<E", "c d"]',
    { kind: 'copy', sources: ['a b', '<<E'], destination: 'c d', parents: false, ...TRANSFER },
  ],
  [
    'COPY with quotes, which mean nothing here',
    'COPY "a b" c',
    { kind: 'copy', sources: ['"a', 'b"'], destination: 'c', parents: false, ...TRANSFER },
  ],
  [
    'COPY with flags',
    'COPY --from=1 --parents --link=false --chown= a b',
    { kind: 'copy', from: '1', sources: ['a'], destination: 'b', parents: true, ...TRANSFER },
  ],
  [
    'semantics 13: COPY of heredocs',
    'COPY <<A b <<-"C" /d/\n$a\nA\n\t$c\n\tC',
    {
      kind: 'copy',
      sources: ['b'],
      destination: '/d/',
      parents: false,
      ...TRANSFER,
      files: [
        { name: 'A', content: '$a\n', expand: true },
        { name: 'C', content: '$c\n', expand: false },
      ],
    },
  ],
  ['ENTRYPOINT', 'ENTRYPOINT ["/app"]', { kind: 'entrypoint', command: { form: 'exec', args: ['/app'] } }],
  [
    'semantics 6: ENV',
    'ENV a=b "c d"=e f=\'g h\' i=j\\ k l=',
    {
      kind: 'env',
      pairs: [
        { key: 'a', value: 'b' },
        { key: '"c d"', value: 'e' },
        { key: 'f', value: "'g h'" },
        { key: 'i', value: 'j\\ k' },
        { key: 'l', value: '' },
      ],
    },
  ],
  [
    'semantics 6: ENV in the old form keeps inner spacing',
    'ENV a  b   c=d',
    { kind: 'env', pairs: [{ key: 'a', value: 'b   c=d' }] },
  ],
  [
    'semantics 6: LABEL',
    'LABEL "com.x"="a \\\n  b"',
    { kind: 'label', pairs: [{ key: '"com.x"', value: '"a   b"' }] },
  ],
  [
    'semantics 18: EXPOSE is sorted',
    'EXPOSE 80/tcp 443 $P',
    { kind: 'expose', ports: ['$P', '443', '80/tcp'] },
  ],
  ['HEALTHCHECK NONE', 'HEALTHCHECK none', { kind: 'healthcheck', test: ['NONE'] }],
  ['HEALTHCHECK', 'HEALTHCHECK CMD  curl  x', { kind: 'healthcheck', test: ['CMD-SHELL', 'curl  x'] }],
  [
    'semantics 19: HEALTHCHECK with all flags',
    'HEALTHCHECK --interval=1m30s --timeout=0 --start-period=1.5h --start-interval=1ms --retries=0 CMD ["a", "b"]',
    {
      kind: 'healthcheck',
      test: ['CMD', 'a', 'b'],
      interval: 90e9,
      timeout: 0,
      startPeriod: 5400e9,
      startInterval: 1e6,
      retries: 0,
    },
  ],
  ['MAINTAINER', 'MAINTAINER A B <a@b>', { kind: 'maintainer', name: 'A B <a@b>' }],
  ['semantics 78: ONBUILD', 'ONBUILD  copy  a  b', { kind: 'onbuild', expression: 'copy  a  b' }],
  [
    'semantics 78: ONBUILD with a heredoc',
    'ONBUILD RUN <<E\n a\nE',
    { kind: 'onbuild', expression: 'RUN <<E\n a\nE' },
  ],
  [
    'RUN in shell form',
    'RUN a \\\n  && $b "c"',
    { ...RUN, command: { form: 'shell', script: 'a   && $b "c"' }, title: 'RUN a   && $b "c"' },
  ],
  [
    'RUN in exec form',
    'RUN ["a", "$b"]',
    { ...RUN, command: { form: 'exec', args: ['a', '$b'] }, title: 'RUN ["a", "$b"]' },
  ],
  [
    'semantics 5: RUN with what is no JSON',
    "RUN ['a']",
    { ...RUN, command: { form: 'shell', script: "['a']" }, title: "RUN ['a']" },
  ],
  [
    'semantics 5: RUN with more than JSON',
    'RUN ["a"] b',
    { ...RUN, command: { form: 'shell', script: '["a"] b' }, title: 'RUN ["a"] b' },
  ],
  [
    'semantics 5: RUN with JSON after flags',
    'RUN --network=none ["a"]',
    { ...RUN, network: 'none', command: { form: 'exec', args: ['a'] }, title: 'RUN --network=none ["a"]' },
  ],
  [
    'RUN with flags',
    'RUN --mount=type=bind,from=x --mount=type=tmpfs,target=/t --security=insecure --device=d a',
    {
      ...RUN,
      mounts: ['type=bind,from=x', 'type=tmpfs,target=/t'],
      devices: ['d'],
      security: 'insecure',
      command: { form: 'shell', script: 'a' },
      title: 'RUN --mount=type=bind,from=x --mount=type=tmpfs,target=/t --security=insecure --device=d a',
    },
  ],
  [
    'semantics 13: RUN of a lone heredoc',
    'RUN <<E\na\n$b\nE',
    { ...RUN, command: { form: 'shell', script: 'a\n$b\n' }, title: 'RUN <<E (a...)' },
  ],
  [
    'semantics 13: RUN of a lone heredoc with tabs',
    'RUN <<-E\n\ta\n\t b\n\tE',
    { ...RUN, command: { form: 'shell', script: 'a\n b\n' }, title: 'RUN <<-E (a...)' },
  ],
  [
    'semantics 13: RUN of a heredoc with a shebang',
    'RUN <<E\n#!/bin/x\nE',
    { ...RUN, command: { form: 'file', name: 'E', content: '#!/bin/x\n' }, title: 'RUN <<E (#!/bin/x)' },
  ],
  [
    'semantics 13: RUN of heredocs beside a command',
    'RUN <<-"A" cat - 3<<B\n\ta\n\tA\nb\nB',
    {
      ...RUN,
      command: { form: 'shell', script: '<<-"A" cat - 3<<B\n\ta\nA\nb\nB' },
      title: 'RUN <<-"A" cat - 3<<B (a)',
    },
  ],
  ['SHELL', 'SHELL ["/bin/bash", "-c"]', { kind: 'shell', args: ['/bin/bash', '-c'] }],
  ['STOPSIGNAL', 'STOPSIGNAL $S', { kind: 'stopsignal', signal: '$S' }],
  ['USER', 'USER a:b', { kind: 'user', user: 'a:b' }],
  ['VOLUME', 'VOLUME /a $b', { kind: 'volume', paths: ['/a', '$b'] }],
  ['VOLUME in JSON form', 'VOLUME ["/a b", " /c "]', { kind: 'volume', paths: ['/a b', '/c'] }],
  ['WORKDIR', 'WORKDIR /a b/', { kind: 'workdir', path: '/a b/' }],
]

for (const [name, text, expected] of READ)
  test(`parseDockerfile() reads ${name}`, () => assert.deepEqual(bare(text), [expected]))

const REFUSED: readonly (readonly [
  name: string,
  text: string,
  line: number | undefined,
  message: RegExp,
  hint?: RegExp,
])[] = [
  ['an empty file', '', undefined, /no instructions/],
  ['a file of comments', '# a\n\n', undefined, /no instructions/],
  ['only ARG', 'ARG a', 1, /no stage/, /FROM/],
  ['an instruction before FROM', 'ARG a\nRUN b\nFROM c', 2, /RUN: no build stage/],
  ['an unknown instruction', 'FROM a\n\nRNU b', 3, /"RNU": unknown instruction/, /RUN/],
  ['a property of objects as an instruction', 'FROM a\nconstructor b', 2, /unknown instruction/],
  ['an unknown instruction after a continued one', 'FROM a\nRUN b \\\n c\nCOYP d e', 4, /COYP/, /COPY/],
  ['FROM without an image', 'FROM', 1, /FROM <image>/],
  ['FROM with two words', 'FROM a b', 1, /FROM <image>/],
  ['FROM with another word than AS', 'FROM a IS b', 1, /FROM <image>/],
  ['semantics 16: a stage named by a number', 'FROM a AS 1b', 1, /Cannot name a stage "1b"/],
  ['semantics 16: a stage name with a slash', 'FROM a AS b/c', 1, /Cannot name a stage/],
  ['FROM with an unknown flag', 'FROM --platfrom=x a', 1, /unknown flag --platfrom/, /--platform/],
  ['COPY with one path', 'FROM a\nCOPY b', 2, /COPY: it needs a source and a destination/],
  ['COPY with none', 'FROM a\nCOPY', 2, /got neither/],
  ['COPY to a heredoc', 'FROM a\nCOPY b <<E\nE', 2, /heredoc cannot be the destination/],
  [
    'semantics 8: COPY from a variable',
    'FROM a\nCOPY --from=$b c d',
    2,
    /do not expand in --from/,
    /AS <name>/,
  ],
  ['COPY with a flag of ADD', 'FROM a\nCOPY --checksum=x b c', 2, /unknown flag --checksum/],
  ['a flag without its value', 'FROM a\nCOPY --chown b c', 2, /--chown needs a value/],
  ['a flag given twice', 'FROM a\nCOPY --chown=a --chown=a b c', 2, /--chown is given twice/],
  ['a wrong boolean', 'FROM a\nCOPY --link=yes b c', 2, /--link is "yes"/],
  ['an empty boolean', 'FROM a\nCOPY --link= b c', 2, /--link is ""/],
  ['ENV without arguments', 'FROM a\nENV', 2, /ENV: it needs at least one argument/],
  ['semantics 6: ENV with a name alone', 'FROM a\nENV b', 2, /"b" has no value/],
  ['semantics 6: ENV with a word without =', 'FROM a\nENV b=c d', 2, /"d" has no "="/, /quotes/],
  ['ENV without a name', 'FROM a\nENV =b', 2, /a name is empty/],
  ['ARG without a name', 'FROM a\nARG =b', 2, /a name is empty/],
  ['ENV with a flag', 'FROM a\nENV --x a=b', 2, /unknown flag --x/, /no flags/],
  ['semantics 5: JSON with a number', 'FROM a\nCMD ["b", 1]', 2, /holds 1, which is not a string/],
  ['semantics 5: JSON with a list', 'FROM a\nRUN [["b"]]', 2, /not a string/],
  ['semantics 5: JSON with null under ONBUILD', 'FROM a\nONBUILD VOLUME [null]', 2, /holds null/],
  ['RUN without arguments in JSON form', 'FROM a\nRUN []', 2, /list of arguments is empty/],
  ['RUN with an unknown network', 'FROM a\nRUN --network=hots b', 2, /--network: "hots" is none of/, /host/],
  [
    'semantics 8: RUN with a mount from a variable',
    'FROM a\nRUN --mount=type=bind,from=$b c',
    2,
    /do not expand in "from"/,
  ],
  [
    'RUN of a script whose name leads elsewhere',
    'FROM a\nRUN <<../b\n#!/bin/sh\n../b',
    2,
    /not a name for a file/,
  ],
  ['RUN with an empty network', 'FROM a\nRUN --network= b', 2, /--network needs a value/],
  ['SHELL without JSON', 'FROM a\nSHELL /bin/sh -c', 2, /needs the JSON form/, /"-c"/],
  ['SHELL without arguments', 'FROM a\nSHELL []', 2, /at least one argument/],
  ['USER without a name', 'FROM a\nUSER', 2, /needs an argument/],
  ['VOLUME with an empty path', 'FROM a\nVOLUME [""]', 2, /a path is empty/],
  ['HEALTHCHECK of another type', 'FROM a\nHEALTHCHECK curl x', 2, /CMD or NONE, got "curl"/],
  ['HEALTHCHECK without a command', 'FROM a\nHEALTHCHECK CMD', 2, /command after CMD is missing/],
  ['HEALTHCHECK NONE with more', 'FROM a\nHEALTHCHECK NONE b', 2, /takes no arguments/],
  [
    'semantics 19: an interval below a millisecond',
    'FROM a\nHEALTHCHECK --interval=999us CMD b',
    2,
    /0 or at least 1ms/,
  ],
  ['semantics 19: a negative interval', 'FROM a\nHEALTHCHECK --timeout=-1s CMD b', 2, /0 or at least 1ms/],
  ['an interval without a unit', 'FROM a\nHEALTHCHECK --interval=30 CMD b', 2, /not a duration/, /30s/],
  ['negative retries', 'FROM a\nHEALTHCHECK --retries=-1 CMD b', 2, /want a number from 0/],
  ['semantics 78: ONBUILD ONBUILD', 'FROM a\nONBUILD ONBUILD RUN b', 2, /ONBUILD cannot be a trigger/],
  ['semantics 78: ONBUILD FROM', 'FROM a\nONBUILD from b', 2, /FROM cannot be a trigger/],
  ['semantics 78: ONBUILD MAINTAINER', 'FROM a\nONBUILD MAINTAINER b', 2, /MAINTAINER cannot be a trigger/],
  ['ONBUILD alone', 'FROM a\nONBUILD', 2, /needs an argument/],
]

for (const [name, text, line, message, hint] of REFUSED)
  test(`parseDockerfile() refuses ${name}`, () => {
    const error = failureOf(() => parse(text))
    assert.match(error.message, message)
    assert.equal(error.span?.startLine, line)
    if (hint !== undefined) assert.match(error.hint ?? '', hint)
  })

test('parseDockerfile() parts the file into stages', () => {
  const { metaArgs, stages } = parse(
    'ARG V=1\nFROM a:$V as Base\nRUN x\nFROM --platform=$P base\nFROM scratch AS out.b-_1\nCOPY --from=0 / /',
  )
  assert.deepEqual(
    metaArgs.map(({ args }) => args),
    [[{ key: 'V', value: '1' }]],
  )
  assert.deepEqual(
    stages.map(({ index, name, base, platform, instructions }) => [
      index,
      name,
      base,
      platform,
      instructions.length,
    ]),
    [
      [0, 'base', 'a:$V', undefined, 1],
      [1, undefined, 'base', '$P', 0],
      [2, 'out.b-_1', 'scratch', undefined, 1],
    ],
  )
})

test('parseDockerfile() keeps the line of each instruction for history and errors', () => {
  const [run] = instructionsOf('FROM a\n  run  x \\\n # c\n y')
  assert.equal(run?.original, 'run  x  y')
  assert.deepEqual([run?.span.startLine, run?.span.endLine], [2, 4])
  assert.equal(run?.span.source.name, 'Dockerfile')
})

const WARNINGS: readonly (readonly [rule: string, text: string, line: number])[] = [
  ['NoEmptyContinuation', 'FROM a\nRUN b \\\n\n c', 4],
  ['LegacyKeyValueFormat', 'FROM a\nENV b c', 2],
  ['MaintainerDeprecated', 'FROM a\nMAINTAINER b', 2],
  ['DuplicateStageName', 'FROM a AS b\nFROM a AS b', 2],
  ['ReservedStageName', 'FROM a AS scratch', 1],
  ['StageNameCasing', 'FROM a AS B', 1],
  ['FromAsCasing', 'FROM a as b', 1],
  ['ConsistentInstructionCasing', 'FROM a\nRUN b\nrun c', 3],
  ['ConsistentInstructionCasing', 'from a\nrun b\nRUN c', 3],
  ['ConsistentInstructionCasing', 'FROM a\nRun b', 2],
  ['InvalidDefinitionDescription', '# check=x\n# b is it\nARG b\n# a comment\nARG c\nFROM a', 5],
  ['InvalidDefinitionDescription', '# b\n#\nFROM a AS b\n# c\n\nFROM a AS d', 6],
]

for (const [rule, text, line] of WARNINGS)
  test(`parseDockerfile() warns with ${rule}`, () =>
    assert.deepEqual(
      parse(text).warnings.map(warning => [warning.rule, warning.span.startLine]),
      [[rule, line]],
    ))

test('parseDockerfile() does not warn of what is as it should be', () => {
  for (const text of [
    'from a as b\nrun c',
    'FROM a AS b\nENV PUBLIC_KEY=x MONKEY=y\nCMD ["c"]\nHEALTHCHECK NONE',
    'FROM a\nCMD ["b"]\nFROM a\nCMD ["b"]',
  ])
    assert.deepEqual(parse(text).warnings, [])
})
