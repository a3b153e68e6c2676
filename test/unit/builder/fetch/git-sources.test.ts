import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { BuildError } from '../../../../src/builder/errors.ts'
import { createGit } from '../../../../src/builder/fetch/git-program.ts'
import { parseGitReference } from '../../../../src/builder/fetch/git-reference.ts'
import { createGitSources, type GitSources, wantedOf } from '../../../../src/builder/fetch/git-sources.ts'
import { pruneGit } from '../../../../src/builder/fetch/prune-git.ts'
import type { FileTree } from '../../../../src/builder/tree/file-tree.ts'
import { walkBelow } from '../../../../src/builder/tree/walk.ts'
import type { ByteString } from '../../../../src/oci/byte-string.ts'
import { type GitServer, git, serveGit } from '../../../support/git-server.ts'

const { signal } = new AbortController()
const COMMITTED_AT = Date.UTC(2021, 1, 3, 4, 5, 6) / 1000

describe('createGitSources()', () => {
  let folder: string
  let server: GitServer
  let stores = 0
  const commits = { first: '', main: '', feature: '' }

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slipway-git-'))
    mkdirSync(join(folder, 'served'))
    server = await serveGit(join(folder, 'served'))
    const module = publish('module', at => writeFileSync(join(at, 'm.txt'), 'module'))
    const work = publish('app', at => {
      writeFileSync(join(at, 'a.txt'), 'first')
      git(at, 'init', '--quiet')
      git(at, 'add', '.')
      git(at, 'commit', '--quiet', '-m', 'first')
      commits.first = git(at, 'rev-parse', 'HEAD')
      mkdirSync(join(at, 'dir/deep'), { recursive: true })
      writeFileSync(join(at, 'dir/deep/f'), 'f')
      symlinkSync('../a.txt', join(at, 'dir/link'))
      writeFileSync(join(at, 'run.sh'), '#!/bin/sh\n')
      chmodSync(join(at, 'run.sh'), 0o700)
      writeFileSync(join(at, '.gitattributes'), '*.crlf text eol=crlf\nhidden export-ignore\n')
      writeFileSync(join(at, 't.crlf'), 'a\nb\n')
      writeFileSync(join(at, 'hidden'), '')
      writeFileSync(join(at, '.dockerignore'), '*\n')
      writeFileSync(join(at, '.gitmodules'), '[submodule "mod"]\n\tpath = mod\n\turl = ../module.git\n')
      git(at, 'update-index', '--add', '--cacheinfo', `160000,${git(module, 'rev-parse', 'HEAD')},mod`)
      mkdirSync(join(at, 'mod'))
    })
    commits.main = git(work, 'rev-parse', 'HEAD')
    const served = join(folder, 'served/app.git')
    git(work, 'tag', 'light')
    git(work, 'tag', '-a', 'heavy', '-m', 'annotated')
    git(work, 'checkout', '--quiet', '-b', 'feature')
    writeFileSync(join(work, 'feature.txt'), 'x')
    git(work, 'add', '.')
    git(work, 'commit', '--quiet', '-m', 'feature')
    commits.feature = git(work, 'rev-parse', 'HEAD')
    git(work, 'push', '--quiet', served, 'feature', 'light', 'heavy', 'main:refs/pull/1/head')
    // Both a branch and a tag, and a longer name that ends the same way.
    git(served, 'tag', 'feature', commits.main)
    git(served, 'branch', 'aaa/feature', commits.first)
  })
  after(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Commits what `fill` makes to `main`, and serves it. Returns the work tree. */
  function publish(name: string, fill: (work: string) => void): string {
    const work = join(folder, name)
    mkdirSync(work)
    fill(work)
    git(work, 'init', '--quiet')
    git(work, 'add', '.')
    git(work, 'commit', '--quiet', '-m', name)
    git(folder, 'clone', '--quiet', '--bare', work, `served/${name}.git`)
    return work
  }

  const newStore = () => join(folder, `store-${++stores}`)
  const open = (storeRoot: string, secrets: Readonly<Record<string, string>> = {}): GitSources =>
    createGitSources({
      git: createGit(process.env),
      storeRoot,
      readSecret: async id => (secrets[id] === undefined ? undefined : Buffer.from(secrets[id])),
      sshAgent: async () => undefined,
    })
  const referenceTo = (wanted: string, base = `${server.url}/app.git`) => {
    const reference = parseGitReference(base + wanted)
    assert.ok(reference)
    return reference
  }

  async function listed(tree: FileTree): Promise<readonly string[]> {
    const found: string[] = []
    for await (const { path, node } of walkBelow(tree, '' as ByteString, signal)) {
      if (path.startsWith('.git/objects') || path.startsWith('.git/modules')) continue
      assert.equal(node.mtime, COMMITTED_AT)
      found.push(
        `${node.type} ${node.mode.toString(8)} ${path}${node.linkPath ? ` -> ${node.linkPath}` : ''}`,
      )
    }
    return found
  }

  const fails = (task: Promise<unknown>, code: string, message: RegExp, hint?: RegExp) =>
    assert.rejects(task, (error: unknown) => {
      assert.ok(error instanceof BuildError, String(error))
      assert.equal(error.code, code)
      assert.match(error.message, message)
      if (hint !== undefined) assert.match(error.hint ?? '', hint)
      return true
    })

  it('semantics 52: gives the files of a commit with the modes that git knows, and its time', async () => {
    await using sources = open(newStore())
    const umask = process.umask(0o077)
    try {
      const tree = await sources.open(referenceTo(''), signal)
      assert.deepEqual(await listed(tree), [
        'file 644 .dockerignore',
        'file 644 .gitattributes',
        'file 644 .gitmodules',
        'file 644 a.txt',
        'directory 755 dir',
        'directory 755 dir/deep',
        'file 644 dir/deep/f',
        'symlink 777 dir/link -> ../a.txt',
        'file 644 hidden',
        'directory 755 mod',
        'file 644 mod/m.txt',
        'file 755 run.sh',
        'file 644 t.crlf',
      ])
      assert.equal(String(await tree.open('t.crlf' as ByteString)), 'a\r\nb\r\n')
    } finally {
      process.umask(umask)
    }
  })

  it('gives a subdirectory, and fetches a commit once for all builds', async () => {
    const store = newStore()
    const expected = ['directory 755 deep', 'file 644 deep/f', 'symlink 777 link -> ../a.txt']
    await using first = open(store)
    assert.deepEqual(await listed(await first.open(referenceTo('#main:dir'), signal)), expected)
    const before = server.requests.length
    await using second = open(store)
    const reference = referenceTo(`?commit=${commits.main}&subdir=/dir/&submodules=false`)
    assert.deepEqual(await listed(await second.open(reference, signal)), expected)
    assert.equal(server.requests.length, before)
  })

  it('finds branches before tags, and nothing by the end of its name', async () => {
    await using sources = open(newStore())
    const found = async (wanted: string) => sources.resolve(referenceTo(wanted), signal)
    assert.deepEqual(await found(''), { id: commits.main, name: 'refs/heads/main' })
    assert.deepEqual(await found('#feature'), { id: commits.feature, name: 'refs/heads/feature' })
    assert.deepEqual(await found('?tag=feature'), { id: commits.main, name: 'refs/tags/feature' })
    assert.deepEqual(await found('#pull/1/head'), { id: commits.main, name: 'refs/pull/1/head' })
    assert.deepEqual(await found(`#${commits.first}`), { id: commits.first })
    const heavy = await found('#heavy')
    assert.equal(heavy.id, commits.main)
    assert.match(heavy.tagID ?? '', /^[0-9a-f]{40}$/)
    await fails(found('#head'), 'source-missing', /no branch or tag "head"/)
    await fails(found('#--upload-pack=id'), 'source-missing', /no branch or tag "--upload-pack=id"/)
    await fails(found(`#${commits.main.slice(0, 8)}`), 'source-missing', /no branch/, /whole ID/)
  })

  it('takes the beginning of a commit for a checksum, and refuses another', async () => {
    await using sources = open(newStore())
    const resolve = (checksum: string) => sources.resolve(referenceTo(`?checksum=${checksum}#main`), signal)
    assert.equal((await resolve(commits.main.slice(0, 7))).id, commits.main)
    await fails(resolve(commits.first), 'digest-mismatch', /want commit .*, got/)
    await fails(resolve('sha256:00'), 'dockerfile-invalid', /not the ID of a commit/)
  })

  it('keeps .git where that is wanted, without a trace of this machine and of the checkout', async () => {
    const contents: Buffer[] = []
    for (const _ of [1, 2]) {
      const store = newStore()
      await using sources = open(store)
      const base = `${server.url.replace('//', '//me:secret@')}/app.git`
      const tree = await sources.open(referenceTo('?keep-git-dir=1&branch=main', base), signal)
      const paths = await listed(tree)
      for (const path of ['.git/HEAD', '.git/refs/heads/main', '.git/shallow', 'mod/.git'])
        assert.ok(paths.includes(`file 644 ${path}`), `${path} in ${paths.join('\n')}`)
      assert.ok(!paths.some(path => path.includes('.git/hooks')))
      const config = String(await tree.open('.git/config' as ByteString))
      assert.match(config, new RegExp(`url = ${server.url}/app.git`))
      assert.doesNotMatch(config, /secret|store/)
      assert.equal(String(await tree.open('mod/.git' as ByteString)), 'gitdir: ../.git/modules/mod\n')
      contents.push(Buffer.from(await collect(await tree.open('.git/index' as ByteString))))
    }
    assert.deepEqual(contents[0], contents[1])
  })

  it('keeps no .git of a subdirectory, as BuildKit', async () => {
    await using sources = open(newStore())
    const tree = await sources.open(referenceTo('?keep-git-dir=1&subdir=dir'), signal)
    assert.deepEqual(await tree.list('' as ByteString), ['deep', 'link'])
  })

  it('has for the key of files what tells them apart', async () => {
    const commit = { id: commits.main, name: 'refs/heads/main' }
    const keys = ['', '#main:dir', '?keep-git-dir=1', '?submodules=0'].map(wanted =>
      wantedOf(referenceTo(wanted), commit),
    )
    assert.equal(new Set(keys).size, 4)
    assert.equal(wantedOf(referenceTo('#main'), commit), keys[0])
    assert.equal(wantedOf(referenceTo('', 'https://elsewhere/x.git'), commit), keys[0])
  })

  it('tells what is not there, and where', async () => {
    await using sources = open(newStore())
    const opening = (wanted: string, base?: string) => sources.open(referenceTo(wanted, base), signal)
    await fails(opening('#main:nothing'), 'source-missing', /"nothing" is not there/)
    await fails(opening('#main:a.txt'), 'source-missing', /"a.txt" is not a directory/)
    await fails(opening('', `${server.url}/none.git`), 'download-failed', /none.git.* not found/)
    await fails(opening(`#${'0'.repeat(40)}`), 'download-failed', /not our ref|has no commit/)
    await fails(opening('', 'http://127.0.0.1:1/x.git'), 'download-failed', /Cannot read .*127.0.0.1:1/)
    await fails(opening('', 'git@127.0.0.1:x'), 'source-missing', /needs an ssh agent/, /--ssh default/)
    assert.deepEqual(await listed(await opening('#main:../../dir')), await listed(await opening('#main:dir')))
  })

  it('says that git is not installed', async () => {
    await using sources = createGitSources({
      git: createGit({ PATH: '/nonexistent' }),
      storeRoot: newStore(),
      readSecret: async () => undefined,
      sshAgent: async () => undefined,
    })
    await fails(sources.resolve(referenceTo(''), signal), 'download-failed', /not installed/, /apt-get/)
  })

  it('logs in with a token or a header, of the host before that of all, and tells neither', async () => {
    const token = `basic ${Buffer.from('x-access-token:t0ken').toString('base64')}`
    for (const [authorization, secrets] of [
      [token, { GIT_AUTH_TOKEN: 't0ken\n' }],
      ['Bearer abc', { GIT_AUTH_HEADER: 'Bearer abc' }],
    ] as const) {
      await using guarded = await serveGit(join(folder, 'served'), { authorization })
      const host = guarded.url.replace('http://', '')
      const reference = referenceTo('#main:dir?', `${guarded.url}/app.git`)
      const wanted = { ...reference, subdirectory: 'dir', submodules: false }
      await using sources = open(newStore(), secrets)
      assert.ok(await sources.open(wanted, signal))
      const own = Object.fromEntries(
        Object.entries(secrets).map(([name, value]) => [`${name}.${host}`, value]),
      )
      await using hosted = open(newStore(), { GIT_AUTH_TOKEN: 'wrong', ...own })
      assert.ok(await hosted.open(wanted, signal))
      await using wrong = open(newStore(), { GIT_AUTH_TOKEN: 'wr0ng' })
      await assert.rejects(wrong.open(wanted, signal), (error: unknown) => !/wr0ng/.test(String(error)))
      await using none = open(newStore())
      await fails(none.open(wanted, signal), 'download-failed', /Cannot read/, /GIT_AUTH_TOKEN/)
    }
  })

  it('logs in with the password of a URL, which is among the arguments of no program', async () => {
    const authorization = `basic ${Buffer.from('me:p@ss').toString('base64')}`
    await using guarded = await serveGit(join(folder, 'served'), { authorization })
    const given: string[] = []
    const program = createGit(process.env)
    await using sources = createGitSources({
      git: {
        run(args, options) {
          given.push(...args)
          return program.run(args, options)
        },
      },
      storeRoot: newStore(),
      readSecret: async () => undefined,
      sshAgent: async () => undefined,
    })
    const remote = `${guarded.url.replace('//', '//me:p%40ss@')}/app.git`
    assert.ok(await sources.open(referenceTo('#main', remote), signal))
    assert.doesNotMatch(given.join(' '), /p%40ss|p@ss/)
  })

  it('takes a secret to no other host, and goes there without one', async () => {
    await using elsewhere = await serveGit(join(folder, 'served'))
    const moved = createServer((request, response) => {
      response.writeHead(302, { location: `${elsewhere.url}${request.url}` }).end()
    })
    moved.listen(0, '127.0.0.1')
    await once(moved, 'listening')
    try {
      const { port } = moved.address() as AddressInfo
      const wanted = { ...referenceTo('#main', `http://127.0.0.1:${port}/app.git`), submodules: false }
      await using secretive = open(newStore(), { GIT_AUTH_TOKEN: 't0ken' })
      await fails(secretive.open(wanted, signal), 'download-failed', /302/, /follows no redirect/)
      assert.deepEqual(elsewhere.requests, [])
      await using plain = open(newStore())
      assert.ok(await plain.open(wanted, signal))
    } finally {
      moved.closeAllConnections()
      moved.close()
    }
  })

  it('reaches repositories over ssh with the agent alone, and knows hosts by a file of its own', async () => {
    const programs = join(folder, 'ssh programs')
    mkdirSync(programs)
    const log = join(folder, 'ssh.log')
    // Plays a host whose user has the served folder for his home.
    writeFileSync(
      join(programs, 'ssh'),
      `#!/bin/sh
printf '%s\\n' "$SSH_AUTH_SOCK" "$@" >> '${log}'
for last; do :; done
cd '${join(folder, 'served')}' && exec sh -c "$last"
`,
      { mode: 0o755 },
    )
    await using sources = createGitSources({
      git: createGit({ PATH: `${programs}:${process.env.PATH}`, SSH_AUTH_SOCK: '/not/this' }),
      storeRoot: join(folder, 'store of tests'),
      readSecret: () => Promise.reject(new Error('no secrets for ssh')),
      sshAgent: async id => `/agent/${id}`,
    })
    const tree = await sources.open(referenceTo('#main:dir', 'git@host.test:app.git'), signal)
    assert.deepEqual(await tree.list('' as ByteString), ['deep', 'link'])
    const lines = readFileSync(log, 'utf8').split('\n')
    assert.ok(!lines.includes('/not/this'))
    for (const line of ['/agent/default', 'BatchMode=yes', 'IdentityFile=none', 'git@host.test'])
      assert.ok(lines.includes(line), `${line} in ${lines.join('\n')}`)
    const hosts = lines.find(line => line.includes('known-hosts'))
    assert.match(hosts ?? '', /^UserKnownHostsFile="[^"]*\/known-hosts" ~\/.ssh\/known_hosts$/)
  })

  it('lets no repository reach files, programs or hosts of this machine by its submodules', async () => {
    for (const [index, url] of [
      `file://${folder}/module`,
      `${folder}/module`,
      'ext::touch /tmp/x',
    ].entries()) {
      const name = `hostile-${index}`
      publish(name, work => {
        git(work, 'init', '--quiet')
        writeFileSync(join(work, '.gitmodules'), `[submodule "m"]\n\tpath = m\n\turl = ${url}\n`)
        git(work, 'update-index', '--add', '--cacheinfo', `160000,${commits.main},m`)
        mkdirSync(join(work, 'm'))
      })
      await using sources = open(newStore())
      const reference = referenceTo('', `${server.url}/${name}.git`)
      await fails(sources.open(reference, signal), 'download-failed', /not allowed/)
    }
  })

  it('serves builds at the same time, and leaves nothing but repositories', async () => {
    const store = newStore()
    await Promise.all(
      ['#main', '#feature', '#main:dir', '?tag=heavy'].map(async wanted => {
        await using sources = open(store)
        assert.ok((await listed(await sources.open(referenceTo(wanted), signal))).length > 0)
      }),
    )
    assert.match(readdirSync(join(store, 'git')).join(), /^[0-9a-f]{64}$/)
    assert.equal(await pruneGit(store, 0, signal), 0)
    assert.ok((await pruneGit(store, Number.POSITIVE_INFINITY, signal)) > 0)
    assert.deepEqual(readdirSync(join(store, 'git')), [])
  })

  it('ends git with its helpers when the build is aborted', async () => {
    const programs = join(folder, 'programs')
    mkdirSync(programs)
    writeFileSync(join(programs, 'git'), '#!/bin/sh\nsleep 1000 & echo x > started; wait\n', { mode: 0o755 })
    const controller = new AbortController()
    const reason = new Error('interrupted')
    const running = createGit({ PATH: `${programs}:${process.env.PATH}` }).run([], {
      directory: folder,
      signal: controller.signal,
    })
    while (!existsSync(join(folder, 'started'))) await nextTurn()
    controller.abort(reason)
    // Its output ends when the last of them has ended.
    await assert.rejects(running, reason)
  })
})

async function collect(content: Buffer | AsyncIterable<Buffer>): Promise<Buffer> {
  if (content instanceof Uint8Array) return content
  const chunks: Buffer[] = []
  for await (const chunk of content) chunks.push(chunk)
  return Buffer.concat(chunks)
}
