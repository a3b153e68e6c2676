/**
 * Everything but RUN as an ordinary user without namespaces, on a system that has nothing but Node: the library through which
 * we call Linux cannot be loaded.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chown, cp, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { git, serveGit } from '../support/git-server.ts'
import { busyboxRootfs } from './support/base-images.ts'
import { type Outcome, run } from './support/process.ts'
import { PROGRAM, slipwayAt } from './support/slipway.ts'
import { cannotRun } from './support/world.ts'

const NOBODY = 65534
const USER = [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--bounding-set=-all']
const NO_LIBRARY = `import { registerHooks } from 'node:module'
registerHooks({
  resolve(specifier, context, next) {
    if (specifier === 'koffi') throw new Error('there is no koffi')
    return next(specifier, context)
  },
})
`
const EPOCH = { SOURCE_DATE_EPOCH: '1700000000' }
const DOCKERFILE = `FROM base:1 AS made
COPY --chown=app --chmod=4750 file /file
COPY --link d /linked
COPY --parents d/x /parents/
ADD archive.tar /unpacked
WORKDIR /work
COPY <<text /heredoc
of the Dockerfile
text
FROM base:1
COPY --from=made / /all/
COPY --from=made --chown=7:8 /file /unpacked /one/
COPY --from=base:1 /etc/passwd /
USER app
`

describe('without privilege, and without calls of Linux', {
  skip: cannotRun({ root: true, programs: ['setpriv', 'busybox', 'git'] }),
}, () => {
  let folder: string
  let program: string
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slipway-nobody-'))
    const context = join(folder, 'context')
    await mkdir(join(context, 'd'), { recursive: true })
    await writeFile(join(context, 'd/x'), 'x\n')
    await writeFile(join(context, 'file'), 'content\n')
    await writeFile(join(context, 'Dockerfile'), DOCKERFILE)
    execFileSync('tar', ['-cf', join(context, 'archive.tar'), '-C', context, 'd', 'file'])
    await writeFile(join(folder, 'no-library.mjs'), NO_LIBRARY)
    await busyboxRootfs(join(folder, 'base.tar'))
    await mkdir(join(folder, 'home'))
    await mkdir(join(folder, 'out'))
    for (const name of ['home', 'out', '.']) await chown(join(folder, name), NOBODY, NOBODY)
    program = await readableProgram(folder)
    await nobody(['import', join(folder, 'base.tar'), 'base:1'])
  })
  after(() => rm(folder, { recursive: true, force: true }))

  const environment = () => ({
    ...EPOCH,
    HOME: join(folder, 'home'),
    NODE_OPTIONS: `--import=${join(folder, 'no-library.mjs')}`,
  })
  function tryNobody(args: readonly string[], input?: string): Promise<Outcome> {
    const env = { ...slipwayAt(join(folder, 'home/store')).env, ...environment() }
    return run('setpriv', [...USER, program, ...args], { env, ...(input !== undefined && { input }) })
  }
  async function nobody(args: readonly string[]): Promise<Outcome> {
    const outcome = await tryNobody(args)
    assert.equal(outcome.code, 0, outcome.stderr)
    return outcome
  }
  const digestOf = ({ stderr }: Outcome) => /^digest +(\S+)/m.exec(stderr)?.[1] ?? assert.fail(stderr)

  it('builds what root builds, and takes it from the cache the next time', async () => {
    const context = join(folder, 'context')
    const first = await nobody(['build', '-t', 'made', context])
    const second = await nobody(['build', '--progress=plain', '-t', 'made', context])
    assert.equal(digestOf(second), digestOf(first))
    assert.match(second.stderr, /CACHED/)
    await cp(join(folder, 'home/store'), join(folder, 'store-of-root'), { recursive: true })
    const ofRoot = slipwayAt(join(folder, 'store-of-root'), EPOCH)
    assert.equal(digestOf(await ofRoot.try(['build', '--no-cache', context])), digestOf(first))
  })

  it('writes every output; files in a folder are its own, and that is said', async () => {
    const out = join(folder, 'out')
    const outputs = ['oci', 'docker', 'tar'].map(type => ['-o', `type=${type},dest=${out}/made.${type}`])
    const built = await nobody([
      'build',
      '--progress=plain',
      ...outputs.flat(),
      '-o',
      `${out}/files`,
      join(folder, 'context'),
    ])
    assert.deepEqual((await readdir(out)).sort(), ['files', 'made.docker', 'made.oci', 'made.tar'])
    assert.match(built.stderr, /the files belong to you/)
    const { uid, mode } = await stat(join(out, 'files/all/file'))
    assert.deepEqual([uid, mode & 0o7777], [NOBODY, 0o4750])
  })

  it('saves, loads, collects garbage and prunes', async () => {
    const archive = join(folder, 'out/saved.tar')
    await nobody(['save', '-o', archive, 'base:1'])
    await nobody(['load', '-i', archive])
    await nobody(['gc', '--grace', '0s'])
    await nobody(['prune'])
  })

  it('is at work for who has neither a name nor a home, and says which folder may be named', async () => {
    const nameless = ['--reuid=65533', '--regid=65533', '--clear-groups', 'env', '-u', 'HOME']
    const env = { XDG_DATA_HOME: '', XDG_CONFIG_HOME: '', XDG_CACHE_HOME: '', SLIPWAY_ROOT: '' }
    const { code, stderr } = await run('setpriv', [...nameless, program, 'images'], { env })
    assert.equal(code, 1)
    assert.match(stderr, /^error: Cannot open store .*: permission denied.*\nhint: .*SLIPWAY_ROOT/)
  })

  it('takes from URLs and Git, serves a registry, pushes and pulls', async () => {
    const source = join(folder, 'source')
    await mkdir(source)
    await writeFile(join(source, 'Dockerfile'), 'FROM base:1\nCOPY Dockerfile /\n')
    git(source, 'init', '--quiet', '--initial-branch=main')
    git(source, 'add', '.')
    git(source, 'commit', '--quiet', '-m', 'first')
    git(folder, 'clone', '--quiet', '--bare', source, 'served/app.git')
    await using hosting = await serveGit(join(folder, 'served'))
    const repository = `${hosting.url}/app.git`
    const command: [string, ...string[]] = ['setpriv', ...USER, program]
    await using registry = await slipwayAt(join(folder, 'home/registry'), environment(), command).serve()
    await nobody(['build', '--push', '-t', `${registry.host}/of-git:1`, repository])
    const taken = `FROM ${registry.host}/of-git:1\nADD ${repository}/HEAD /head\nADD ${repository} /git\n`
    const built = await tryNobody(['build', '-t', `${registry.host}/taken:1`, '-'], taken)
    assert.equal(built.code, 0, built.stderr)
    await nobody(['push', `${registry.host}/taken:1`])
    await nobody(['rmi', `${registry.host}/taken:1`])
    const pulled = await nobody(['pull', `${registry.host}/taken:1`])
    assert.match(pulled.stdout + pulled.stderr, new RegExp(digestOf(built)))
  })

  it('says of a RUN what is missing', async () => {
    for (const isolation of ['oci', 'chroot']) {
      const { code, stderr } = await tryNobody(
        ['build', `--isolation=${isolation}`, '-'],
        'FROM base:1\nRUN true\n',
      )
      assert.equal(code, 1)
      assert.match(stderr, /Cannot run: RUN needs .*there is no koffi/)
      assert.match(stderr, /hint: .*without RUN/)
    }
  })
})

/** Our program where everybody can read it: a checkout may be in somebody's home. */
async function readableProgram(folder: string): Promise<string> {
  const project = join(PROGRAM, '../..')
  const outcome = await run('setpriv', [...USER, 'test', '-r', join(project, 'bin/slipway.cjs')])
  if (outcome.code === 0) return PROGRAM
  for (const name of ['bin', 'src', 'node_modules', 'package.json'])
    await cp(join(project, name), join(folder, 'project', name), {
      recursive: true,
      dereference: true,
      filter: path => !path.includes('/.cache'),
    })
  return join(folder, 'project/bin/slipway')
}
