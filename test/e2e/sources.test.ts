/** What builds take from elsewhere: Git repositories and URLs, as contexts and by ADD, and agents of ssh. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { gzipSync } from 'node:zlib'
import { type GitServer, git, serveGit } from '../support/git-server.ts'
import { type Comparable, comparable, tellApart, withoutDifferences } from './support/differences.ts'
import { type Engine, startNewestEngine } from './support/engine.ts'
import { readLayout } from './support/image-contents.ts'
import { findProgram, run, succeed } from './support/process.ts'
import { cannotRun, createWorld, type World } from './support/world.ts'

const programs = ['git', 'runc', 'skopeo', 'umoci', 'dockerd', 'docker', 'ssh-agent', 'ssh-add']

describe('sources from elsewhere', { skip: cannotRun({ root: true, programs }) }, () => {
  let world: World
  let repositories: GitServer
  let files: Server
  let filesURL: string
  let repository: string
  let commit: string

  before(async () => {
    world = await createWorld({ base: true })
    const work = join(world.scratch, 'work')
    mkdirSync(join(work, 'app/deep'), { recursive: true })
    writeFileSync(join(work, 'Dockerfile'), 'FROM scratch\nCOPY . /all/\n')
    writeFileSync(join(work, 'app/Dockerfile'), 'FROM scratch\nCOPY . /app/\nCMD ["/app"]\n')
    writeFileSync(join(work, '.dockerignore'), 'run.sh\n')
    writeFileSync(join(work, '.gitattributes'), '*.txt text eol=crlf\n')
    writeFileSync(join(work, 'app/deep/lines.txt'), 'a\nb\n')
    writeFileSync(join(work, 'run.sh'), '#!/bin/sh\n')
    chmodSync(join(work, 'run.sh'), 0o755)
    symlinkSync('../run.sh', join(work, 'app/link'))
    git(work, 'init', '--quiet')
    git(work, 'add', '.')
    git(work, 'commit', '--quiet', '-m', 'first')
    git(work, 'tag', 'v1')
    commit = git(work, 'rev-parse', 'HEAD')
    mkdirSync(join(world.scratch, 'served'))
    git(world.scratch, 'clone', '--quiet', '--bare', 'work', 'served/app.git')
    repositories = await serveGit(join(world.scratch, 'served'))
    repository = `${repositories.url}/app.git`
    const tar = execFileSync('tar', ['-c', '--exclude=.git', '-C', work, '.'])
    files = createServer((request, response) => {
      response.setHeader('last-modified', 'Wed, 03 Feb 2021 04:05:06 GMT')
      if (request.url === '/Dockerfile') response.end('FROM scratch\nCOPY . /c/\n')
      else if (request.url === '/context.tgz') response.end(gzipSync(tar))
      else response.writeHead(404).end()
    })
    await new Promise<void>(resolve => files.listen(0, '127.0.0.1', resolve))
    filesURL = `http://127.0.0.1:${(files.address() as AddressInfo).port}`
  })
  after(async () => {
    files?.close()
    await repositories?.[Symbol.asyncDispose]()
    await world?.[Symbol.asyncDispose]()
  })

  const outputTo = (name: string) => [
    ...['-o', `type=oci,dest=${join(world.scratch, name)},tar=false`],
    ...['-t', 'app:1'],
  ]
  const read = (name: string) => readLayout(join(world.scratch, name), join(world.scratch, `files-${name}`))

  describe('give the image that BuildKit makes of them', () => {
    let engine: Engine
    before(async () => {
      engine = await startNewestEngine()
    })
    after(async () => engine?.[Symbol.asyncDispose]())

    const CASES: readonly (readonly [
      name: string,
      make: () => readonly string[] | Promise<readonly string[]>,
    ])[] = [
      ['a repository as context', () => [repository]],
      ['a subdirectory of a tag', () => [`${repository}#v1:app`]],
      [
        'a commit by its query, and a Dockerfile in it',
        () => [`${repository}?commit=${commit}`, '-f', 'app/Dockerfile'],
      ],
      ['a Dockerfile at a URL', () => [`${filesURL}/Dockerfile`]],
      [
        'a repository as named context',
        async () => [
          `--build-context=other=${repository}#:app`,
          await world.folder('named', { Dockerfile: 'FROM scratch\nCOPY --from=other . /d/\n' }),
        ],
      ],
      [
        'ADD of a repository',
        async () => [
          await world.folder('add', {
            Dockerfile: [
              'FROM scratch',
              `ADD ${repository} /whole`,
              `ADD --chown=3:4 --chmod=u=rwX,go= --exclude=deep ${repository}#main:app part/`,
              `ADD --checksum=${commit.slice(0, 12)} --link ${repository}#v1:app/deep linked`,
              `ADD ${repository}#${commit}:app ${filesURL}/Dockerfile /both/`,
              '',
            ].join('\n'),
          }),
        ],
      ],
    ]
    for (const [index, [name, make]] of CASES.entries())
      it(name, async () => {
        const args = await make()
        await engine.build([...outputTo(`theirs-${index}`), ...args])
        await world.slipway.run(['build', ...outputTo(`ours-${index}`), ...args])
        const [ours, theirs] = await Promise.all(
          ['ours', 'theirs'].map(async who =>
            withoutTimes(withoutDifferences(comparable(await read(`${who}-${index}`)), engine.version)),
          ),
        )
        assert.ok(ours !== undefined && theirs !== undefined)
        assert.deepEqual(tellApart(ours, theirs), [])
      })
  })

  it('takes a tar at a URL for a context, and -f for a path in it', async () => {
    await world.slipway.run(['build', ...outputTo('tar'), `${filesURL}/context.tgz`, '-f', 'app/Dockerfile'])
    const { tree, config } = await read('tar')
    assert.ok([...tree.keys()].some(path => path.endsWith('app/run.sh')))
    assert.deepEqual((config.config as { Cmd?: unknown }).Cmd, ['/app'])
  })

  it('does not fetch again what is in the cache, and builds again when the branch has gone on', async () => {
    const context = await world.folder('cached', { Dockerfile: `FROM scratch\nADD ${repository}#main /x\n` })
    const build = () => world.slipway.try(['build', '--progress=plain', context])
    assert.doesNotMatch((await build()).stderr, /CACHED/)
    const fetches = () => repositories.requests.filter(({ line }) => line.startsWith('POST')).length
    const before = fetches()
    assert.match((await build()).stderr, /CACHED/)
    // A POST lists the refs, too.
    assert.ok(fetches() - before <= 1)
    const work = join(world.scratch, 'work')
    writeFileSync(join(work, 'new'), '')
    git(work, 'add', '.')
    git(work, 'commit', '--quiet', '-m', 'second')
    git(work, 'push', '--quiet', join(world.scratch, 'served/app.git'), 'main')
    assert.doesNotMatch((await build()).stderr, /CACHED/)
  })

  it('tells at its line what a repository has not', async () => {
    const context = await world.folder('missing', { Dockerfile: `FROM scratch\nADD ${repository}#nope /x\n` })
    const { code, stderr } = await world.slipway.try(['build', context])
    assert.equal(code, 1)
    assert.match(stderr, /> 2 \| ADD .*\n(?:.*\n)*error: .* has no branch or tag "nope"/)
  })

  describe('RUN --mount=type=ssh', () => {
    let context: string
    let sockets: string
    const build = (...args: readonly string[]) =>
      world.slipway.try(['build', '--progress=plain', ...args, context], { env: { TMPDIR: sockets } })

    before(async () => {
      context = await world.folder('ssh', {})
      sockets = await world.folder('sockets', { kept: '' })
      const program = findProgram('ssh-add')
      assert.ok(program)
      const libraries = (await succeed('ldd', [program])).matchAll(/(?<=\s)\/\S+(?= \()/g)
      for (const path of [program, ...Array.from(libraries, ([found]) => found)]) {
        const target = join(context, 'root', path === program ? '/bin/ssh-add' : path)
        mkdirSync(dirname(target), { recursive: true })
        copyFileSync(path, target)
      }
      for (const name of ['one', 'two'])
        await succeed('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', join(context, name)])
    })

    const write = (...steps: readonly string[]) =>
      writeFileSync(join(context, 'Dockerfile'), `FROM base:1\nCOPY root /\n${steps.join('\n')}\n`)

    it('lets a step use keys and not change them, and leaves nothing of it', async () => {
      write(
        'RUN --mount=type=ssh test "$SSH_AUTH_SOCK" = /run/buildkit/ssh_agent.0 && ssh-add -l > /keys && ! ssh-add -D',
        'RUN --mount=type=ssh,id=b,target=/sock,mode=0666,uid=5,gid=6 \\',
        '  test "$(stat -c %a:%u:%g /sock)" = 666:5:6 && ssh-add -l >> /keys && test ! -e /run/buildkit',
        'RUN test ! -e /run/buildkit && test ! -e /sock && test -z "$SSH_AUTH_SOCK"',
      )
      const given = [`--ssh=default=${join(context, 'one')}`, `--ssh=b=${join(context, 'two')}`]
      const { code, stderr } = await build(...given, ...outputTo('ssh-image'))
      assert.equal(code, 0, stderr)
      const { tree } = await read('ssh-image')
      assert.ok(![...tree.keys()].some(path => /run\/buildkit|sock$/.test(path)))
      const again = await build()
      assert.equal(again.code, 0, again.stderr)
      assert.match(again.stderr, /CACHED/)
      assert.deepEqual(readdirSync(sockets), ['kept'])
      const { stdout } = await run('pgrep', ['-f', `ssh-agent -a ${sockets}`])
      assert.equal(stdout.trim(), '')
    })

    it('wants an agent only where it is required', async () => {
      write('RUN --mount=type=ssh ! ssh-add -l')
      assert.equal((await build()).code, 0)
      write('RUN --mount=type=ssh,required true')
      const { code, stderr } = await build()
      assert.equal(code, 1)
      assert.match(stderr, /Cannot mount ssh "default": nobody gave an agent[\s\S]*--ssh default/)
    })
  })
})

/** Files of repositories have the time of their commit with us, and that of the checkout with BuildKit. */
function withoutTimes(image: Comparable): Comparable {
  const tree = Object.entries(image.tree).map(([path, line]) => [path, line.replace(/ of \S+Z$/, '')])
  return { ...image, tree: Object.fromEntries(tree) }
}
